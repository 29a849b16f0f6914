"""git's object ids, computed by ourselves: what makes a base archive checkable against anybody's clone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from remediator.errors import EvidenceError

_DIRECTORY = 0o040000


class GitEntry(NamedTuple):
    """One file of a tree, by its path's bytes."""

    path: bytes
    mode: int
    oid: str


def blob_id(data: bytes, *, like: str) -> str:
    """Return the git id of a file's content, in the hash that the id `like` is of."""
    return _hashed(b"blob", data, like)


def tree_id(entries: Iterable[GitEntry], *, like: str) -> str:
    """Return the git id of the tree that holds the entries. Raises EvidenceError where a path is both a file and a folder."""
    folders: dict[bytes, dict[bytes, tuple[int, str]]] = {b"": {}}
    for entry in entries:
        parent, _, name = entry.path.rpartition(b"/")
        _folder(folders, parent)
        if name in folders[parent]:
            raise EvidenceError(f"{entry.path!r} stands twice in the base tree")
        folders[parent][name] = (entry.mode, entry.oid)
    for path in sorted(folders, key=lambda path: -path.count(b"/") if path else 1):
        oid = _hashed(b"tree", _tree(folders[path]), like)
        if not path:
            return oid
        parent, _, name = path.rpartition(b"/")
        if name in folders[parent]:
            raise EvidenceError(f"{path!r} is both a file and a folder in the base tree")
        folders[parent][name] = (_DIRECTORY, oid)
    raise AssertionError("the root folder comes last")


def _folder(folders: dict[bytes, dict[bytes, tuple[int, str]]], path: bytes) -> None:
    while path not in folders:
        folders[path] = {}
        path = path.rpartition(b"/")[0]


def _tree(entries: dict[bytes, tuple[int, str]]) -> bytes:
    # git sorts a folder as if its name ended in a slash.
    ordered = sorted(entries.items(), key=lambda item: item[0] + (b"/" if item[1][0] == _DIRECTORY else b""))
    return b"".join(b"%o %b\0" % (mode, name) + bytes.fromhex(oid) for name, (mode, oid) in ordered)


def _hashed(kind: bytes, content: bytes, like: str) -> str:
    hasher = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    hasher.update(b"%b %d\0" % (kind, len(content)))
    hasher.update(content)
    return hasher.hexdigest()
