"""Reads and writes files of the user's folder one by one: beneath one open descriptor, without following links, each in one step."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from remediator.checkout_record import TouchedFile, blob_id
from remediator.errors import GitError, PatchConflictError
from remediator.git_paths import objection
from remediator.redact import printable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ASIDE = "commit it or set it aside (git stash), then try again"


class FileState(NamedTuple):
    """A file as it is: git's mode and the content."""

    mode: int
    data: bytes


class Prepared(NamedTuple):
    """A file that waits beside its place; without a `scratch` name, a file that is to go."""

    parent: str
    name: str
    scratch: str


class WorkFolder:
    """The user's folder, held against other runs of ours."""

    def __init__(self, root: Path, *, keeps_modes: bool = True) -> None:
        self._root = root
        self.keeps_modes = keeps_modes

    def __enter__(self) -> WorkFolder:
        try:
            self._descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise GitError(f"{self._root} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise GitError(f"{self._root} is being changed by another run", hint="wait for it to end") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._descriptor)

    def read(self, path: str) -> FileState | None:
        """Return a regular file, or None where there is nothing. Raises PatchConflictError where something else is there."""
        parent, name = _beneath(path)
        try:
            with self._folder(parent) as folder, contextlib.closing(os.fdopen(os.open(name, _READ, dir_fd=folder), "rb")) as file:
                facts = os.fstat(file.fileno())
                if stat.S_ISREG(facts.st_mode):
                    return FileState(0o100755 if facts.st_mode & 0o100 else 0o100644, file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PatchConflictError(f"{printable(path)} cannot be read: {error.strerror}", hint="nothing was written") from error
        raise PatchConflictError(f"{printable(path)} is not a regular file", hint="nothing was written")

    def write(self, path: str, state: FileState | None) -> None:
        """Put a file in the place of what is there, in one step; None removes it. Raises OSError."""
        self.place(self.prepare(path, state))

    def prepare(self, path: str, state: FileState | None) -> Prepared:
        """Write a file beside its place, so that a full disk shows before anything is changed. Raises OSError."""
        parent, name = _beneath(path)
        if state is None:
            return Prepared(parent, name, "")
        prepared = Prepared(parent, name, f"{_scratch_prefix(name)}{secrets.token_hex(6)}.new")
        try:
            with self._folder(parent, make=True) as folder:
                _write_new(prepared.scratch, name, state, folder)
        except BaseException:
            self.discard(prepared)
            raise
        return prepared

    def place(self, prepared: Prepared) -> None:
        """Move a prepared file to its place. Raises OSError."""
        if not prepared.scratch:
            self._remove(prepared.parent, prepared.name)
            return
        with self._folder(prepared.parent) as folder:
            os.rename(prepared.scratch, prepared.name, src_dir_fd=folder, dst_dir_fd=folder)

    def discard(self, prepared: Prepared) -> None:
        """Remove a prepared file that is not wanted any more, and folders that were made for it."""
        if prepared.scratch:
            with contextlib.suppress(OSError):
                self._remove(prepared.parent, prepared.scratch)

    def sweep(self, path: str) -> None:
        """Remove prepared files that a killed run left beside a place."""
        parent, name = _beneath(path)
        ours = re.compile(re.escape(_scratch_prefix(name)) + r"[0-9a-f]{12}\.new")
        left: list[str] = []
        with contextlib.suppress(OSError), self._folder(parent) as folder, os.scandir(folder) as entries:
            left = [entry.name for entry in entries if ours.fullmatch(entry.name)]
        for entry in left:
            self.discard(Prepared(parent, name, entry))

    def _remove(self, parent: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._folder(parent) as folder:
            os.unlink(name, dir_fd=folder)
        # Folders that are empty now go too, as git does it.
        while parent:
            parent, _, name = parent.rpartition("/")
            try:
                with self._folder(parent) as folder:
                    os.rmdir(name, dir_fd=folder)
            except OSError:
                return

    @contextlib.contextmanager
    def _folder(self, path: str, *, make: bool = False) -> Iterator[int]:
        descriptor = os.dup(self._descriptor)
        try:
            for part in path.split("/") if path else ():
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o777, dir_fd=descriptor)
                inner = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _scratch_prefix(name: str) -> str:
    return f".{os.fsdecode(os.fsencode(name)[:80])}."


def _beneath(path: str) -> tuple[str, str]:
    if why := objection(path):
        raise PatchConflictError(f"the patch names {printable(path)!r}, which {why}", hint="nothing was written")
    parent, _, name = path.rpartition("/")
    return parent, name


def _write_new(scratch: str, name: str, state: FileState, folder: int) -> None:
    try:
        old = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        old = None
    allowed = 0o777 if state.mode & 0o100 else 0o666
    with contextlib.closing(os.fdopen(os.open(scratch, _CREATE, allowed, dir_fd=folder), "wb")) as file:
        if old is not None:
            if os.geteuid() == 0:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), _permissions(stat.S_IMODE(old.st_mode), executable=bool(state.mode & 0o100)))
        file.write(state.data)
        file.flush()
        os.fsync(file.fileno())


def _permissions(old: int, *, executable: bool) -> int:
    plain = old & 0o666
    return plain | ((plain & 0o444) >> 2) if executable else plain


def check_unchanged(folder: WorkFolder, files: Sequence[TouchedFile]) -> None:
    """Raise PatchConflictError where a file is not as it was before."""
    for file in files:
        if not _is(folder, file.path, file.before_mode, file.before_id):
            raise PatchConflictError(f"{printable(file.path)} has changes of yours, or is not as the patch expects it", hint=_ASIDE)


def replace_all(folder: WorkFolder, files: Sequence[TouchedFile], after: Mapping[str, FileState | None]) -> None:
    """Write all files, or none of them. Raises PatchConflictError."""
    before = {file.path: folder.read(file.path) for file in files}
    with _prepared(folder, files, after) as waiting:
        check_unchanged(folder, files)
        done: list[str] = []
        for file, prepared in zip(files, waiting, strict=True):
            try:
                folder.place(prepared)
            except OSError as error:
                _put_back(folder, done, before)
                raise _unwritable(file.path, error) from error
            done.append(file.path)


def _put_back(folder: WorkFolder, paths: Sequence[str], before: Mapping[str, FileState | None]) -> None:
    for path in reversed(paths):
        try:
            folder.write(path, before[path])
        except OSError as error:
            raise PatchConflictError(f"{printable(path)} cannot be put back: {error.strerror}", hint="use `remediator undo`") from error


@contextlib.contextmanager
def _prepared(folder: WorkFolder, files: Sequence[TouchedFile], wanted: Mapping[str, FileState | None]) -> Iterator[list[Prepared]]:
    waiting: list[Prepared] = []
    try:
        for file in files:
            try:
                waiting.append(folder.prepare(file.path, wanted[file.path]))
            except OSError as error:
                raise _unwritable(file.path, error) from error
        yield waiting
    finally:
        for prepared in waiting:
            folder.discard(prepared)


def _unwritable(path: str, error: OSError) -> PatchConflictError:
    return PatchConflictError(f"{printable(path)} cannot be written: {error.strerror}", hint="all files are as they were")


def restore_all(folder: WorkFolder, files: Sequence[TouchedFile], before: Mapping[str, FileState | None]) -> None:
    """Put back all files; those that already are as before are left. Raises PatchConflictError, writing nothing, where one was changed."""
    waiting = []
    for file in files:
        if _is(folder, file.path, file.after_mode, file.after_id):
            waiting.append(file)
        elif not _is(folder, file.path, file.before_mode, file.before_id):
            raise PatchConflictError(f"{printable(file.path)} was changed after the fix was applied", hint=f"nothing was undone; {_ASIDE}")
    with _prepared(folder, waiting, before) as prepared:
        for one in prepared:
            folder.place(one)
    for file in files:
        folder.sweep(file.path)


def _is(folder: WorkFolder, path: str, mode: int, oid: str) -> bool:
    state = folder.read(path)
    if state is None:
        return mode == 0
    same_mode = state.mode == mode or (mode != 0 and not folder.keeps_modes)
    return same_mode and blob_id(state.data) == oid
