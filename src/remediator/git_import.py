"""Writes files as a commit into a bare store: a stream for `git fast-import`, so no work tree is ever needed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from remediator.errors import GitError
from remediator.git_paths import objection
from remediator.git_tree import TreeLimits
from remediator.redact import printable

_CHUNK = 1024 * 1024
_MODES = (0o100644, 0o100755, 0o120000, 0o160000)


class ImportedFile(NamedTuple):
    """One file to import. `data` is its content, or the file on disk that holds it; for a submodule the commit's id in hex."""

    path: str
    mode: int
    data: bytes | Path


def import_stream(files: Iterable[ImportedFile], *, ref: str, message: str, when: datetime, limits: TreeLimits) -> Iterator[bytes]:
    """Yield the stream that makes a commit of the files. Raises GitError where a file is not acceptable."""
    body = message.encode("utf-8", "backslashreplace").replace(b"\0", b"")
    stamp = int(when.timestamp())
    yield f"feature done\ncommit {ref}\nmark :1\ncommitter remediator <remediator@localhost> {stamp} +0000\n".encode()
    yield b"data %d\n%b\n" % (len(body), body)
    total = 0
    for count, file in enumerate(files, start=1):
        for chunk in _file(file, limits):
            total += len(chunk)
            yield chunk
        if count > limits.entries:
            raise GitError(f"the source has more than {limits.entries} files")
        if total > limits.total_bytes:
            raise GitError(f"the source's files have more than {limits.total_bytes} bytes")
    yield b"\nget-mark :1\ndone\n"


def _file(file: ImportedFile, limits: TreeLimits) -> Iterator[bytes]:
    if why := objection(file.path):
        raise GitError(f"the source holds the path {printable(file.path)!r}, which {why}")
    if file.mode not in _MODES:
        raise GitError(f"{printable(file.path)} has the mode {file.mode:o}, which is none of git's")
    path = _quoted(file.path)
    if file.mode == 0o160000:
        assert isinstance(file.data, bytes)
        yield b"M 160000 %b %b\n" % (file.data, path)
        return
    yield b"M %o inline %b\n" % (file.mode, path)
    yield from _inline(file, limits)


def _inline(file: ImportedFile, limits: TreeLimits) -> Iterator[bytes]:
    if isinstance(file.data, bytes):
        _check_size(file.path, len(file.data), limits)
        yield b"data %d\n" % len(file.data)
        yield file.data
        yield b"\n"
        return
    descriptor = os.open(file.data, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.closing(os.fdopen(descriptor, "rb")) as source:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise GitError(f"{printable(str(file.data))} is not a regular file")
        _check_size(file.path, facts.st_size, limits)
        yield b"data %d\n" % facts.st_size
        yield from _exactly(source.read, facts.st_size, file.path)
        yield b"\n"


def _exactly(read: object, size: int, path: str) -> Iterator[bytes]:
    assert callable(read)
    while size:
        chunk: bytes = read(min(size, _CHUNK))
        if not chunk:
            raise GitError(f"{printable(path)} became shorter while it was read", hint="try again when nothing writes there")
        size -= len(chunk)
        yield chunk


def _check_size(path: str, size: int, limits: TreeLimits) -> None:
    if size > limits.file_bytes:
        raise GitError(f"{printable(path)} has {size} bytes, more than {limits.file_bytes}")


def _quoted(path: str) -> bytes:
    raw = path.encode("utf-8", "surrogateescape")
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
