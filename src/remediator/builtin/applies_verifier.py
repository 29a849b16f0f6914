"""E0: the diff is understood, and gives exactly the tree that git made of it."""

from __future__ import annotations

import ast
import asyncio
import re
from typing import ClassVar

from remediator.builtin.answer import Answer, answered, some
from remediator.contracts.tree import Tree, TreeEntry
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace
from remediator.diff import FileChange, parse
from remediator.errors import GitError, PatchConflictError
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel

_INDENTED = (".py", ".pyi", ".pyx", ".yml", ".yaml", ".haml", ".pug", ".coffee", ".nim", ".hs", ".fs", ".mk", ".rst", ".md", ".sass")
_MAX_BYTES = 64 * 1024 * 1024


class AppliesVerifier(Verifier):
    """Reads the patch strictly, applies it by itself, and compares with what git made: two readers, one result."""

    name: ClassVar[str] = "applies"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E0

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: asyncio.to_thread(_judged, patch, workspace))


def _judged(patch: Patch, workspace: Workspace) -> Answer:
    changes = parse(patch.diff)
    told = {path for change in changes for path in change.touched}
    real = set(workspace.changed)
    evidence = {
        "files": some(real),
        "lines_added": sum(len(change.added) for change in changes),
        "lines_removed": sum(len(change.removed) for change in changes),
        "base": workspace.base.id,
        "tree": workspace.tree.id,
    }
    if not real:
        return Answer(CheckStatus.failed, "empty-patch", "the patch changes nothing", evidence)
    if told != real:
        evidence["disagree"] = some(told ^ real)
        return Answer(CheckStatus.failed, "paths-differ", "git changed other files than the patch says", evidence)
    if (reason := _inexact(changes, workspace)) is not None:
        return Answer(CheckStatus.failed, "not-exact", reason, evidence)
    if _is_blank(changes, workspace):
        return Answer(CheckStatus.failed, "no-op", "the patch changes white space only", evidence)
    count = len(real)
    return Answer(CheckStatus.passed, "", f"applies exactly to {count} file{'s' if count != 1 else ''}", evidence)


def _inexact(changes: tuple[FileChange, ...], workspace: Workspace) -> str | None:
    """Return where our own application of the patch and git's differ, None where they agree."""
    before = {entry.path: entry for entry in workspace.base.entries()}
    after = {entry.path: entry for entry in workspace.tree.entries()}
    for change in changes:
        old, new = before.get(change.old_path), after.get(change.path)
        if any(entry is not None and not entry.is_file for entry in (old, new)):
            continue
        try:
            made = change.applied(_content(workspace.base, old))
            there = _content(workspace.tree, new)
        except (PatchConflictError, GitError) as error:
            return error.message
        if not change.binary and made != there:
            return f"{change.path}: git read the patch in another way than it stands there"
        if old and new and change.new_mode is None and old.mode != new.mode:
            return f"{change.path}: the mode changes without being told"
    return None


def _content(tree: Tree, entry: TreeEntry | None) -> bytes:
    return b"" if entry is None else tree.read(entry.path, limit_bytes=_MAX_BYTES)


def _is_blank(changes: tuple[FileChange, ...], workspace: Workspace) -> bool:
    for change in changes:
        if change.old_mode != change.new_mode or change.binary or change.old_path != change.path:
            return False
        old, new = workspace.base.find(change.path), workspace.tree.find(change.path)
        if old is None or new is None or not (old.is_file and new.is_file):
            return False
        if not _differs_in_blanks_only(change.path, _content(workspace.base, old), _content(workspace.tree, new)):
            return False
    return True


def _differs_in_blanks_only(path: str, before: bytes, after: bytes) -> bool:
    if re.sub(rb"\s+", b"", before) != re.sub(rb"\s+", b"", after):
        return False
    if path.endswith((".py", ".pyi")):
        return _tree_of(before) == _tree_of(after) is not None
    if path.lower().endswith(_INDENTED) or "." not in path.rpartition("/")[2]:
        return _lines_of(before) == _lines_of(after)
    return True


def _tree_of(data: bytes) -> str | None:
    try:
        return ast.dump(ast.parse(data))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _lines_of(data: bytes) -> list[bytes]:
    lines = (line.rstrip() for line in data.split(b"\n"))
    return [re.sub(rb"(?<=\S)\s+", b" ", line) for line in lines if line]
