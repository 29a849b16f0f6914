"""Tar archives that can be written in one way only, so that reading one is comparing it with what we would have written.

The format is GNU tar: owner 0, time 0, fixed modes, names in order. A header that differs in any byte is an error: there is no room for
a hidden member, a second one of the same name, a device, an absolute path or an oddity that two readers understand differently.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from remediator.errors import EvidenceError

FILE, EXECUTABLE, LINK = 0o100644, 0o100755, 0o120000
_BLOCK = 512
_END = b"\0" * (2 * _BLOCK)
_LONGEST = 16 * 1024
_FLAGS = {FILE: tarfile.REGTYPE, EXECUTABLE: tarfile.REGTYPE, LINK: tarfile.SYMTYPE}


class Member(NamedTuple):
    """One file. `mode` is git's; the data of a symbolic link is its target. Undecodable bytes of a path are surrogate-escaped."""

    path: str
    mode: int
    data: bytes


class Limits(NamedTuple):
    """What an archive may hold at the most."""

    members: int
    bytes: int


def pack(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the archive of the members, sorted by path. Raises EvidenceError where one has a path that no archive may have."""
    last = b""
    for member in sorted(members, key=lambda member: encoded(member.path)):
        name = encoded(member.path)
        check_path(name)
        if name == last:
            raise EvidenceError(f"{member.path!r} stands twice")
        last = name
        yield _header(name, member.mode, member.data)
        if member.mode != LINK:
            yield member.data + b"\0" * (-len(member.data) % _BLOCK)
    yield _END


def unpack(read: Callable[[int], bytes], *, origin: str, limits: Limits) -> Iterator[Member]:
    """Yield the members of an archive that `pack` wrote; `read(n)` returns n bytes, fewer only at the end.

    Raises EvidenceError naming the origin where any byte is not as `pack` writes it, or a limit is passed.
    """
    last, count, left = b"", 0, limits.bytes
    while True:
        member, header = _next(read, origin, left)
        if member is None:
            break
        name, count, left = encoded(member.path), count + 1, left - len(member.data)
        if count > limits.members:
            raise EvidenceError(f"{origin}: more than {limits.members} members")
        if name <= last:
            raise EvidenceError(f"{origin}: member {member.path!r} stands twice or out of order")
        if header != _header(name, member.mode, member.data):
            raise EvidenceError(f"{origin}: member {member.path!r} has a header that no bundle has")
        last = name
        yield member
    if read(1):
        raise EvidenceError(f"{origin}: there is something behind the end of the archive")


def check_path(name: bytes, origin: str = "") -> None:
    """Raise EvidenceError where a path is absolute, empty, climbs, or is not in its shortest form."""
    parts = name.split(b"/")
    if not name or b"\0" in name or any(part in (b"", b".", b"..") for part in parts):
        raise EvidenceError(f"{origin + ': ' if origin else ''}{decoded(name)!r} is a path that no archive may have")


def encoded(path: str) -> bytes:
    """Return the bytes of a path."""
    return path.encode("utf-8", "surrogateescape")


def decoded(path: bytes) -> str:
    """Return the text of a path, undecodable bytes surrogate-escaped."""
    return path.decode("utf-8", "surrogateescape")


def _header(name: bytes, mode: int, data: bytes) -> bytes:
    info = tarfile.TarInfo(decoded(name))
    info.type = _FLAGS[mode]
    info.mode = mode & 0o777
    if mode == LINK:
        info.linkname = decoded(data)
    else:
        info.size = len(data)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _next(read: Callable[[int], bytes], origin: str, left: int) -> tuple[Member | None, bytes]:
    """Read one member, and the header blocks that it came with."""
    long_name = long_link = None
    header = b""
    while True:
        block = _exactly(read, _BLOCK, origin)
        header += block
        if block == _END[:_BLOCK]:
            if header != block or _exactly(read, _BLOCK, origin) != block:
                raise EvidenceError(f"{origin}: the archive ends in the middle")
            return None, block
        flag, size = block[156:157], _octal(block[124:136], origin)
        if flag in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK) and size <= _LONGEST:
            text = _exactly(read, size + -size % _BLOCK, origin)
            header += text
            long_name, long_link = (text[: size - 1], long_link) if flag == tarfile.GNUTYPE_LONGNAME else (long_name, text[: size - 1])
            continue
        name = long_name if long_name is not None else block[:100].rstrip(b"\0")
        check_path(name, origin)
        return _member(read, name, block, long_link, origin, left), header


def _member(read: Callable[[int], bytes], name: bytes, block: bytes, long_link: bytes | None, origin: str, left: int) -> Member:
    flag, size, bits = block[156:157], _octal(block[124:136], origin), _octal(block[100:108], origin)
    if flag == tarfile.SYMTYPE and size == 0:
        target = long_link if long_link is not None else block[157:257].rstrip(b"\0")
        return Member(decoded(name), LINK, target)
    if flag != tarfile.REGTYPE or long_link is not None:
        raise EvidenceError(f"{origin}: member {decoded(name)!r} is neither a regular file nor a symbolic link")
    if size > left:
        raise EvidenceError(f"{origin}: unpacks to more than is allowed (member {decoded(name)!r})")
    data = _exactly(read, size, origin)
    if _exactly(read, -size % _BLOCK, origin).strip(b"\0"):
        raise EvidenceError(f"{origin}: something is hidden behind member {decoded(name)!r}")
    return Member(decoded(name), EXECUTABLE if bits == EXECUTABLE & 0o777 else FILE, data)


def _octal(field: bytes, origin: str) -> int:
    try:
        return int(field.rstrip(b"\0 ") or b"0", 8)
    except ValueError as error:
        raise EvidenceError(f"{origin}: not an archive as bundles have it") from error


def _exactly(read: Callable[[int], bytes], size: int, origin: str) -> bytes:
    data = read(size)
    if len(data) != size:
        raise EvidenceError(f"{origin}: the archive ends in the middle")
    return data
