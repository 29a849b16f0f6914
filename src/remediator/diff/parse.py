"""Reads a unified diff in git's format, strictly: every line must be understood, and there is one way to understand it.

What another reader might take differently is refused: text around the hunks, names that disagree, a file named twice, hunks out of
order, counts that do not add up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from remediator.diff.change import ChangeKind, FileChange, Hunk, Line
from remediator.diff.names import header_names, unquoted
from remediator.errors import PatchError

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(?: .*)?", re.DOTALL)
_INDEX = re.compile(r"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: ([0-7]{6}))?")
_MODE = re.compile(r"(old mode|new mode|new file mode|deleted file mode) ([0-7]{6})")
_NAME = re.compile(r"(rename from|rename to|copy from|copy to) (.+)", re.DOTALL)
_SCORE = re.compile(r"(?:dis)?similarity index \d{1,3}%")
_NOWHERE = "/dev/null"
_MAX_CHARACTERS = 8 * 1024 * 1024


def parse(diff: str) -> tuple[FileChange, ...]:
    """Return what the diff changes, file by file, in its order.

    Raises PatchError naming the line that is not understood.
    """
    changes = tuple(_Reader(diff).files())
    touched = [path for change in changes for path in change.touched]
    if len(touched) != len(set(touched)):
        raise PatchError("the patch names a file twice", hint="Put all changes of a file under one header.")
    return changes


@dataclass
class _Header:
    """What stood above the hunks of one file."""

    rest: str = ""
    modes: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    index_mode: int | None = None
    old: str | None = None
    new: str | None = None
    binary: bool = False


class _Reader:
    """The lines of a diff and how far they were read."""

    def __init__(self, diff: str) -> None:
        if not diff:
            raise PatchError("the patch is empty")
        if len(diff) > _MAX_CHARACTERS:
            raise PatchError(f"the patch has {len(diff)} characters", hint=f"At most {_MAX_CHARACTERS} are read.")
        try:
            diff.encode("utf-8")
        except UnicodeEncodeError as error:
            raise PatchError("the patch is not UTF-8 text") from error
        if not diff.endswith("\n") or "\0" in diff:
            raise PatchError("the patch is cut off or holds a NUL character", hint="Its last line must end with a line feed.")
        self._lines = diff.split("\n")[:-1]
        self._at = 0

    def files(self) -> list[FileChange]:
        found = []
        while self._at < len(self._lines):
            found.append(self._file())
        return found

    def _file(self) -> FileChange:
        header = _Header()
        line = self._peek()
        if line.startswith("diff --git "):
            header.rest = line.removeprefix("diff --git ")
            self._at += 1
            self._extended(header)
        elif not line.startswith("--- "):
            raise self._odd("a file's header is expected")
        hunks: tuple[Hunk, ...] = ()
        if self._peek().startswith("--- ") and not header.binary:
            self._names(header)
            hunks = self._hunks()
        return self._change(header, hunks)

    def _extended(self, header: _Header) -> None:
        while self._at < len(self._lines) and not header.binary:
            line = self._peek()
            if match := _MODE.fullmatch(line):
                self._once(header.modes, match[1])
                header.modes[match[1]] = int(match[2], 8)
            elif match := _NAME.fullmatch(line):
                self._once(header.names, match[1])
                header.names[match[1]] = unquoted(match[2])
            elif match := _INDEX.fullmatch(line):
                header.index_mode = int(match[1], 8) if match[1] else None
            elif line == "GIT binary patch" or (line.startswith("Binary files ") and line.endswith(" differ")):
                header.binary = True
                self._skip_binary()
                return
            elif not _SCORE.fullmatch(line):
                return
            self._at += 1

    def _skip_binary(self) -> None:
        while self._at < len(self._lines) and not self._peek().startswith("diff --git "):
            self._at += 1

    def _names(self, header: _Header) -> None:
        header.old = self._name("--- ", "a/", dated=not header.rest)
        header.new = self._name("+++ ", "b/", dated=not header.rest)

    def _name(self, mark: str, prefix: str, *, dated: bool) -> str:
        line = self._peek()
        if not line.startswith(mark):
            raise self._odd(f"a line with {mark.strip()} is expected")
        name, _, date = line.removeprefix(mark).partition("\t")
        if date and not dated:
            raise self._odd("a name is followed by something")
        name = unquoted(name)
        self._at += 1
        if name == _NOWHERE:
            return name
        if name.startswith(prefix):
            return name.removeprefix(prefix)
        if name.startswith("/"):
            return name
        raise PatchError(f"the path {name!r} does not start with {prefix}", hint="Make the patch with `git diff`.")

    def _hunks(self) -> tuple[Hunk, ...]:
        hunks: list[Hunk] = []
        while self._peek().startswith("@@ "):
            hunk = self._hunk()
            if hunks and hunk.old_start < hunks[-1].old_start + hunks[-1].old_count:
                raise self._odd("hunks overlap or are out of order")
            hunks.append(hunk)
        if not hunks:
            raise self._odd("a hunk is expected")
        return tuple(hunks)

    def _hunk(self) -> Hunk:
        match = _HUNK.fullmatch(self._peek())
        if not match:
            raise self._odd("a hunk's header is expected")
        old, old_count, new, new_count = int(match[1]), int(match[2] or 1), int(match[3]), int(match[4] or 1)
        self._at += 1
        old_left, new_left = old_count, new_count
        lines: list[Line] = []
        while old_left or new_left:
            line = self._peek(inside=True)
            mark, text = (line[0], line[1:]) if line else (" ", "")
            if mark not in " +-":
                raise self._odd("a hunk is cut off")
            lines.append(Line(mark, text, old + old_count - old_left, new + new_count - new_left))
            old_left -= mark in " -"
            new_left -= mark in " +"
            if old_left < 0 or new_left < 0:
                raise self._odd("a hunk holds more lines than it says")
            self._at += 1
            if self._peek().startswith("\\ No newline"):
                lines[-1] = lines[-1]._replace(ended=False)
                self._at += 1
        if not any(line.mark in "+-" for line in lines):
            raise self._odd("a hunk changes nothing")
        return Hunk(old, old_count, new, new_count, tuple(lines))

    def _change(self, header: _Header, hunks: tuple[Hunk, ...]) -> FileChange:
        kind = _kind(header)
        path, old_path = self._paths(header, kind)
        if not hunks and not header.binary and not header.modes and not header.names:
            raise self._odd(f"nothing is said about {path!r}")
        old_mode = header.modes.get("old mode", header.modes.get("deleted file mode", header.index_mode))
        new_mode = header.modes.get("new mode", header.modes.get("new file mode", header.index_mode))
        return FileChange(
            path=path,
            old_path=old_path,
            kind=kind,
            old_mode=None if kind is ChangeKind.added else old_mode,
            new_mode=None if kind is ChangeKind.deleted else new_mode,
            binary=header.binary,
            hunks=hunks,
        )

    def _paths(self, header: _Header, kind: ChangeKind) -> tuple[str, str]:
        old, new = header.old, header.new
        if (old == _NOWHERE) != (kind is ChangeKind.added) and old is not None:
            raise self._odd("the header and the old name disagree on whether the file is new")
        if (new == _NOWHERE) != (kind is ChangeKind.deleted) and new is not None:
            raise self._odd("the header and the new name disagree on whether the file goes away")
        if kind in (ChangeKind.renamed, ChangeKind.copied):
            verb = "rename" if kind is ChangeKind.renamed else "copy"
            source, target = header.names.get(f"{verb} from"), header.names.get(f"{verb} to")
            if source is None or target is None or len(header.names) != 2:
                raise self._odd("a renaming is told by halves")
        else:
            told = [name for name in (old, new) if name not in (None, _NOWHERE)]
            source = target = told[0] if told else None
            if len(set(told)) > 1:
                raise self._odd(f"the names {told[0]!r} and {told[1]!r} disagree")
        if header.rest:
            source, target = header_names(header.rest, source, target)
        if source is None or target is None:
            raise self._odd("no file is named")
        if old not in (None, _NOWHERE, source) or new not in (None, _NOWHERE, target):
            raise self._odd("the names disagree")
        return target, source

    def _once(self, seen: dict[str, int] | dict[str, str], key: str) -> None:
        if key in seen:
            raise self._odd(f"{key!r} stands twice")

    def _peek(self, *, inside: bool = False) -> str:
        if self._at < len(self._lines):
            return self._lines[self._at]
        if inside:
            raise self._odd("a hunk is cut off")
        return ""

    def _odd(self, what: str) -> PatchError:
        line = self._lines[self._at] if self._at < len(self._lines) else "(the end)"
        return PatchError(f"patch line {self._at + 1}: {what}, not {line[:120]!r}", hint="Make the patch with `git diff`.")


def _kind(header: _Header) -> ChangeKind:
    kinds = []
    if "new file mode" in header.modes or (not header.rest and header.old == _NOWHERE):
        kinds.append(ChangeKind.added)
    if "deleted file mode" in header.modes or (not header.rest and header.new == _NOWHERE):
        kinds.append(ChangeKind.deleted)
    if any(name.startswith("rename") for name in header.names):
        kinds.append(ChangeKind.renamed)
    if any(name.startswith("copy") for name in header.names):
        kinds.append(ChangeKind.copied)
    if len(kinds) > 1:
        raise PatchError(f"a file is said to be {' and '.join(kinds)} at once")
    return kinds[0] if kinds else ChangeKind.modified
