"""The few git commands that run in the user's own repository; none of them reads or writes a file of the work tree."""

from __future__ import annotations

import os
from collections.abc import Sequence

from remediator.errors import GitError
from remediator.git_command import Git
from remediator.git_foreign import Layout
from remediator.redact import printable

_ZERO = "0" * 40
_MIDWAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisection",
}


class UserGit:
    """A repository of the user's."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._git = Git(
            layout.folder,
            env={
                "GIT_WORK_TREE": "/nonexistent",
                "GIT_COMMITTER_NAME": "remediator",
                "GIT_COMMITTER_EMAIL": "remediator@localhost",
            },
        )

    def check_fit(self) -> None:
        """Raise GitError where something is going on that must be ended first."""
        if self._layout.folder.stat().st_uid != os.geteuid():
            raise GitError(f"{self._layout.folder} belongs to another user", hint="run as the user that the repository belongs to")
        for name, what in _MIDWAY.items():
            if (self._layout.folder / name).exists():
                raise GitError(f"{what} is going on in {self._layout.top}", hint="end it or abort it first")
        if (self._layout.folder / "index.lock").exists():
            raise GitError(f"another git command is at work in {self._layout.top}", hint="wait for it to end")

    def head_commit(self) -> str:
        """Return the commit that is checked out. Raises GitError where there is none."""
        output = self._git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if output.code:
            raise GitError(f"{self._layout.top or self._layout.folder} has no commit yet", hint="commit your files first")
        return output.stdout.decode("ascii").strip()

    def head_branch(self) -> str:
        """Return the branch that is checked out, or an empty string."""
        output = self._git.run("symbolic-ref", "--quiet", "HEAD")
        return "" if output.code else output.stdout.decode("utf-8", "surrogateescape").strip().removeprefix("refs/heads/")

    def branch_commit(self, branch: str) -> str | None:
        """Return a branch's commit, or None where there is no such branch. Raises GitError where that is no name for one."""
        self._check_name(branch)
        output = self._git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/heads/{branch}^{{commit}}")
        return None if output.code else output.stdout.decode("ascii").strip()

    def _check_name(self, branch: str) -> None:
        if branch.startswith("-") or self._git.run("check-ref-format", f"refs/heads/{branch}").code:
            raise GitError(f"{printable(branch)!r} is no name for a branch")

    def tree_of(self, commit: str) -> str:
        """Return the id of a commit's tree."""
        return self._git.line("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")

    def take(self, pack: bytes) -> None:
        """Take objects in."""
        self._git.call("unpack-objects", "-q", stdin=pack)

    def create_branch(self, branch: str, commit: str) -> None:
        """Make a branch. Raises GitError where it exists by now."""
        self._git.call("update-ref", "-m", "remediator: apply", f"refs/heads/{branch}", commit, _ZERO)

    def remove_branch(self, branch: str, commit: str) -> None:
        """Remove a branch that still is at the commit; nothing happens where it is gone. Raises GitError."""
        if self.branch_commit(branch) is None:
            return
        where = self._git.line("for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}")
        if where:
            raise GitError(
                f"the branch {printable(branch)} is checked out in {printable(where)}", hint="switch that work tree to another branch first"
            )
        self._git.call("update-ref", "-d", f"refs/heads/{branch}", commit)

    def switch(self, branch: str, why: str) -> None:
        """Make HEAD name a branch."""
        self._git.call("symbolic-ref", "-m", f"remediator: {why}", "HEAD", f"refs/heads/{branch}")

    def detach(self, commit: str) -> None:
        """Make HEAD name a commit."""
        self._git.call("update-ref", "-m", "remediator: undo", "--no-deref", "HEAD", commit)

    def blob(self, oid: str) -> bytes:
        """Return a file's content."""
        return self._git.call("cat-file", "blob", oid)

    def index_entries(self) -> dict[str, tuple[int, str]]:
        """Return mode and object id of everything in the index, by path; paths in conflict are left out."""
        found = {}
        for line in self._git.call("ls-files", "-z", "-s").split(b"\0"):
            facts, _, path = line.partition(b"\t")
            words = facts.decode("ascii").split()
            if len(words) == 3 and words[2] == "0":
                found[path.decode("utf-8", "surrogateescape")] = (int(words[0], 8), words[1])
        return found

    def stage(self, entries: Sequence[tuple[str, int, str]]) -> None:
        """Set index entries; mode 0 removes one. Other entries stay as they are."""
        lines = [f"{mode:o} {oid if mode else _ZERO} 0\t{path}\0".encode("utf-8", "surrogateescape") for path, mode, oid in entries]
        self._git.call("update-index", "-z", "--index-info", stdin=b"".join(lines))
