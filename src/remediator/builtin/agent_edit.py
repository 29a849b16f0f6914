"""Replaces text in a file as a model gives it: exactly, or where only whitespace or copied line numbers are between it and one place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from remediator.builtin.prompts import quoted

_NUMBERED = re.compile(r" {0,4}\d{1,7}(?: |\t|$)")
_NOT_TEXT = re.compile(r"\\x([89a-f][0-9a-f])")
_MOST_LINES, _MOST_PLACES, _COMPARED, _WIDTH = 200, 8, 5_000, 200
_AROUND, _TELLING = 2, 20


class Replaced(NamedTuple):
    """The file's new content, and what the model is told where its text was not taken as it is."""

    data: bytes
    note: str


class _Found(NamedTuple):
    start: int
    end: int
    new: str
    note: str


def replaced(data: bytes, old: str, new: str) -> Replaced | str:
    """Return the file with the one place replaced, or why not and what stands nearest.

    A file's own line ends stay: where all are CRLF, those of `old` and `new` are read as such.
    """
    if not old.strip("\n"):
        return "`old` is empty; to add text, give a line that is there as `old`, and that line with the new text as `new`"
    if old == new:
        return "`old` and `new` are the same: nothing would change"
    text, old, new = _as_text(data, old, new)
    windows = text.count("\r\n") == text.count("\n") > 0
    if windows or "\r\n" in old:
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    plain = text.replace("\r\n", "\n") if windows else text
    found = _found(plain, old, new)
    if isinstance(found, str):
        return found
    edited = plain[: found.start] + found.new + plain[found.end :]
    return Replaced(_as_bytes(edited.replace("\n", "\r\n") if windows else edited), found.note)


def with_line_ends_of(before: bytes | None, content: str) -> bytes:
    """Return a file's whole new content; where the file was all CRLF, it stays so."""
    if before and before.count(b"\r\n") == before.count(b"\n") > 0:
        content = content.replace("\r\n", "\n").replace("\n", "\r\n")
    return content.encode("utf-8", "surrogatepass")


def _as_text(data: bytes, old: str, new: str) -> tuple[str, str, str]:
    """Return all three as texts; bytes that are none are shown as \\xe9 when read, and come back as that."""
    try:
        return data.decode("utf-8"), old, new
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
        return text, _escaped(old), _escaped(new)


def _escaped(text: str) -> str:
    return _NOT_TEXT.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text)


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _found(text: str, old: str, new: str) -> _Found | str:
    exact = [match.start() for match in re.finditer(re.escape(old), text)]
    if len(exact) == 1:
        return _Found(exact[0], exact[0] + len(old), new, "")
    if exact:
        return _too_often([text.count("\n", 0, place) + 1 for place in exact])
    lines = text.split("\n")
    for wanted, instead, note in ((old, new, ""), (*_unnumbered(old, new), "line numbers were left out; ")):
        if wanted is None:
            continue
        if note and text.count(wanted) == 1:
            start = text.index(wanted)
            return _Found(start, start + len(wanted), instead, note.rstrip("; "))
        found = _by_lines(lines, wanted.strip("\n").split("\n"), instead, note)
        if found is not None:
            return found
    if len(new) >= _TELLING and new in text:
        return "`old` does not stand in the file, but `new` does: this edit was made already"
    return f"`old` stands 0 times in the file; copy it from what `read` shows, without the line numbers{_nearest(lines, old)}"


def _unnumbered(old: str, new: str) -> tuple[str, str] | tuple[None, str]:
    """Return both without the line numbers that `read` puts before lines."""
    if not _is_numbered(old):
        return None, new
    return _bare(old), _bare(new) if _is_numbered(new) else new


def _is_numbered(text: str) -> bool:
    return all(_NUMBERED.match(line) for line in text.split("\n") if line.strip())


def _bare(text: str) -> str:
    return "\n".join(_NUMBERED.sub("", line, count=1) for line in text.split("\n"))


def _by_lines(lines: Sequence[str], wanted: Sequence[str], new: str, note: str) -> _Found | str | None:
    """Return the one run of lines that differs in blanks at the ends of lines, or by one indentation before all of them."""
    bare = [line.strip() for line in wanted]
    if not any(bare) or len(wanted) > len(lines):
        return None
    first = next(place for place, line in enumerate(bare) if line)
    starts = [place - first for place, line in enumerate(lines) if line.strip() == bare[first]]
    runs = [start for start in starts if start >= 0 and [line.strip() for line in lines[start : start + len(bare)]] == bare]
    known = {start: indent for start in runs if (indent := _indent(lines[start : start + len(bare)], wanted)) is not None}
    exact = {start: indent for start, indent in known.items() if not indent} or known
    if not exact:
        return None
    if len(exact) > 1:
        return _too_often([start + 1 for start in exact])
    ((start, indent),) = exact.items()
    body = new.strip("\n").split("\n") if new.strip("\n") else []
    shifted = "\n".join(f"{indent}{line}" if line.strip() else line for line in body)
    at = sum(len(line) + 1 for line in lines[:start])
    length = sum(len(line) + 1 for line in lines[start : start + len(bare)]) - 1
    if not body and start + len(bare) < len(lines):
        length += 1  # the line goes, and its end with it
    told = (
        f"the indentation {indent!r} was put before your lines"
        if indent
        else "blanks at the ends of lines, and empty lines around, were passed over"
    )
    return _Found(at, at + length, shifted, note + told)


def _indent(there: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Return what stands before every wanted line in the file; None where it is not one and the same."""
    found = {
        line.rstrip()[: len(line.rstrip()) - len(want.rstrip())] if line.rstrip().endswith(want.rstrip()) else None
        for line, want in zip(there, wanted, strict=True)
        if want.strip()
    }
    indent = found.pop() if len(found) == 1 else None
    return indent if indent is not None and not indent.strip() else None


def _too_often(lines: Sequence[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:_MOST_PLACES]) + (", …" if len(lines) > _MOST_PLACES else "")
    return f"`old` stands {len(lines)} times in the file, at the lines {shown}; add the lines around the one that is meant"


def _nearest(lines: Sequence[str], old: str) -> str:
    wanted = [line.strip() for line in old.split("\n")[:_MOST_LINES] if line.strip()]
    place = _place(lines, wanted) if wanted else None
    if place is None:
        return ""
    start, end = max(0, place - _AROUND), min(len(lines), place + min(len(wanted), 20) + _AROUND)
    shown = "\n".join(f"{number + 1:5} {lines[number][:_WIDTH]}" for number in range(start, end))
    return f". The nearest:\n{quoted('nearest', shown.encode('utf-8', 'backslashreplace').decode(), 6_000)}"


def _place(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return where most of the wanted lines stand together, else where the longest one has its like."""
    known = set(wanted)
    hits = [line.strip() in known for line in lines]
    score, best, most = 0, None, 0
    for place, hit in enumerate(hits):
        score += hit - (hits[place - len(wanted)] if place >= len(wanted) else 0)
        if score > most:
            best, most = place - len(wanted) + 1, score
    if best is not None:
        return max(0, best)
    bare = [line.strip()[:_WIDTH] for line in lines[:_COMPARED]]
    like = difflib.get_close_matches(max(wanted, key=len)[:_WIDTH], list(dict.fromkeys(bare)), n=1, cutoff=0.5)
    return bare.index(like[0]) if like else None
