"""The files of one commit, read from our own store and never from a folder that repository code can write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class TreeEntry(NamedTuple):
    """One file. `path` is relative with forward slashes; undecodable bytes are surrogate-escaped.

    `mode` is git's: 0o100644, 0o100755, 0o120000 (symbolic link), 0o160000 (submodule). `size` is in bytes, 0 for a submodule.
    """

    path: str
    mode: int
    oid: str
    size: int

    @property
    def is_file(self) -> bool:
        """Return whether this is a regular file."""
        return self.mode in (0o100644, 0o100755)


class Tree(ABC):
    """An immutable set of files. All methods block and are safe to call from a thread."""

    @property
    @abstractmethod
    def id(self) -> str:
        """Return the tree's git object id (hex)."""

    @property
    @abstractmethod
    def commit(self) -> str:
        """Return the commit that this tree is, or is based on."""

    @abstractmethod
    def entries(self) -> Sequence[TreeEntry]:
        """Return all entries, sorted by path."""

    @abstractmethod
    def read(self, path: str, *, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
        """Return a regular file's content.

        Raises KeyError where there is no such regular file, GitError where it is larger than `limit_bytes`.
        """

    @abstractmethod
    def tar(self) -> Iterator[bytes]:
        """Yield an uncompressed tar stream of all regular files and of those symbolic links that stay inside the tree."""

    def find(self, path: str) -> TreeEntry | None:
        """Return the entry at `path`, or None."""
        return next((entry for entry in self.entries() if entry.path == path), None)
