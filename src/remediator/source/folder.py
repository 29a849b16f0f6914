"""A folder on this machine as it is now: the tracked files of a work tree, or all files where nothing is tracked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from remediator.errors import GitError, SourceError
from remediator.git import GitStore
from remediator.git_command import Git
from remediator.git_foreign import Head, Layout, alternates, read_head
from remediator.git_import import ImportedFile
from remediator.git_index import Tracked, count_untracked, keeps_modes, tracked_files
from remediator.git_objects import ObjectReader
from remediator.redact import printable
from remediator.source.disk import Disk, LeftOut, walk

_LINK, _REGULAR = 0o120000, (0o100644, 0o100755)
# Fixed, so that the same files always give the same commit.
_WHEN = datetime(2000, 1, 1, tzinfo=UTC)


class Imported(NamedTuple):
    """A folder as a commit of our store."""

    commit: str
    revision: str
    notes: tuple[str, ...]
    below: str = ""
    """The part of the repository that it is; empty is all of it."""


class _Notes:
    """What was left out, told in a few lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._left: list[LeftOut] = []

    def leave(self, item: LeftOut) -> None:
        self._left.append(item)

    def all(self) -> tuple[str, ...]:
        told = [f"{printable(item.path)} is left out: {printable(item.reason)}" for item in self._left[:20]]
        if len(self._left) > 20:
            told.append(f"{len(self._left) - 20} more files are left out")
        return (*self.lines, *told)


def import_folder(folder: Path, store: GitStore, layout: Layout | None) -> Imported:
    """Keep a folder's files in the store. Raises SourceError where there is nothing to keep."""
    notes = _Notes()
    if layout is not None and layout.top is not None:
        tracked = tracked_files(store.folder, layout)
        prefix = "" if layout.top == folder else folder.relative_to(layout.top).as_posix() + "/"
        below = [file for file in tracked if file.path.startswith(prefix)]
        if below:
            return _work_tree(folder, store, layout, below, prefix, notes)
        notes.lines.append("nothing in this folder is tracked by git: all files are taken")
    with Disk(folder) as disk:
        commit = store.import_files(_untracked(disk, notes), message="files", when=_WHEN)
    if not store.tree(commit).entries():
        raise SourceError(f"{folder} holds no files", hint="name the folder of a project")
    return Imported(commit, "", notes.all())


def _untracked(disk: Disk, notes: _Notes) -> Iterator[ImportedFile]:
    skipped: dict[str, int] = {}
    for path in walk(disk, skipped):
        item = path if isinstance(path, LeftOut) else disk.read(path)
        if isinstance(item, LeftOut):
            notes.leave(item)
        elif item is not None:
            yield item
    if skipped:
        told = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(skipped.items()))
        notes.lines.append(f"folders left out: {told}")


def _work_tree(folder: Path, store: GitStore, layout: Layout, tracked: list[Tracked], prefix: str, notes: _Notes) -> Imported:
    head = _head(layout, notes)
    with Disk(folder) as disk:
        reader = ObjectReader(Git(store.folder, env=alternates(layout)))
        try:
            files = _tracked(disk, reader, tracked, prefix, notes)
            if not keeps_modes(layout):
                files = _with_modes(files, {file.path.removeprefix(prefix): file.mode for file in tracked})
            commit = store.import_files(files, message="files", when=_WHEN)
        finally:
            reader.close()
    _note_untracked(store, layout, prefix, notes)
    if prefix:
        notes.lines.append(f"only the folder {printable(prefix)} of the repository is taken")
        return Imported(commit, head.commit, notes.all(), prefix.rstrip("/"))
    return Imported(_on_head(store, layout, head, commit, notes), head.commit, notes.all())


def _head(layout: Layout, notes: _Notes) -> Head:
    try:
        return read_head(layout)
    except GitError as error:
        notes.lines.append(f"what is checked out is not known: {error.message}")
        return Head("", "")


def _tracked(disk: Disk, reader: ObjectReader, tracked: list[Tracked], prefix: str, notes: _Notes) -> Iterator[ImportedFile]:
    counts: Counter[str] = Counter()
    for file in tracked:
        path = file.path.removeprefix(prefix)
        if file.mode == 0o160000:
            counts["submodules are left out"] += 1
            yield ImportedFile(path, file.mode, file.oid.encode("ascii"))
            continue
        item = disk.read(path)
        if item is None and file.sparse:
            yield ImportedFile(path, file.mode, reader.read(file.oid).data)
        elif item is None:
            counts["tracked files are missing on disk"] += 1
        elif isinstance(item, LeftOut):
            notes.leave(item)
        else:
            yield item
        counts["files are in a merge conflict and taken as they are on disk"] += file.conflict
    notes.lines += [f"{count} {what}" for what, count in counts.items() if count]


def _with_modes(files: Iterator[ImportedFile], known: dict[str, int]) -> Iterator[ImportedFile]:
    for file in files:
        yield file if file.mode == _LINK or known[file.path] not in _REGULAR else file._replace(mode=known[file.path])


def _note_untracked(store: GitStore, layout: Layout, prefix: str, notes: _Notes) -> None:
    try:
        count = count_untracked(store.folder, layout, prefix)
    except GitError as error:
        notes.lines.append(f"untracked files are left out and were not counted: {error.message}")
        return
    if count:
        notes.lines.append(f"{count} untracked files are left out")


def _on_head(store: GitStore, layout: Layout, head: Head, files: str, notes: _Notes) -> str:
    """Return HEAD itself where the files are its own, else a commit of the files on top of it."""
    if not head.commit:
        return files
    try:
        store.copy_commit(layout, head.commit)
    except GitError as error:
        notes.lines.append(f"the commit that is checked out cannot be read: {error.message}")
        return files
    tree = store.tree(files)
    if store.named_tree(head.commit) == tree.id:
        return head.commit
    notes.lines.append(f"uncommitted changes on top of {head.commit[:12]} are part of this source")
    return store.commit(tree, head.commit, "uncommitted changes", author="remediator <remediator@localhost>", when=_WHEN)
