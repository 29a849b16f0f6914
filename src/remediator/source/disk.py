"""Reads files of a hostile folder: no link is ever followed, and nothing but regular files and links is read."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from remediator.errors import SourceError
from remediator.git_import import ImportedFile
from remediator.git_paths import objection
from remediator.redact import printable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DEEPEST = 200
_LARGEST = 1024**3


class LeftOut(NamedTuple):
    """A file that was not taken, and why."""

    path: str
    reason: str


class Disk:
    """A folder on disk, read beneath one open descriptor, so that nothing outside can be put in its place."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptor = -1
        self._near: tuple[str, int] | None = None

    def __enter__(self) -> Disk:
        try:
            self._descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceError(f"{self._root} cannot be read: {error.strerror}", hint="check the folder's permissions") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._forget()
        os.close(self._descriptor)

    def read(self, path: str) -> ImportedFile | LeftOut | None:
        """Return a file or link with its content, why it was left out, or None where there is nothing."""
        if why := objection(path):
            return LeftOut(path, f"the name {why}")
        parent, _, name = path.rpartition("/")
        try:
            folder = self._folder(parent)
            facts = os.lstat(name, dir_fd=folder)
            if stat.S_ISLNK(facts.st_mode):
                return ImportedFile(path, 0o120000, os.fsencode(os.readlink(name, dir_fd=folder)))
            if not stat.S_ISREG(facts.st_mode):
                return None if stat.S_ISDIR(facts.st_mode) else LeftOut(path, "not a regular file")
            return _regular(path, name, folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return LeftOut(path, error.strerror or "unreadable")

    def names(self, path: str) -> list[os.DirEntry[str]]:
        """Return what a folder holds, sorted. Raises OSError."""
        with os.scandir(self._folder(path)) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def _folder(self, path: str) -> int:
        if not path:
            return self._descriptor
        if self._near and self._near[0] == path:
            return self._near[1]
        self._forget()
        descriptor = os.dup(self._descriptor)
        for part in path.split("/"):
            try:
                inner = os.open(part, _FOLDER, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        self._near = (path, descriptor)
        return descriptor

    def _forget(self) -> None:
        if self._near:
            os.close(self._near[1])
        self._near = None


def _regular(path: str, name: str, folder: int) -> ImportedFile | LeftOut:
    with contextlib.closing(os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb")) as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return LeftOut(path, "not a regular file")
        if facts.st_size > _LARGEST:
            return LeftOut(path, f"larger than {_LARGEST} bytes")
        data = file.read(facts.st_size + 1)
        if len(data) > facts.st_size:
            data += file.read(_LARGEST)  # it grew meanwhile, or its file system tells no sizes
    if len(data) > _LARGEST:
        return LeftOut(path, f"larger than {_LARGEST} bytes")
    return ImportedFile(path, 0o100755 if facts.st_mode & 0o111 else 0o100644, data)


def walk(disk: Disk, skipped: dict[str, int]) -> Iterator[str | LeftOut]:
    """Yield the paths of all files and links, sorted by folder; folders that no source needs are counted in `skipped` by name."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = disk.names(folder)
        except OSError as error:
            yield LeftOut(folder or ".", error.strerror or "unreadable")
            continue
        if folder and any(entry.name == "pyvenv.cfg" for entry in entries):
            skipped["virtual environment"] = skipped.get("virtual environment", 0) + 1
            continue
        inner = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield path
            elif entry.name in _SKIPPED:
                skipped[entry.name] = skipped.get(entry.name, 0) + 1
            elif path.count("/") >= _DEEPEST:
                raise SourceError(f"{printable(path[:200])} lies deeper than {_DEEPEST} folders", hint="name a folder further inside")
            else:
                inner.append(path)
        waiting += reversed(inner)


_SKIPPED = frozenset(
    {
        ".git", ".hg", ".svn", ".bzr", "_darcs", ".jj", ".pijul", "CVS",
        "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".eggs", ".cache",
        "node_modules", ".venv", ".remediator",
    }
)  # fmt: skip
