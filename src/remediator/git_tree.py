"""The files of one commit, read from a bare store."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from remediator.contracts.tree import Tree, TreeEntry
from remediator.errors import GitError
from remediator.git_command import Git
from remediator.git_objects import ObjectReader, blob_stream
from remediator.git_paths import objection, stays_inside
from remediator.redact import printable

_LINK, _SUBMODULE = 0o120000, 0o160000
_BLOCK = 512
# Fixed, so that the same tree always gives the same stream; after 1980, since zip files cannot hold earlier times.
_TAR_TIME = 1_000_000_000


class TreeLimits(NamedTuple):
    """What is accepted of a source."""

    entries: int = 400_000
    total_bytes: int = 4 * 1024**3
    file_bytes: int = 1024**3
    pack_bytes: int = 2 * 1024**3


class StoredTree(Tree):
    """A tree in a bare store."""

    def __init__(self, git: Git, objects: ObjectReader, *, tree: str, commit: str) -> None:
        self._git, self._objects = git, objects
        self._tree, self._commit = tree, commit
        self._entries: tuple[TreeEntry, ...] | None = None
        self._by_path: dict[str, TreeEntry] = {}

    @property
    def id(self) -> str:
        """Return the tree's git object id (hex)."""
        return self._tree

    @property
    def commit(self) -> str:
        """Return the commit that this tree is, or is based on."""
        return self._commit

    def entries(self) -> Sequence[TreeEntry]:
        """Return all entries, sorted by path. Raises GitError where the tree is not acceptable."""
        if self._entries is None:
            entries = list_tree(self._git, self._tree, TreeLimits())
            self._by_path = {entry.path: entry for entry in entries}
            self._entries = entries
        return self._entries

    def find(self, path: str) -> TreeEntry | None:
        """Return the entry at `path`, or None."""
        self.entries()
        return self._by_path.get(path)

    def read(self, path: str, *, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
        """Return a regular file's content. Raises KeyError where there is none, GitError where it is larger than the limit."""
        entry = self.find(path)
        if entry is None or not entry.is_file:
            raise KeyError(path)
        if entry.size > limit_bytes:
            raise GitError(f"{printable(path)} has {entry.size} bytes, more than {limit_bytes}")
        return self._objects.read(entry.oid).data

    def link_target(self, path: str) -> str:
        """Return where a symbolic link leads. Raises KeyError where there is none."""
        entry = self.find(path)
        if entry is None or entry.mode != _LINK:
            raise KeyError(path)
        if entry.size > 4096:
            return ""
        return self._objects.read(entry.oid).data.decode("utf-8", "surrogateescape")

    def tar(self) -> Iterator[bytes]:
        """Yield an uncompressed tar stream of all regular files and of those symbolic links that stay inside the tree."""
        links = {entry.path: self.link_target(entry.path) for entry in self.entries() if entry.mode == _LINK}
        files = [entry for entry in self.entries() if entry.is_file]
        with blob_stream(self._git, [entry.oid for entry in files]) as blobs:
            for entry in files:
                yield _tar_header(entry.path, size=entry.size, mode=entry.mode & 0o777)
                yield from blobs.next()
                yield b"\0" * (-entry.size % _BLOCK)
        for path, target in links.items():
            if stays_inside(path, target, links):
                yield _tar_header(path, link=target)
        yield b"\0" * (_BLOCK * 2)


def _tar_header(path: str, *, size: int = 0, mode: int = 0o777, link: str = "") -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = size, mode, _TAR_TIME
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    # GNU headers carry any bytes and any length, and every tar reads them.
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def list_tree(git: Git, tree: str, limits: TreeLimits) -> tuple[TreeEntry, ...]:
    """Return a tree's entries, sorted by path, checked for size and names. Raises GitError where they are not acceptable."""
    listing = git.call("ls-tree", "-r", "-l", "-z", "--full-tree", tree, output_bytes=limits.entries * 512)
    entries = tuple(sorted((_entry(line) for line in listing.split(b"\0") if line), key=lambda entry: entry.path))
    check_entries(entries, limits)
    return entries


def _entry(line: bytes) -> TreeEntry:
    facts, _, path = line.partition(b"\t")
    mode, _, oid, size = facts.decode("ascii").split()
    return TreeEntry(path.decode("utf-8", "surrogateescape"), int(mode, 8), oid, 0 if size == "-" else int(size))


def check_entries(entries: Sequence[TreeEntry], limits: TreeLimits) -> None:
    """Raise GitError where a tree is too large or a name in it is not acceptable."""
    if len(entries) > limits.entries:
        raise GitError(f"the repository has {len(entries)} files, more than {limits.entries}")
    total = sum(entry.size for entry in entries)
    if total > limits.total_bytes:
        raise GitError(f"the repository's files have {total} bytes, more than {limits.total_bytes}")
    for entry in entries:
        if why := objection(entry.path):
            raise GitError(f"the repository holds the path {printable(entry.path)!r}, which {why}")
        if entry.size > limits.file_bytes:
            raise GitError(f"{printable(entry.path)} has {entry.size} bytes, more than {limits.file_bytes}")
