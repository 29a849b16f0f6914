"""One file's part of a patch, as a value."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from remediator.errors import PatchConflictError


class ChangeKind(StrEnum):
    """What happens to the file."""

    added = "added"
    modified = "modified"
    deleted = "deleted"
    renamed = "renamed"
    copied = "copied"


class Line(NamedTuple):
    """One line of a hunk. `mark` is a space, `+` or `-`; `text` has no line feed; `ended` is False for a last line without one."""

    mark: str
    text: str
    old: int
    new: int
    ended: bool = True

    @property
    def data(self) -> bytes:
        """Return the line's bytes in the file."""
        return self.text.encode("utf-8") + (b"\n" if self.ended else b"")


class Hunk(NamedTuple):
    """One run of lines. Starts count from 1; a start of 0 goes with a count of 0."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[Line, ...]


class FileChange(NamedTuple):
    """What a patch does to one file. `old_path` differs from `path` in renames and copies only. Modes are git's, None where untold."""

    path: str
    old_path: str
    kind: ChangeKind
    old_mode: int | None = None
    new_mode: int | None = None
    binary: bool = False
    hunks: tuple[Hunk, ...] = ()

    @property
    def added(self) -> tuple[Line, ...]:
        """Return the lines that are new."""
        return tuple(line for hunk in self.hunks for line in hunk.lines if line.mark == "+")

    @property
    def removed(self) -> tuple[Line, ...]:
        """Return the lines that go away."""
        return tuple(line for hunk in self.hunks for line in hunk.lines if line.mark == "-")

    @property
    def touched(self) -> frozenset[str]:
        """Return the paths whose content or presence this changes."""
        return frozenset({self.path, self.old_path}) if self.kind is ChangeKind.renamed else frozenset({self.path})

    def applied(self, before: bytes) -> bytes:
        """Return the file's content after the change, exactly: every line where the patch says, nothing moved, nothing fuzzy.

        Raises PatchConflictError.
        """
        old = _lines(before)
        new: list[bytes] = []
        at = 0
        for hunk in self.hunks:
            start = hunk.old_start - 1 if hunk.old_count else hunk.old_start
            if start < at or start > len(old):
                raise PatchConflictError(f"{self.path}: hunk at line {hunk.old_start} lies outside of the file")
            new += old[at:start]
            if len(new) != (hunk.new_start - 1 if hunk.new_count else hunk.new_start):
                raise PatchConflictError(f"{self.path}: hunk at line {hunk.old_start} does not arrive at line {hunk.new_start}")
            at = start
            for line in hunk.lines:
                if line.mark == "+":
                    new.append(line.data)
                    continue
                if at >= len(old) or old[at] != line.data:
                    raise PatchConflictError(f"{self.path}: line {at + 1} is not what the patch says")
                at += 1
                if line.mark == " ":
                    new.append(line.data)
        return b"".join([*new, *old[at:]])


def _lines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
