"""Reads a published source archive as hostile data: names, kinds and sizes are checked before anything is taken; nothing is extracted.

What an attack alone would hold (a name that leads outside, a device, a bomb) refuses the archive; what real archives hold by
accident (a link that leads outside, a `.git` folder) is left out and noted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from enum import Enum
from typing import IO, NamedTuple, Protocol

from remediator.errors import SourceError
from remediator.git_import import ImportedFile
from remediator.git_paths import objection, stays_inside
from remediator.redact import printable

_ENTRIES = 200_000
_TOTAL = 2 * 1024**3
_FILE = 1024**3
_RATIO = 200
_RATIO_FROM = 64 * 1024 * 1024


class Kind(Enum):
    """What an archive's member is."""

    file = "file"
    folder = "folder"
    link = "symbolic link"
    hard_link = "hard link"
    other = "device or other special file"


class Member(NamedTuple):
    """One member. `target` is where a link leads: relative to its folder for symbolic links, to the archive's root for hard ones."""

    name: str
    kind: Kind
    size: int = 0
    executable: bool = False
    target: str = ""


class Reader(Protocol):
    """Reads an archive twice: first all members, then the content of files, in the archive's order."""

    def members(self) -> Iterator[Member]:
        """Yield all members. Raises SourceError."""
        ...

    def contents(self, wanted: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        """Yield position and content of the members at the wanted positions. Raises SourceError."""
        ...


class Archive:
    """A checked archive: `files` gives what it holds, `notes` what was left out."""

    def __init__(self, reader: Reader, *, size: int) -> None:
        self.notes: list[str] = []
        self._reader = reader
        self._members = _checked(reader.members(), size)
        self._strip = _top_folder(self._members)
        self._taken = self._choose()

    def files(self) -> Iterator[ImportedFile]:
        """Yield the files and links, without the one top folder. Raises SourceError."""
        links = {path: member for path, (_, member) in self._taken.items() if member.kind is Kind.link}
        targets = {path: member.target for path, member in links.items()}
        for path, target in targets.items():
            if stays_inside(path, target, targets):
                yield ImportedFile(path, 0o120000, target.encode("utf-8", "surrogateescape"))
            else:
                self.notes.append(f"{printable(path)} is left out: a link that leads outside")
        wanted: dict[int, list[str]] = {}
        for path, (position, member) in self._taken.items():
            if member.kind is not Kind.link:
                wanted.setdefault(position, []).append(path)
        for position, data in self._reader.contents(frozenset(wanted)):
            mode = 0o100755 if self._members[position].executable else 0o100644
            for path in wanted[position]:
                yield ImportedFile(path, mode, data)

    def _choose(self) -> dict[str, tuple[int, Member]]:
        """Return what to take, by path; of members with the same name the last one counts, as it does when unpacking."""
        taken: dict[str, tuple[int, Member]] = {}
        for position, member in enumerate(self._members):
            path = self._path(member.name)
            if not path or member.kind is Kind.folder:
                continue
            if why := objection(path):
                self.notes.append(f"{printable(path)} is left out: the name {why}")
            elif member.kind is Kind.hard_link:
                self._link(taken, path, member)
            else:
                taken[path] = (position, member)
        _check_folders(taken)
        return taken

    def _link(self, taken: dict[str, tuple[int, Member]], path: str, member: Member) -> None:
        found = taken.get(self._path(_plain(member.target)))
        if found is None or found[1].kind is not Kind.file:
            self.notes.append(f"{printable(path)} is left out: a hard link to nothing in the archive")
        else:
            taken[path] = found

    def _path(self, name: str) -> str:
        return name.removeprefix(self._strip)


def open_archive(file: IO[bytes], name: str) -> Archive:
    """Open an archive by its name's ending and check it. Raises SourceError where it is hostile or damaged."""
    from remediator.source.tar_reader import TarReader
    from remediator.source.zip_reader import ZipReader

    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    lower = name.lower()
    if lower.endswith(".zip"):
        return Archive(ZipReader(file), size=size)
    for ending, packing in _PACKINGS.items():
        if lower.endswith(ending):
            return Archive(TarReader(file, packing, limit_bytes=_TOTAL + _ENTRIES * 1024), size=size)
    raise SourceError(f"{printable(name)} is of a kind that we do not unpack", hint="tar.gz, tar.bz2, tar.xz, tar and zip are known")


_PACKINGS = {".tar.gz": "gz", ".tgz": "gz", ".tar.bz2": "bz2", ".tbz2": "bz2", ".tar.xz": "xz", ".txz": "xz", ".tar": ""}


def _checked(members: Iterator[Member], archive_bytes: int) -> list[Member]:
    found: list[Member] = []
    total = 0
    for member in members:
        if len(found) >= _ENTRIES:
            raise SourceError(f"the archive has more than {_ENTRIES} members", hint="it looks like an attack; do not use it")
        total += member.size
        _check_size(member, total, archive_bytes)
        _check_kind(member)
        found.append(member._replace(name=_plain(member.name)))
    return found


def _check_size(member: Member, total: int, archive_bytes: int) -> None:
    if member.size > _FILE or total > _TOTAL or (total > _RATIO_FROM and total > archive_bytes * _RATIO):
        raise SourceError(
            f"the archive of {archive_bytes} bytes unpacks to more than {total - 1} bytes at {printable(member.name)}",
            hint="it looks like an attack; do not use it",
        )


def _check_kind(member: Member) -> None:
    name = member.name
    if member.kind is Kind.other:
        raise SourceError(f"the archive holds a {Kind.other.value}: {printable(name)}", hint="it looks like an attack; do not use it")
    if name.startswith("/") or ".." in name.split("/") or "\0" in name or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        raise SourceError(
            f"the archive holds a name that leads outside: {printable(name)!r}", hint="it looks like an attack; do not use it"
        )


def _plain(name: str) -> str:
    parts = [part for part in posixpath.normpath(name).split("/") if part not in ("", ".")] if name else []
    return "/".join(parts)


def _top_folder(members: list[Member]) -> str:
    tops = {member.name.split("/", 1)[0] for member in members if member.name}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    loose = any(member.name == top and member.kind is not Kind.folder for member in members)
    return "" if loose else f"{top}/"


def _check_folders(taken: dict[str, tuple[int, Member]]) -> None:
    for path in taken:
        parent = posixpath.dirname(path)
        while parent:
            if parent in taken:
                raise SourceError(
                    f"the archive holds {printable(parent)!r} both as a file and as a folder", hint="it looks like an attack; do not use it"
                )
            parent = posixpath.dirname(parent)
