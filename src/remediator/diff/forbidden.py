"""What no patch may do, whatever it says it is good for: rules about paths, kinds, modes and size, in code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from remediator.diff.change import ChangeKind, FileChange
from remediator.diff.hidden_text import hidden_text
from remediator.diff.objection import Objection
from remediator.diff.parse import parse
from remediator.diff.path_shape import escapes, lookalike
from remediator.diff.policy import Policy
from remediator.diff.roles import objections_of
from remediator.errors import PatchError

_LINK = 0o120000
_SUBMODULE = 0o160000
_PLAIN = 0o100644
_EXECUTABLE = 0o100755


def forbidden(changes: Sequence[FileChange], policy: Policy | None = None) -> tuple[Objection, ...]:
    """Return everything that the rules have against these changes, worst first within a file."""
    policy = policy or Policy()
    return (*(objection for change in changes for objection in _of_file(change, policy)), *_size(changes, policy))


def inspect(diff: str, policy: Policy | None = None) -> tuple[Objection, ...]:
    """Return everything that the rules have against a diff as text; one that cannot be read is an objection too."""
    try:
        changes = parse(diff)
    except PatchError as error:
        return (Objection("malformed-patch", "", error.message),)
    return forbidden(changes, policy)


def _of_file(change: FileChange, policy: Policy) -> Iterator[Objection]:
    for path in sorted({change.path, change.old_path}):
        yield from escapes(path)
    yield from _kinds(change)
    for path in sorted({change.path, change.old_path}):
        if not policy.allows(path):
            yield from objections_of(path)
    if change.kind in (ChangeKind.added, ChangeKind.copied):
        yield from lookalike(change.path)
    yield from hidden_text(change)


def _kinds(change: FileChange) -> Iterator[Objection]:
    modes = {mode & 0o170000 for mode in (change.old_mode, change.new_mode) if mode is not None}
    if _LINK in modes:
        yield Objection("symlink", change.path, "symbolic links are not for patches")
    if _SUBMODULE in modes:
        yield Objection("submodule", change.path, "submodules are not for patches")
    if change.binary:
        yield Objection("binary", change.path, "binary content cannot be reviewed")
    if change.kind in (ChangeKind.renamed, ChangeKind.copied):
        yield Objection("rename", change.path, f"{change.old_path} is {change.kind}")
    if change.kind is ChangeKind.deleted:
        yield Objection("feature-deleted", change.path, "the file is deleted")
    if change.kind is ChangeKind.added:
        if change.new_mode == _EXECUTABLE:
            yield Objection("new-executable", change.path, "a new file is executable")
        elif change.new_mode not in (None, _PLAIN) and not modes & {_LINK, _SUBMODULE}:
            yield Objection("mode-change", change.path, f"a new file has mode {change.new_mode:o}")
    elif change.old_mode is not None and change.new_mode is not None and change.old_mode != change.new_mode:
        yield Objection("mode-change", change.path, f"the mode changes from {change.old_mode:o} to {change.new_mode:o}")


def _size(changes: Sequence[FileChange], policy: Policy) -> Iterator[Objection]:
    lines = sum(len(change.added) + len(change.removed) for change in changes)
    if len(changes) > policy.max_files:
        yield Objection("too-large", "", f"{len(changes)} files change, at most {policy.max_files} may")
    if lines > policy.max_lines:
        yield Objection("too-large", "", f"{lines} lines change, at most {policy.max_lines} may")
