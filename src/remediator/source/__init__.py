"""Where the code under repair comes from: a local folder, a git repository, or a package's published source archive."""

from __future__ import annotations

from remediator.source.resolve import Resolved, reopen, resolve
from remediator.source.target import rooted

__all__ = ["Resolved", "reopen", "resolve", "rooted"]
