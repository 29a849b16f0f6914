"""Applies the fix that came with a finding."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from remediator.contracts import Attempt, Fixer, Tree, Workspace
from remediator.errors import GitError, PatchError
from remediator.records import Declined, Finding, Patch, ReasonCode, SuggestedFix
from remediator.records.source_text import SourceText, encoded


class SuggestedFixer(Fixer):
    """Makes the edits that a finding carries, if every one of them still fits what stands there."""

    name: ClassVar[str] = "suggested"

    async def fix(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
        """Return the first of the finding's fixes that fits and was not tried before."""
        return await asyncio.to_thread(self._fix, finding, workspace, history)

    def _fix(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
        if not finding.fixes:
            return self._no(finding, "the finding came without a fix")
        if reason := _stale(finding, workspace.tree):
            return self._no(finding, reason, ReasonCode.stale)
        tried = {attempt.patch.diff for attempt in history}
        why = ""
        for fix in finding.fixes:
            try:
                diff = workspace.diff(_checked(_edited(fix, workspace.tree), workspace))
            except (_UnfitError, PatchError) as error:
                why = why or str(error)
                continue
            if diff and diff not in tried:
                title = fix.description or f"Apply the fix that came with {finding.rule_id}"
                return Patch.of(finding_id=finding.id, fixer=self.name, title=title, diff=diff, transform=finding.rule_id)
        if not why and tried:
            return self._no(finding, "every fix that came with the finding was tried", ReasonCode.verify_failed)
        return self._no(finding, why or "the fix changes nothing")

    def _no(self, finding: Finding, detail: str, reason: ReasonCode = ReasonCode.no_safe_transform) -> Declined:
        return Declined(finding_id=finding.id, fixer=self.name, reason=reason, detail=detail)


class _UnfitError(ValueError):
    """A fix that cannot be made as it says."""


def _stale(finding: Finding, tree: Tree) -> str:
    if finding.location is None:
        return ""
    try:
        there = SourceText(tree.read(finding.location.path)).text(finding.location)
    except (KeyError, ValueError, GitError):
        return f"{finding.location.path} has no such place any more"
    if not there.startswith(finding.snippet):
        return f"{finding.location.path} line {finding.location.start_line} is not what the scanner saw"
    return ""


def _edited(fix: SuggestedFix, tree: Tree) -> dict[str, bytes]:
    spans: dict[str, list[tuple[int, int, bytes]]] = {}
    texts: dict[str, SourceText] = {}
    for edit in fix.edits:
        path = edit.location.path
        try:
            text = texts.setdefault(path, SourceText(tree.read(path)))
            start, end = text.span(edit.location)
            spans.setdefault(path, []).append((start, end, encoded(edit.text)))
        except (KeyError, GitError) as error:
            raise _UnfitError(f"the fix edits {path}, which cannot be read") from error
        except ValueError as error:
            raise _UnfitError(f"the fix edits a place that is not in {path}: {error}") from error
    changed = {path: _replaced(path, texts[path].data, parts) for path, parts in spans.items()}
    return {path: data for path, data in changed.items() if data != texts[path].data}


def _replaced(path: str, data: bytes, parts: Sequence[tuple[int, int, bytes]]) -> bytes:
    result, at, last = [], 0, -1
    for start, end, new in sorted(parts):
        if start < at or start == last:
            raise _UnfitError(f"edits of the fix overlap in {path}")
        result += [data[at:start], new]
        at, last = end, start
    return b"".join([*result, data[at:]])


def _checked(edits: Mapping[str, bytes], workspace: Workspace) -> Mapping[str, bytes]:
    if not edits:
        raise _UnfitError("the fix changes nothing")
    for path, data in edits.items():
        if (error := workspace.syntax_error(path, data)) and not workspace.syntax_error(path, workspace.tree.read(path)):
            raise _UnfitError(f"{path} would not parse: {error}")
    return edits
