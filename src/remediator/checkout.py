"""Puts proven patches into the user's own repository or folder, at the user's explicit wish, and takes them back.

Whatever is in doubt is refused: no file that the user changed is ever written, and nothing of the repository's configuration runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from remediator.checkout_folder import apply_to_folder, undo_in_folder
from remediator.checkout_record import Applied, TouchedFile
from remediator.checkout_series import Branch, Series
from remediator.checkout_work_tree import apply_to_work_tree, make_branch, undo_in_work_tree
from remediator.errors import PatchError

__all__ = ["Applied", "Branch", "TouchedFile", "apply_patches", "create_branch", "undo"]

AUTHOR = "remediator <remediator@localhost>"


def apply_patches(
    repository: Path,
    patches: Sequence[tuple[str, str]],
    *,
    branch: str,
    author: str = AUTHOR,
    when: datetime | None = None,
    record: Path | None = None,
) -> Applied:
    """Put patches (commit message and diff, each made against the same base) into a repository or a folder.

    In a git work tree a new branch on top of HEAD gets one commit for each, and is checked out; other changed files stay as they are. In
    a folder without git the files are written. `record` is a file for the undo record, written before the first file is touched.
    Raises PatchConflictError where a patch does not fit or a touched file was changed, GitError where the repository is not in a fit state.
    """
    series = _series(patches, author, when)
    applied = apply_to_work_tree(repository, series, branch=branch, record=record)
    return applied or apply_to_folder(repository, series, record=record)


def create_branch(
    repository: Path, patches: Sequence[tuple[str, str]], *, branch: str, author: str = AUTHOR, when: datetime | None = None
) -> Branch:
    """Make a branch on top of HEAD with one commit for each patch, in a repository with or without a work tree; touch nothing else.

    A branch that is there and holds the same change is left, and said to have `existed`. Raises PatchConflictError, GitError.
    """
    return make_branch(repository, _series(patches, author, when), branch=branch)


def undo(applied: Applied) -> None:
    """Take back what `apply_patches` did, also where it was interrupted. Raises PatchConflictError where work of the user would be lost."""
    if applied.branch:
        undo_in_work_tree(applied)
    else:
        undo_in_folder(applied)


def _series(patches: Sequence[tuple[str, str]], author: str, when: datetime | None) -> Series:
    if not patches:
        raise PatchError("there is no patch to apply")
    return Series(tuple(patches), author, when or datetime.now(UTC))
