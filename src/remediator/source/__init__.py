"""Where the code under repair comes from: a local folder, a git repository, or a package's published source archive."""

from __future__ import annotations

from remediator.source.resolve import Resolved, reopen, resolve
from remediator.source.target import RemoteGitTarget, read_target, rooted

__all__ = ["RemoteGitTarget", "Resolved", "read_target", "reopen", "resolve", "rooted"]
