"""What a path may look like, whatever the file is for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from remediator.diff.objection import Objection

# Code points that HFS+ leaves out when it compares names.
_IGNORED = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), *range(0x206A, 0x2070), 0xFEFF, 0x00AD])
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
_GIT = re.compile(r"\.git(?!hub|lab)|git~\d|gi[0-9a-f]{4}~\d")
_MAX_BYTES = 1024


def folded(path: str) -> str:
    """Return the path as the most forgiving file system would read it: one case, one composition, no invisible characters."""
    text = unicodedata.normalize("NFKC", path).translate(_IGNORED).casefold().replace("\\", "/")
    return "/".join(_stem(part) for part in text.split("/"))


def _stem(part: str) -> str:
    return part if part in (".", "..") else part.partition(":")[0].rstrip(" .") or part


def escapes(path: str) -> Iterator[Objection]:
    """Yield what makes a path point somewhere else than it seems to, or into git's own files."""
    parts = re.split(r"[/\\]", path)
    flat = folded(path)
    if path.startswith(("/", "\\", "~")) or re.match(r"[A-Za-z]:", path):
        yield Objection("absolute-path", path, "the path is absolute")
    elif any(_stem_of_dots(part) for part in parts):
        yield Objection("parent-path", path, "the path leaves the tree")
    elif "" in parts or "." in parts or not path:
        yield Objection("odd-path", path, "the path has an empty part")
    if any(unicodedata.category(char) in _HIDDEN for char in path):
        yield Objection("odd-path", path, "the path holds control, invisible or undecodable characters")
    elif "\\" in path or ":" in path or any(part != part.strip() or part.endswith(".") for part in parts if part not in (".", "..")):
        yield Objection("odd-path", path, "the path means different files on different systems")
    if len(path.encode("utf-8", "surrogateescape")) > _MAX_BYTES:
        yield Objection("odd-path", path, "the path is too long")
    for part in flat.split("/"):
        if _GIT.match(part):
            yield Objection("git-internals", path, f"{part!r} belongs to git")
        elif _DEVICE.fullmatch(part):
            yield Objection("odd-path", path, f"{part!r} is a device on some systems")


def _stem_of_dots(part: str) -> bool:
    """Return whether a part is `..`, also when dressed up with what some systems ignore."""
    bare = unicodedata.normalize("NFKC", part).translate(_IGNORED).strip()
    return len(bare) > 1 and not bare.strip(".")


def lookalike(path: str) -> Iterator[Objection]:
    """Yield what makes the name of a new file pass for another one."""
    if not path.isascii():
        yield Objection("odd-path", path, "a new file's name must be ASCII")
