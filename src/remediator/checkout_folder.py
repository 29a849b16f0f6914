"""Puts patches into a folder without git: files are written where they are exactly as the patch expects them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from remediator.checkout_files import FileState, WorkFolder, check_unchanged, replace_all, restore_all
from remediator.checkout_record import Applied, TouchedFile, blob_id, keep_record
from remediator.checkout_series import Series, commits_of
from remediator.diff import parse
from remediator.errors import PatchConflictError
from remediator.git import GitStore, ImportedFile, StoredTree
from remediator.redact import printable

_INDEX = re.compile(r"^index ([0-9a-f]{40})\.\.[0-9a-f]{40}", re.MULTILINE)


def apply_to_folder(folder: Path, series: Series, *, record: Path | None) -> Applied:
    """Write what the patches make of the folder's files. Raises PatchConflictError, having written nothing."""
    folder = folder.resolve()
    with WorkFolder(folder) as work, tempfile.TemporaryDirectory() as scratch:
        before = _current(work, series)
        _check_base(before, series)
        store = GitStore.open(Path(scratch) / "store.git")
        try:
            base = store.import_files(_files(before), message="files", when=datetime.fromtimestamp(0, UTC))
            after = store.tree(commits_of(store, base, series, "")[-1])
            files, wanted = _touched(before, after)
        finally:
            store.close()
        applied = Applied(repository=str(folder), files=files)
        check_unchanged(work, files)
        keep_record(applied, record)
        replace_all(work, files, wanted)
    return applied


def undo_in_folder(applied: Applied) -> None:
    """Put the files back. Raises PatchConflictError, writing nothing, where one was changed since."""
    before = {file.path: FileState(file.before_mode, file.before) if file.before_mode else None for file in applied.files}
    with WorkFolder(Path(applied.repository)) as work:
        restore_all(work, applied.files, before)


def _current(work: WorkFolder, series: Series) -> dict[str, FileState | None]:
    changes = [change for _, diff in series.patches for change in parse(diff)]
    return {path: work.read(path) for change in changes for path in (change.path, change.old_path)}


def _check_base(before: dict[str, FileState | None], series: Series) -> None:
    """Compare with the base's digests where the diff names them in full, as those that we make do."""
    for _, diff in series.patches:
        changes = [change for change in parse(diff) if change.hunks]
        bases = _INDEX.findall(diff)
        for change, base in zip(changes, bases, strict=False) if len(changes) == len(bases) else ():
            state = before[change.old_path]
            if int(base, 16) and (state is None or blob_id(state.data) != base):
                raise PatchConflictError(
                    f"{printable(change.old_path)} is not the file that the patch was made for",
                    hint="run `remediator fix` again on the files as they are",
                )


def _files(before: dict[str, FileState | None]) -> Iterator[ImportedFile]:
    for path, state in sorted(before.items()):
        if state is not None:
            yield ImportedFile(path, state.mode, state.data)


def _touched(before: dict[str, FileState | None], after: StoredTree) -> tuple[tuple[TouchedFile, ...], dict[str, FileState | None]]:
    files: list[TouchedFile] = []
    wanted: dict[str, FileState | None] = {}
    for path in sorted({*before, *(entry.path for entry in after.entries())}):
        old, entry = before.get(path), after.find(path)
        new = FileState(entry.mode, after.read(path)) if entry else None
        if old == new:
            continue
        wanted[path] = new
        files.append(
            TouchedFile(
                path=path,
                before_mode=old.mode if old else 0,
                before_id=blob_id(old.data) if old else "",
                after_mode=entry.mode if entry else 0,
                after_id=entry.oid if entry else "",
                before=old.data if old else b"",
            )
        )
    return tuple(files), wanted
