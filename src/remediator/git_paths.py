"""Which names may stand in a tree, and which symbolic links stay inside it."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MOST_LINKS = 40
# Nearly all paths: seen to be harmless at one glance.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
# Characters that case-folding file systems drop or map, so that the name is taken for git's own folder.
_DROPPED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def objection(path: str) -> str:
    """Return why no file may have this path, or an empty string."""
    if len(path) < 200 and _PLAIN.fullmatch(path):
        return ""
    if not path or path.startswith("/"):
        return "is absolute" if path else "is empty"
    if "\0" in path:
        return "holds a NUL character"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty, '.' or '..' part"
    if any(_is_git(part) for part in parts):
        return "lies in a .git folder"
    if len(path) > 4096 or any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts):
        return "is too long"
    return ""


def _is_git(part: str) -> bool:
    plain = _DROPPED.sub("", part).lower().split(":", 1)[0].rstrip(" .")
    return plain == ".git" or plain == "git~1"


def stays_inside(path: str, target: str, links: Mapping[str, str]) -> bool:
    """Return whether the symbolic link at `path` leads nowhere outside, with the tree's other links (path to target) followed."""
    left = _MOST_LINKS
    at = path.split("/")[:-1]
    ahead = _parts(target)
    if target.startswith("/") or not target or "\0" in target:
        return False
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not at:
                return False
            at.pop()
            continue
        at.append(part)
        further = links.get("/".join(at))
        if further is not None:
            left -= 1
            if not left or further.startswith("/") or len(ahead) > _MOST_LINKS * 100:
                return False
            at.pop()
            ahead += _parts(further)
    return True


def _parts(target: str) -> list[str]:
    return [part for part in reversed(target.split("/")) if part not in ("", ".")]
