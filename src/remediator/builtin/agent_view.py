"""How a program is shown to a model: folders, pages of files, what a search found; each bounded, and with the way to see the rest."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from remediator.builtin.prompts import quoted

_MOST_ENTRIES, _MOST_LINES, _MOST_MATCHES = 300, 400, 100
_LINE, _MATCH, _PAGE, _LISTED = 400, 300, 22_000, 16_000
# Outside of brackets, and within.
_CLASSES = {
    "d": ("[0-9]", "0-9"),
    "D": ("[^0-9]", ""),
    "w": ("[[:alnum:]_]", "[:alnum:]_"),
    "s": ("[[:space:]]", "[:space:]"),
    "t": ("\t", "\t"),
}


def tidy(path: str) -> str:
    """Return a path below the program's folder, whichever way it was written: `./a`, `/job/a`, `a/`."""
    path = path.strip()
    if path == "/job" or path.startswith("/job/"):
        path = path[5:]
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return "" if path == "." else path.rstrip("/") if path.strip("/") else path


def listing(paths: Sequence[str], folder: str) -> str:
    """Return what is below a folder: every file, or where those are too many, what stands directly in it."""
    below = [path for path in paths if not folder or path == folder or path.startswith(f"{folder}/")]
    if not below:
        return f"there is nothing below {folder[:200]!r}{near(folder, paths)}" if folder else "there are no files"
    if len(below) <= _MOST_ENTRIES:
        return quoted("files", "\n".join(below), _LISTED)
    start = len(folder) + 1 if folder else 0
    counted = Counter(f"{head}/" if sep else head for head, sep, _ in (path[start:].partition("/") for path in below))
    lines = [f"{name} ({number} files)" if name.endswith("/") else name for name, number in sorted(counted.items())]
    told = quoted("files", "\n".join(lines[:_MOST_ENTRIES]), _LISTED)
    more = f"; {len(lines) - _MOST_ENTRIES} more entries are not shown" if len(lines) > _MOST_ENTRIES else ""
    return f"{told}\n{len(below)} files in all{more}; list one of its folders, or search"


def page(data: bytes, start: int, lines: int) -> str:
    """Return lines of a file with their numbers, as many as fit, and how to go on."""
    text = data.decode("utf-8", "backslashreplace").split("\n")
    if len(text) > 1 and not text[-1]:
        text.pop()
    shown: list[str] = []
    size, last = 0, min(start, len(text) + 1) - 1
    for number, line in enumerate(text[start - 1 : start - 1 + min(lines, _MOST_LINES)], start):
        bare = line.removesuffix("\r")
        cut = bare if len(bare) <= _LINE else f"{bare[:_LINE]} [… {len(bare) - _LINE} more characters of this line]"
        size += len(cut) + 7
        if size > _PAGE and shown:
            break
        shown.append(f"{number:5} {cut}")
        last = number
    rest = f"; go on with start={last + 1}" if last < len(text) else ""
    told = quoted("file", "\n".join(shown)) if shown else f"there is no line {start}"
    return f"{told}\n{len(text)} lines in all{rest}"


def near(path: str, paths: Sequence[str]) -> str:
    """Return the paths that may have been meant by one that is not there."""
    name = path.rpartition("/")[2]
    same = [other for other in paths if other.rpartition("/")[2] == name]
    found = same or difflib.get_close_matches(path[:200], paths[:5_000], n=3, cutoff=0.7)
    return f"; perhaps:\n{quoted('paths', chr(10).join(found[:5]))}" if path and found else ""


def matches(stdout: bytes) -> str:
    """Return what was found, in lines of a length that leaves room for the others."""
    lines = stdout.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")
    shown = quoted("matches", "\n".join(line[:_MATCH] for line in lines[:_MOST_MATCHES]), 12_000)
    return shown + (f"\n{len(lines) - _MOST_MATCHES} more lines match: search for something narrower" if len(lines) > _MOST_MATCHES else "")


def posix(pattern: str) -> str:
    """Return a pattern as `grep -E` reads it: `\\d` and the like, which it does not know, and groups that are not kept."""
    out, inside, place = [], False, 0
    while place < len(pattern):
        char, following = pattern[place], pattern[place + 1 : place + 2]
        if char == "\\" and following in _CLASSES:
            out.append(_CLASSES[following][inside])
            place += 2
        elif char == "\\":
            out.append(char + following)
            place += 2
        elif not inside and pattern.startswith("(?:", place):
            out.append("(")
            place += 3
        else:
            # A bracket right after the opening one, or after its ^, is a character of the set.
            opens = char == "[" and not inside
            closes = char == "]" and inside and pattern[place - 1] != "[" and pattern[place - 2 : place] != "[^"
            inside = opens or (inside and not closes)
            out.append(char)
            place += 1
    return "".join(out)
