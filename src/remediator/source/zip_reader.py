"""Reads a zip archive: its table of contents is bounded before it is read, and content counts by what really comes out."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from typing import IO

from remediator.errors import SourceError
from remediator.redact import printable
from remediator.source.archive import Kind, Member

_TABLE_BYTES = 32 * 1024 * 1024
_END = struct.Struct("<4s4H2LH")
_LINK_BYTES = 4096
_BROKEN = (zipfile.BadZipFile, EOFError, OSError, LZMAError, zlib.error, ValueError, NotImplementedError, RuntimeError)


class ZipReader:
    """A zip archive."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def members(self) -> Iterator[Member]:
        """Yield all members. Raises SourceError."""
        _check_table(self._file)
        with self._open() as archive:
            for info in archive.infolist():
                yield _member(archive, info)

    def contents(self, wanted: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        """Yield position and content of the members at the wanted positions. Raises SourceError."""
        with self._open() as archive:
            for position, info in enumerate(archive.infolist()):
                if position in wanted:
                    yield position, _content(archive, info)

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._file)
        except _BROKEN as error:
            raise SourceError(f"the archive is damaged: {printable(str(error))}", hint="fetch it again") from error


def _check_table(file: IO[bytes]) -> None:
    file.seek(0, 2)
    start = max(0, file.tell() - 65536 - _END.size)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise SourceError("the archive is damaged: it has no table of contents", hint="fetch it again")
    table_bytes = _END.unpack_from(tail, at)[5]
    if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07") or table_bytes > _TABLE_BYTES:
        raise SourceError("the archive's table of contents is larger than we accept", hint="it looks like an attack; do not use it")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16
    if info.is_dir():
        return Member(info.filename.rstrip("/"), Kind.folder)
    if info.flag_bits & 0x1:
        raise SourceError(f"the archive is encrypted at {printable(info.filename)}", hint="name another source")
    if stat.S_ISLNK(mode):
        if info.file_size > _LINK_BYTES:
            return Member(info.filename, Kind.other)
        return Member(info.filename, Kind.link, target=_content(archive, info).decode("utf-8", "surrogateescape"))
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return Member(info.filename, Kind.other)
    return Member(info.filename, Kind.file, info.file_size, bool(mode & 0o111))


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as source:
            data = source.read(info.file_size + 1)
    except _BROKEN as error:
        raise SourceError(
            f"the archive is damaged at {printable(info.filename)}: {printable(str(error))}", hint="fetch it again"
        ) from error
    if len(data) != info.file_size:
        raise SourceError(f"the archive lies about the size of {printable(info.filename)}", hint="it looks like an attack; do not use it")
    return data
