"""Artefacts by their digest, below the state folder; and the one way to write a file that is either whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from remediator.errors import StateError
from remediator.records.record import digest_of

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_TEMPORARY = ".partial-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_STALE_SECONDS = 24 * 3600


class ArtefactStore:
    """Keeps logs and reports under their digest: what was put once is what comes back, or an error."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Keep the bytes and return `sha256:<hex>`. Raises StateError where the disk is full or the folder cannot be written."""
        digest = digest_of(data)
        path = self._path(digest)
        if not self._holds(path, digest):
            private_folder(path.parent)
            write_atomically(path, data)
        return digest

    def get(self, digest: str) -> bytes:
        """Return what was put. Raises StateError where it is not there or no longer what it was."""
        path = self._path(digest)
        try:
            data = read_regular(path)
        except OSError as error:
            raise StateError(f"artefact {digest} cannot be read: {error.strerror}", hint="run the case again: its logs are gone") from error
        if digest_of(data) != digest:
            raise StateError(f"artefact {digest} is damaged: its content is {digest_of(data)}", hint="run the case again; check the disk")
        return data

    def has(self, digest: str) -> bool:
        """Return whether the bytes of this digest are here, undamaged."""
        return self._holds(self._path(digest), digest)

    def sweep(self) -> int:
        """Remove what writers left behind that died more than a day ago; return how many files."""
        before = time.time() - _STALE_SECONDS
        stale = [path for path in self._folder.glob(f"*/*/{_TEMPORARY}*") if _modified(path) < before]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def _path(self, digest: str) -> Path:
        if not _DIGEST.match(digest):
            raise StateError(f"{digest[:100]!r} is no digest", hint="an artefact is named sha256:<64 hex digits>")
        name = digest.removeprefix("sha256:")
        return self._folder / "sha256" / name[:2] / name[2:]

    def _holds(self, path: Path, digest: str) -> bool:
        try:
            with path.open("rb") as file:
                return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            return False


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner can enter, parents included, and return it. Raises StateError."""
    with _told(folder):
        # mkdir(parents=True) would give the parents the usual, open mode.
        for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that after a crash it is either whole or as it was. Raises StateError; nothing half-written stays."""
    temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
    with _told(path):
        try:
            write_synced(temporary, data, mode=mode)
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_synced(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a new file and wait until the disk has it. Raises OSError, also where the file is there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's list of names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_regular(path: Path, *, limit_bytes: int | None = None) -> bytes:
    """Return a regular file's content without following a link at its name. Raises OSError, EFBIG where it is larger."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        data = file.read() if limit_bytes is None else file.read(limit_bytes + 1)
    if limit_bytes is not None and len(data) > limit_bytes:
        raise OSError(errno.EFBIG, f"larger than {limit_bytes} bytes", str(path))
    return data


def state_error(error: OSError, path: Path) -> StateError:
    """Return what a failed write in the state folder means to a person."""
    if error.errno in _FULL:
        return StateError(f"no room left to write {path}", hint="free some space, then run the same command again")
    return StateError(f"cannot write {path}: {error.strerror}", hint="its folder must be there, belong to you and be writable")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise state_error(error, path) from error


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
