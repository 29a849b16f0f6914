"""Whether a commit is one of a repository's own. Hosts that keep forks together show any fork's commits under the parent's address."""

from __future__ import annotations

import tempfile
from pathlib import Path

from remediator.errors import GitError, UnpublishedError
from remediator.git_command import Git
from remediator.redact import printable

_FIXED = ("--quiet", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance", "--no-tags")


def check_published(git: Git, url: str, commit: str, *, pack_bytes: int) -> None:
    """Raise UnpublishedError where a commit is in the history of no branch and no tag, GitError where that cannot be found out.

    `git` must be set up to talk to the server. Where the commit is no tip, the history of all of them is fetched, without its files
    where the server can leave them out.
    """
    listed = git.run("ls-remote", "--quiet", "--heads", "--tags", "--", url, timeout_seconds=300)
    if listed.code:
        raise GitError(f"the branches of {printable(url)} cannot be listed: {listed.complaint}")
    if commit.encode() in {line.split(b"\t", 1)[0] for line in listed.stdout.splitlines()}:
        return
    with tempfile.TemporaryDirectory(dir=git.folder, prefix="history-") as folder:
        # Only ids and parents are read of it, and those are what the ids were computed from.
        history = git.at(Path(folder)).configured("transfer.fsckObjects=false")
        history.call("init", "--quiet", "--bare", "--template=", "--object-format=sha1")
        wanted = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        fetched = history.run("fetch", *_FIXED, "--filter=tree:0", "--", url, *wanted, timeout_seconds=1800, file_bytes=pack_bytes)
        if fetched.code:
            raise GitError(f"the history of {printable(url)} cannot be fetched: {fetched.complaint}")
        # No object that is missing here is asked for: a commit that these tips do not have is what we look for.
        history = history.where(GIT_ALLOW_PROTOCOL="none")
        known = history.run("cat-file", "-e", commit)
        if known.code or not history.run("for-each-ref", "--count=1", f"--contains={commit}").stdout:
            raise UnpublishedError(
                f"no branch and no tag of {printable(url)} has commit {commit}",
                hint="it may be a fork's, or of a branch that is gone: name one that the repository itself has",
            )
