"""A tree in memory."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence

from remediator.contracts import Tree, TreeEntry
from remediator.errors import GitError

_EMPTY_COMMIT = "0" * 40


class FakeTree(Tree):
    """Files by path; values are text or bytes. Its ids depend on the content, as git's do."""

    def __init__(self, files: Mapping[str, str | bytes], *, executable: Sequence[str] = ()) -> None:
        self._files = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
        self._executable = frozenset(executable)

    @property
    def id(self) -> str:
        """Return an id made from all entries."""
        return hashlib.sha1(
            "".join(f"{e.mode:o} {e.path} {e.oid}\n" for e in self.entries()).encode("utf-8", "surrogateescape"), usedforsecurity=False
        ).hexdigest()

    @property
    def commit(self) -> str:
        """Return the null commit."""
        return _EMPTY_COMMIT

    def entries(self) -> Sequence[TreeEntry]:
        """Return all files, sorted by path."""
        return [self._entry(path, data) for path, data in sorted(self._files.items())]

    def _entry(self, path: str, data: bytes) -> TreeEntry:
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        return TreeEntry(path, 0o100755 if path in self._executable else 0o100644, oid, len(data))

    def read(self, path: str, *, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
        """Return a file's content. Raises KeyError, GitError."""
        data = self._files[path]
        if len(data) > limit_bytes:
            raise GitError(f"{path} has {len(data)} bytes, more than {limit_bytes}")
        return data

    def tar(self) -> Iterator[bytes]:
        """Yield all files as one tar."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for entry in self.entries():
                info = tarfile.TarInfo(entry.path)
                info.size, info.mode = entry.size, entry.mode & 0o777
                archive.addfile(info, io.BytesIO(self._files[entry.path]))
        yield buffer.getvalue()

    def replaced(self, edits: Mapping[str, bytes]) -> FakeTree:
        """Return a tree with some files' content replaced or added."""
        return FakeTree({**self._files, **edits}, executable=tuple(self._executable))
