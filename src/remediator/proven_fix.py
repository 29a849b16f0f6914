"""A patch in the form in which findings carry fixes: text edits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from remediator.diff import ChangeKind, FileChange, Line, parse
from remediator.records import Location, Patch, SuggestedFix, TextEdit

_SAID_BY_EDITS = (ChangeKind.added, ChangeKind.modified, ChangeKind.deleted)


def fix_of(patch: Patch) -> SuggestedFix | None:
    """Return the patch as edits of the unpatched files, None where edits cannot say it (a rename, a mode, binary content).

    Raises PatchError where the diff is malformed.
    """
    changes = parse(patch.diff)
    if any(change.kind not in _SAID_BY_EDITS or change.binary or _new_mode(change) for change in changes):
        return None
    edits = tuple(
        edit for change in changes for hunk in change.hunks for edit in _edits(change.path, hunk.lines, hunk.old_start, hunk.old_count)
    )
    return SuggestedFix(description=patch.title, edits=edits) if edits else None


def _new_mode(change: FileChange) -> bool:
    return change.kind is ChangeKind.modified and change.old_mode != change.new_mode and None not in (change.old_mode, change.new_mode)


def _edits(path: str, lines: Sequence[Line], old_start: int, old_count: int) -> Iterator[TextEdit]:
    at = old_start if old_count else old_start + 1
    old: list[Line] = []
    new: list[Line] = []
    for line in lines:
        if line.mark == "-":
            old.append(line)
        elif line.mark == "+":
            new.append(line)
        else:
            if old or new:
                yield _edit(path, at, old, new)
            at += len(old) + 1
            old, new = [], []
    if old or new:
        yield _edit(path, at, old, new)


def _edit(path: str, at: int, old: Sequence[Line], new: Sequence[Line]) -> TextEdit:
    end = (at + len(old), 1) if not old or old[-1].ended else (at + len(old) - 1, len(old[-1].text) + 1)
    where = Location(path=path, start_line=at, start_column=1, end_line=end[0], end_column=end[1])
    return TextEdit(location=where, text="".join(line.text + ("\n" if line.ended else "") for line in new))
