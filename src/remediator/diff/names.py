"""File names as they stand in a diff: quoted or not, one or two on a line."""

from __future__ import annotations

import re

from remediator.errors import PatchError

_ESCAPE = re.compile(r"\\([0-7]{3}|[abtnvfr\"\\])|\\")
_MAX_HEADER = 8192
_LETTERS = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def unquoted(name: str) -> str:
    """Return the name that a plain or C-quoted word stands for; undecodable bytes are surrogate-escaped.

    Raises PatchError.
    """
    if not name.startswith('"'):
        return name
    if len(name) < 2 or not name.endswith('"'):
        raise PatchError(f"the name {name!r} is quoted by halves")
    raw = bytearray()
    at = 1
    end = len(name) - 1
    while at < end:
        if name[at] == '"':
            raise PatchError(f"the name {name!r} holds a bare quote")
        if name[at] != "\\":
            raw += name[at].encode("utf-8")
            at += 1
            continue
        match = _ESCAPE.match(name, at, end)
        if not match or match[1] is None:
            raise PatchError(f"the name {name!r} holds an unknown escape")
        raw += bytes([int(match[1], 8) & 0xFF]) if match[1][0] in "01234567" else _LETTERS[match[1]].encode()
        at = match.end()
    return raw.decode("utf-8", "surrogateescape")


def header_names(rest: str, source: str | None, target: str | None) -> tuple[str, str]:
    """Return the two names of a `diff --git` line without their a/ and b/; those known already must agree with it.

    Raises PatchError.
    """
    if len(rest) > _MAX_HEADER:
        raise PatchError(f"a file's header has {len(rest)} characters")
    for old, new in _splits(rest):
        if not (old.startswith("a/") and new.startswith("b/")):
            continue
        pair = (old[2:], new[2:])
        if source is None and target is None and pair[0] != pair[1]:
            continue
        if source in (None, pair[0]) and target in (None, pair[1]):
            return pair
    raise PatchError(f"the header {rest[:200]!r} does not name the file that the patch changes")


def _splits(rest: str) -> list[tuple[str, str]]:
    found = []
    for match in re.finditer(" ", rest):
        old, new = rest[: match.start()], rest[match.end() :]
        try:
            found.append((unquoted(old), unquoted(new)))
        except PatchError:
            continue
    return found
