"""Reads a tar archive as a stream: what it says of itself is checked before memory is spent on it."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from typing import IO, cast

from remediator.errors import SourceError
from remediator.redact import printable
from remediator.source.archive import Kind, Member

_HEADER_BYTES = 1024 * 1024
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_BROKEN = (tarfile.TarError, EOFError, OSError, LZMAError, zlib.error, ValueError, OverflowError)


class _Header(tarfile.TarInfo):
    """A header whose size is believed only where it is sane: tarfile would read a long name of any length into memory."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str | None, errors: str) -> _Header:  # type: ignore[override]
        header = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        if header.size < 0 or (header.type in _EXTENDED and header.size > _HEADER_BYTES):
            raise SourceError(f"the archive has a header of {header.size} bytes", hint="it looks like an attack; do not use it")
        return header


class _Bounded:
    """A stream that ends with an error where it gives more than it may."""

    def __init__(self, file: IO[bytes], limit_bytes: int) -> None:
        self._file, self._left = file, limit_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise SourceError("the archive unpacks to more than we accept", hint="it looks like an attack; do not use it")
        return data


class TarReader:
    """A tar archive, packed with gz, bz2, xz, or not at all."""

    def __init__(self, file: IO[bytes], packing: str, *, limit_bytes: int) -> None:
        self._file, self._packing, self._limit = file, packing, limit_bytes

    def members(self) -> Iterator[Member]:
        """Yield all members. Raises SourceError."""
        for header, _ in self._headers():
            yield _member(header)

    def contents(self, wanted: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        """Yield position and content of the members at the wanted positions. Raises SourceError."""
        for position, (header, archive) in enumerate(self._headers()):
            if position in wanted:
                source = archive.extractfile(header)
                data = source.read() if source else b""
                if len(data) != header.size:
                    raise SourceError(f"the archive is cut off at {printable(header.name)}", hint="fetch it again")
                yield position, data

    def _headers(self) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
        self._file.seek(0)
        try:
            with (
                _unpacked(self._file, self._packing) as plain,
                tarfile.open(
                    fileobj=cast("IO[bytes]", _Bounded(plain, self._limit)),
                    mode="r|",
                    tarinfo=_Header,
                    encoding="utf-8",
                    errors="surrogateescape",
                ) as archive,
            ):
                while (header := archive.next()) is not None:
                    # tarfile would keep every header that it read.
                    archive.members.clear()  # type: ignore[attr-defined]
                    yield header, archive
        except _BROKEN as error:
            raise SourceError(f"the archive is damaged: {printable(str(error))}", hint="fetch it again") from error


def _unpacked(file: IO[bytes], packing: str) -> IO[bytes]:
    import bz2
    import gzip
    import io
    import lzma

    match packing:
        case "gz":
            return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
        case "bz2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
    return io.BufferedReader(io.FileIO(file.fileno(), closefd=False))


def _member(header: tarfile.TarInfo) -> Member:
    if header.issparse():
        return Member(header.name, Kind.other)
    if header.isreg():
        return Member(header.name, Kind.file, header.size, bool(header.mode & 0o111))
    if header.isdir():
        return Member(header.name, Kind.folder)
    if header.issym():
        return Member(header.name, Kind.link, target=header.linkname)
    if header.islnk():
        return Member(header.name, Kind.hard_link, target=header.linkname)
    return Member(header.name, Kind.other)
