"""E0: the patch touches only what it may, and neither hides the flaw nor takes away what worked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from remediator.builtin.answer import Answer, answered, some
from remediator.builtin.guards import FilePair, judge
from remediator.builtin.guards.project_modules import ProjectModules
from remediator.contracts.tree import Tree
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace
from remediator.diff import ChangeKind, FileChange, Objection, Policy, forbidden, parse
from remediator.diff.path_shape import folded
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel

_MANY = 50
_MAX_BYTES = 16 * 1024 * 1024


class GuardsVerifier(Verifier):
    """Asks every guard. One certain objection fails the patch, by the guard's name; a file that no guard could read is not passed.

    `allow` opens paths (glob patterns) to patches whatever their role, `notes_only` takes the force from guards by code: both are the
    operator's.
    """

    name: ClassVar[str] = "guards"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E0

    allow: tuple[str, ...] = ()
    notes_only: tuple[str, ...] = ()
    max_files: int = 20
    max_lines: int = 400
    max_line_length: int = 500

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: asyncio.to_thread(self._judged, finding, patch, workspace))

    def _judged(self, finding: Finding, patch: Patch, workspace: Workspace) -> Answer:
        changes = parse(patch.diff)
        policy = Policy(allow=self.allow, max_files=self.max_files, max_lines=self.max_lines, max_line_length=self.max_line_length)
        by_path = [*forbidden(changes, policy), *_doubles(changes, workspace)]
        if any(objection.code not in self.notes_only for objection in by_path):
            # What a patch may not touch at all is not read any further.
            return self._answer(by_path, [], {}, {})
        pairs = [pair for change in changes if (pair := _pair(change, workspace)) is not None]
        said = judge(pairs, finding, ProjectModules(workspace.base), max_line_length=self.max_line_length)
        broken, unread = _syntax(pairs, workspace)
        notes = [*said.notes, *_wider(finding, changes)]
        return self._answer([*by_path, *broken, *said.objections], notes, {**said.unread, **unread}, said.depth)

    def _answer(self, objections: Sequence[Objection], notes: Sequence[Objection], unread: dict[str, str], depth: dict[str, str]) -> Answer:
        firm = [objection for objection in objections if objection.code not in self.notes_only]
        told = [*notes, *(objection for objection in objections if objection.code in self.notes_only)]
        evidence: dict[str, Any] = {
            "objections": [objection.as_json() for objection in firm[:_MANY]],
            "notes": [objection.as_json() for objection in told[:_MANY]],
            "guarded_by": dict(sorted(depth.items())),
        }
        if firm:
            return Answer(CheckStatus.failed, firm[0].code, _sentence(firm), evidence)
        if unread:
            evidence["unread"] = dict(sorted(unread.items()))
            return Answer(CheckStatus.inconclusive, "unreadable-source", f"no guard could read {', '.join(some(unread))}", evidence)
        generic = some(path for path, guards in depth.items() if guards == "generic")
        told_apart = f"; only the language-neutral guards read {', '.join(generic)}" if generic else ""
        return Answer(CheckStatus.passed, "", f"no guard objects{told_apart}", evidence)


def _sentence(objections: Sequence[Objection]) -> str:
    first = objections[0]
    where = f"{first.path}:{first.line}: " if first.line else f"{first.path}: " if first.path else ""
    more = f" (and {len(objections) - 1} more)" if len(objections) > 1 else ""
    return f"{where}{first.detail}{more}"


def _doubles(changes: Sequence[FileChange], workspace: Workspace) -> list[Objection]:
    new = [change.path for change in changes if change.kind in (ChangeKind.added, ChangeKind.copied)]
    if not new:
        return []
    there = {folded(entry.path) for entry in workspace.base.entries()}
    return [
        Objection("odd-path", path, "the new file's name differs from another's in case or form only")
        for path in new
        if folded(path) in there
    ]


def _wider(finding: Finding, changes: Sequence[FileChange]) -> list[Objection]:
    """Return notes on files that the patch makes, or that the finding does not speak of."""
    known = {finding.path, *(step.location.path for step in finding.trace)} - {""}
    notes = [Objection("new-file", change.path, "the file is new") for change in changes if change.kind is ChangeKind.added]
    if known:
        notes += [
            Objection("other-file", change.path, "the finding does not speak of this file")
            for change in changes
            if change.path not in known
        ]
    return notes


def _pair(change: FileChange, workspace: Workspace) -> FilePair | None:
    if change.binary:
        return None
    return FilePair(change.path, _content(workspace.base, change.old_path), _content(workspace.tree, change.path), change)


def _content(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.read(path, limit_bytes=_MAX_BYTES)
    except KeyError:
        return None


def _syntax(pairs: Sequence[FilePair], workspace: Workspace) -> tuple[list[Objection], dict[str, str]]:
    """Return what no longer parses, and what did not parse before either."""
    broken: list[Objection] = []
    unread: dict[str, str] = {}
    for pair in pairs:
        error = _parsed(pair.path, pair.after, workspace)
        if error is None:
            continue
        if _parsed(pair.path, pair.before, workspace) is not None:
            unread[pair.path] = error[:200]
        else:
            broken.append(Objection("syntax-error", pair.path, error))
    return broken, unread


def _parsed(path: str, data: bytes | None, workspace: Workspace) -> str | None:
    try:
        return None if data is None else workspace.syntax_error(path, data)
    except (RecursionError, MemoryError) as error:
        return f"too deep to be read: {type(error).__name__}"
