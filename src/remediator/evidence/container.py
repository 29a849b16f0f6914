"""The two forms of a bundle, a folder and one `.tar.zst`: their files into memory and out again, within limits."""

from __future__ import annotations

import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from remediator.artefacts import private_folder, read_regular, state_error, sync_folder, write_atomically, write_synced
from remediator.errors import EvidenceError
from remediator.evidence import attest
from remediator.evidence.compress import compress, decompress
from remediator.evidence.content import MANIFEST
from remediator.evidence.tarball import FILE, Limits, Member, pack, unpack
from remediator.evidence.values import check_values

ENDING = ".tar.zst"
LIMITS = Limits(members=5_000, bytes=256 * 1024 * 1024)
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,99}/){0,4}[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_DEEPEST = 5


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Return the archive form; the same files always give the same bytes."""
    return compress(pack(Member(path, FILE, data) for path, data in files.items()))


def check_limits(files: Mapping[str, bytes]) -> None:
    """Raise EvidenceError where no reader would take these files."""
    if len(files) > LIMITS.members:
        raise EvidenceError(f"a bundle of {len(files)} files; {LIMITS.members} are the most")
    if sum(map(len, files.values())) > LIMITS.bytes:
        raise EvidenceError(f"a bundle of more than {LIMITS.bytes} bytes")
    if bad := next((path for path in files if not _NAME.match(path)), None):
        raise EvidenceError(f"{bad!r} is a name that no bundle has")
    check_values(files, "the bundle")


def is_bundle(path: Path) -> bool:
    """Return whether a folder or file is meant to be a bundle: damaged or not, it has a name that only bundles have."""
    if path.is_dir():
        return any((path / name).exists() for name in (attest.FILE, MANIFEST))
    return path.name.endswith(ENDING)


def read_files(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle, folder or archive, without writing one anywhere.

    Raises EvidenceError where it cannot be read, is too large, or holds anything but regular files with plain names.
    """
    try:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            return _folder(path)
        data = read_regular(path, limit_bytes=LIMITS.bytes)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror}", hint="name a bundle's folder or its .tar.zst") from error
    return unpack_files(data, path.name)


def unpack_files(data: bytes, origin: str) -> dict[str, bytes]:
    """Return the files of a bundle's archive. Raises EvidenceError."""
    plain = decompress(data, origin=origin, limit_bytes=LIMITS.bytes + LIMITS.members * 2048)
    files: dict[str, bytes] = {}
    for member in unpack(io.BytesIO(plain).read, origin=origin, limits=LIMITS):
        if member.mode != FILE or not _NAME.match(member.path):
            raise EvidenceError(f"{origin}: member {member.path!r} is none that a bundle has")
        files[member.path] = member.data
    check_values(files, origin)
    return files


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle's folder so that it is there whole or not at all. Raises StateError where the disk is full."""
    temporary = folder.with_name(f".partial-{secrets.token_hex(8)}")
    try:
        private_folder(temporary)
        for path, data in files.items():
            target = temporary / path
            private_folder(target.parent)
            write_synced(target, data)
        for below in sorted({(temporary / path).parent for path in files} | {temporary}):
            sync_folder(below)
        # Over a whole folder that another process put there first this fails, and theirs is as good: its name is its content.
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        sync_folder(folder.parent)
    except OSError as error:
        raise state_error(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle's archive atomically. Raises StateError where the disk is full."""
    write_atomically(path, pack_files(files))


def _folder(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = LIMITS.bytes
    for path, entry in _walk(folder, "", _DEEPEST):
        if len(files) == LIMITS.members:
            raise EvidenceError(f"{folder}: more than {LIMITS.members} files")
        if not _NAME.match(path):
            raise EvidenceError(f"{path!r} is a name that no bundle has")
        if not entry.is_file(follow_symlinks=False):
            raise EvidenceError(f"{path}: not a regular file")
        files[path] = _read(entry, path, left)
        left -= len(files[path])
    check_values(files, str(folder))
    return files


def _read(entry: os.DirEntry[str], path: str, left: int) -> bytes:
    try:
        return read_regular(Path(entry.path), limit_bytes=left)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from error


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number > LIMITS.members:
                raise EvidenceError(f"{prefix or folder}: more than {LIMITS.members} files")
            if entry.is_dir(follow_symlinks=False):
                if depth == 0:
                    raise EvidenceError(f"{prefix}{entry.name}: folders too deep for a bundle")
                below = list(_walk(Path(entry.path), f"{prefix}{entry.name}/", depth - 1))
                if not below:
                    raise EvidenceError(f"{prefix}{entry.name}: an empty folder, which no bundle has")
                yield from below
            else:
                yield f"{prefix}{entry.name}", entry
