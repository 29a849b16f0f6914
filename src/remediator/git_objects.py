"""Reads objects of a git folder: one by one through a long-lived process, or many in a stream."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from remediator.errors import GitError
from remediator.git_command import Git, end

_CHUNK = 1024 * 1024


class GitObject(NamedTuple):
    """An object's type and content."""

    kind: str
    data: bytes


class ObjectReader:
    """Reads single objects; starts git at the first one, and again should it have gone."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.Lock()  # guards the process: one question and its whole answer at a time
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[..., ObjectReader] | None = None

    def read(self, oid: str) -> GitObject:
        """Return an object. Raises GitError where it is missing."""
        with self._lock:
            process = self._running()
            try:
                _ask(process, oid)
                kind, size = _header(process, oid)
                data = b"".join(_content(process, size))
            except (GitError, OSError):
                self._end()
                raise
        return GitObject(kind, data)

    def close(self) -> None:
        """End the process; reading again starts a new one."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = self._git.start("cat-file", "--batch")
            self._finalizer = weakref.finalize(self, end, self._process)
        return self._process

    def _end(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._finalizer = None


class BlobStream:
    """Reads many blobs in the order that was asked for; `next` moves on, `chunks` gives the content."""

    def __init__(self, process: subprocess.Popen[bytes], oids: Sequence[str]) -> None:
        self._process = process
        self._oids = iter(oids)
        self._asker = threading.Thread(target=self._ask_all, args=(list(oids),), daemon=True)
        self._asker.start()

    def next(self) -> Iterator[bytes]:
        """Return the next blob's content in chunks, to be read to the end. Raises GitError where it is no blob."""
        oid = next(self._oids)
        kind, size = _header(self._process, oid)
        if kind != "blob":
            raise GitError(f"object {oid} is a {kind}, not a file")
        return _content(self._process, size)

    def _ask_all(self, oids: list[str]) -> None:
        assert self._process.stdin
        # Whoever reads has stopped where the pipe is broken.
        with contextlib.suppress(OSError, ValueError):
            for start in range(0, len(oids), 1000):
                self._process.stdin.write("".join(f"{oid}\n" for oid in oids[start : start + 1000]).encode())
            self._process.stdin.close()


@contextlib.contextmanager
def blob_stream(git: Git, oids: Sequence[str]) -> Iterator[BlobStream]:
    """Open a stream of blobs."""
    with git.process("cat-file", "--batch", "--buffer") as process:
        yield BlobStream(process, oids)


def _ask(process: subprocess.Popen[bytes], oid: str) -> None:
    assert process.stdin
    process.stdin.write(f"{oid}\n".encode())
    process.stdin.flush()


def _header(process: subprocess.Popen[bytes], oid: str) -> tuple[str, int]:
    assert process.stdout
    words = process.stdout.readline().decode("ascii", "replace").split()
    if len(words) != 3 or words[0] != oid:
        raise GitError(f"object {oid} cannot be read", hint="fetch the source again")
    return words[1], int(words[2])


def _content(process: subprocess.Popen[bytes], size: int) -> Iterator[bytes]:
    assert process.stdout
    left = size
    while left:
        chunk = process.stdout.read(min(left, _CHUNK))
        if not chunk:
            raise GitError("git ended in the middle of an object", hint="fetch the source again")
        left -= len(chunk)
        yield chunk
    process.stdout.read(1)
