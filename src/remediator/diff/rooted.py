"""A diff of a folder of a repository, told from the repository's root, where everybody else applies it."""

from __future__ import annotations

import re

from remediator.diff.change import FileChange
from remediator.diff.parse import parse
from remediator.errors import PatchError

_PLAIN = re.compile(r"(?:[A-Za-z0-9_+@=,.-]+/)*[A-Za-z0-9_+@=,.-]+")
"""Names that git writes as they are: it quotes others, each of its versions in its own way."""
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_NAMED = ("rename from ", "rename to ", "copy from ", "copy to ")


def is_plain(folder: str) -> bool:
    """Return whether it is a folder below the root whose name needs no quoting; `.` and `..` are no parts of one."""
    return _PLAIN.fullmatch(folder) is not None and not {".", "..", ".git"} & set(folder.lower().split("/"))


def rooted(diff: str, folder: str) -> str:
    """Return the diff with its names below `folder`; nothing else of it changes. Raises PatchError where that cannot be told for sure."""
    if not folder:
        return diff
    if not is_plain(folder):
        raise PatchError(f"{folder[:200]!r} is no folder that a diff can be told from", hint="plain names, with / between them")
    before = parse(diff)
    # A name with " b/" in it makes a header that reads in two ways: those that are known are looked up.
    headers = {_header(each): _header(_moved(each, folder)) for each in before}
    lines, left = [], (0, 0)
    for line in diff.split("\n"):
        if left != (0, 0) or line.startswith("\\"):
            lines.append(line)
            left = _after(line, left)
            continue
        if (match := _HUNK.match(line)) is not None:
            left = int(match[1] or 1), int(match[2] or 1)
        lines.append(headers.get(line) or _named(line, folder))
    after = "\n".join(lines)
    if parse(after) != tuple(_moved(change, folder) for change in before):
        raise PatchError("the diff's names cannot be told from the repository's root", hint="make the patch with `git diff`")
    return after


def _after(line: str, left: tuple[int, int]) -> tuple[int, int]:
    old, new = left
    mark = line[:1]
    return max(0, old - (mark in ("-", " ", ""))), max(0, new - (mark in ("+", " ", "")))


def _named(line: str, folder: str) -> str:
    if line.startswith("diff --git "):
        return re.sub(r'(?<= )("?)([ab])/', rf"\1\2/{folder}/", line)
    if line.startswith(("--- ", "+++ ")):
        return re.sub(r'\A(\S+ "?)([ab])/', rf"\1\2/{folder}/", line)
    for words in _NAMED:
        if line.startswith(words):
            return re.sub(rf'\A{words}("?)', rf"{words}\1{folder}/", line)
    return line


def _header(change: FileChange) -> str:
    return f"diff --git a/{change.old_path} b/{change.path}"


def _moved(change: FileChange, folder: str) -> FileChange:
    return change._replace(path=f"{folder}/{change.path}", old_path=f"{folder}/{change.old_path}")
