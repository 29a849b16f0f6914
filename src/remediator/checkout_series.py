"""Patches that were each made against the same base, as commits one upon the other."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from remediator.errors import PatchConflictError, PatchError
from remediator.git import GitStore
from remediator.redact import printable


class Series(NamedTuple):
    """Commit messages and diffs, and what the commits say of their maker."""

    patches: tuple[tuple[str, str], ...]
    author: str
    when: datetime


class Branch(NamedTuple):
    """A branch with the commits on it; `existed` says that it was there before, with the same change."""

    name: str
    base: str
    commits: tuple[str, ...]
    existed: bool = False


def commits_of(store: GitStore, base: str, series: Series, prefix: str) -> tuple[str, ...]:
    """Keep each patch as a commit upon the one before; return their ids.

    Each is applied exactly to the base. From the second on it is then merged, so that one that adds lines does not break the next.
    Raises PatchConflictError where a patch does not fit, or two change the same lines.
    """
    commits: list[str] = []
    for message, diff in series.patches:
        title = printable(message.partition("\n")[0])
        try:
            alone = store.apply(store.tree(base), diff, prefix=prefix)
            commits.append(_upon(store, base, commits, store.commit(alone, base, message, author=series.author, when=series.when)))
        except PatchConflictError as error:
            raise PatchConflictError(f"{title}: {error.message}", hint=error.hint) from error
        except PatchError as error:
            raise PatchError(f"{title}: {error.message}", hint=error.hint) from error
    return tuple(commits)


def _upon(store: GitStore, base: str, commits: list[str], alone: str) -> str:
    return store.rebase(alone, base, commits[-1]) if commits else alone
