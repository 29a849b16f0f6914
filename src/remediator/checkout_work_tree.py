"""Puts patches on a branch of the user's repository.

The commits are made in a store of ours that sees the repository's objects. In the repository itself git only takes objects in and moves
refs and index entries, with hooks, fsmonitor and everything else that its configuration could run switched off; files are written by us.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from remediator.checkout_files import FileState, WorkFolder, check_unchanged, replace_all, restore_all
from remediator.checkout_record import Applied, TouchedFile, keep_record
from remediator.checkout_series import Branch, Series, commits_of
from remediator.checkout_user_git import UserGit
from remediator.errors import GitError, PatchConflictError, RemediatorError
from remediator.git import GitStore
from remediator.git_foreign import Layout, find_layout
from remediator.git_index import keeps_modes, tracked_files
from remediator.redact import printable

_REGULAR = (0, 0o100644, 0o100755)


def make_branch(repository: Path, series: Series, *, branch: str) -> Branch:
    """Make a branch and touch nothing else. Raises PatchConflictError, GitError."""
    layout = find_layout(repository)
    if layout is None:
        raise GitError(f"{repository} is not a git repository", hint="name the operator's own clone")
    git = UserGit(layout)
    base = git.head_commit()
    with _beside(layout) as store:
        commits = commits_of(store, base, series, _prefix(layout, repository))
        there = git.branch_commit(branch)
        if there is not None:
            if there == commits[-1] or git.tree_of(there) == store.tree_of(commits[-1]):
                return Branch(branch, base, commits, existed=True)
            raise GitError(f"the branch {printable(branch)!r} exists and holds something else", hint="remove it, or take another name")
        git.take(store.pack(commits[-1], base))
        git.create_branch(branch, commits[-1])
    return Branch(branch, base, commits)


def apply_to_work_tree(repository: Path, series: Series, *, branch: str, record: Path | None) -> Applied | None:
    """Make a branch and check it out; None where the folder is in no repository's work tree. Raises PatchConflictError, GitError."""
    repository = repository.resolve()
    layout = find_layout(repository)
    if layout is None:
        return None
    if layout.top is None:
        raise GitError(f"{repository} has no work tree", hint="apply in a clone of it")
    if not _is_tracked(layout, repository):
        return None
    git = UserGit(layout)
    with WorkFolder(layout.top, keeps_modes=keeps_modes(layout)) as work, _beside(layout) as store:
        git.check_fit()
        if git.branch_commit(branch) is not None:
            raise GitError(f"the branch {printable(branch)!r} exists", hint="remove it, or take another name")
        base = git.head_commit()
        commits = commits_of(store, base, series, _prefix(layout, repository))
        files = _touched(store, base, commits[-1])
        applied = Applied(repository=str(layout.top), branch=branch, previous=git.head_branch(), base=base, commits=commits, files=files)
        _check_index(git, files)
        check_unchanged(work, files)
        keep_record(applied, record)
        git.take(store.pack(commits[-1], base))
        git.create_branch(branch, commits[-1])
        _switch(git, work, applied)
    return applied


def _switch(git: UserGit, work: WorkFolder, applied: Applied) -> None:
    wanted = {file.path: FileState(file.after_mode, git.blob(file.after_id)) if file.after_mode else None for file in applied.files}
    try:
        replace_all(work, applied.files, wanted)
        git.stage([(file.path, file.after_mode, file.after_id) for file in applied.files])
        git.switch(applied.branch, "apply")
    except RemediatorError:
        _take_back(git, work, applied)
        raise


def undo_in_work_tree(applied: Applied) -> None:
    """Go back to what was checked out before and remove the branch. Raises PatchConflictError, GitError, having changed nothing."""
    top = Path(applied.repository)
    layout = find_layout(top)
    if layout is None or layout.top != top:
        raise GitError(f"{top} is not a git work tree any more")
    git = UserGit(layout)
    with WorkFolder(top, keeps_modes=keeps_modes(layout)) as work:
        git.check_fit()
        tip = git.branch_commit(applied.branch)
        if tip not in (None, applied.commits[-1]):
            raise PatchConflictError(
                f"the branch {printable(applied.branch)} holds commits that are not ours",
                hint="switch to another branch yourself, and remove this one when you do not need it",
            )
        _take_back(git, work, applied)


def _take_back(git: UserGit, work: WorkFolder, applied: Applied) -> None:
    on_branch = git.head_branch() == applied.branch
    if on_branch and applied.previous and git.branch_commit(applied.previous) != applied.base:
        raise PatchConflictError(
            f"the branch {printable(applied.previous)} has moved since", hint=f"switch to it yourself, and remove {applied.branch} then"
        )
    if on_branch or git.head_commit() == applied.base:
        _check_index(git, applied.files, after=True)
        before = {file.path: FileState(file.before_mode, git.blob(file.before_id)) if file.before_mode else None for file in applied.files}
        restore_all(work, applied.files, before)
        git.stage([(file.path, file.before_mode, file.before_id) for file in applied.files])
    if on_branch:
        git.switch(applied.previous, "undo") if applied.previous else git.detach(applied.base)
    git.remove_branch(applied.branch, applied.commits[-1])


def _check_index(git: UserGit, files: tuple[TouchedFile, ...], *, after: bool = False) -> None:
    entries = git.index_entries()
    for file in files:
        entry = entries.get(file.path, (0, ""))
        known = {(file.before_mode, file.before_id)} | ({(file.after_mode, file.after_id)} if after else set())
        if entry not in known:
            raise PatchConflictError(f"{printable(file.path)} has staged changes of yours", hint="commit or unstage it, then try again")


def _touched(store: GitStore, base: str, tip: str) -> tuple[TouchedFile, ...]:
    files = []
    for path, change in sorted(store.changed(store.tree(base), store.tree(tip)).items()):
        if change.old_mode not in _REGULAR or change.new_mode not in _REGULAR:
            raise PatchConflictError(f"{printable(path)} is not a regular file", hint="nothing was written")
        files.append(
            TouchedFile(
                path=path,
                before_mode=change.old_mode,
                before_id=change.old if change.old_mode else "",
                after_mode=change.new_mode,
                after_id=change.new if change.new_mode else "",
            )
        )
    return tuple(files)


@contextlib.contextmanager
def _beside(layout: Layout) -> Iterator[GitStore]:
    with tempfile.TemporaryDirectory() as scratch:
        store = GitStore.beside(layout, Path(scratch) / "store.git")
        try:
            yield store
        finally:
            store.close()


def _prefix(layout: Layout, repository: Path) -> str:
    folder = repository.resolve()
    if layout.top is None or folder == layout.top:
        return ""
    return folder.relative_to(layout.top).as_posix() + "/"


def _is_tracked(layout: Layout, repository: Path) -> bool:
    prefix = _prefix(layout, repository)
    with tempfile.TemporaryDirectory() as scratch:
        return any(file.path.startswith(prefix) for file in tracked_files(Path(scratch), layout))
