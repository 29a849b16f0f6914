"""Where the code under repair comes from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from remediator.records.record import Record


class SourceKind(StrEnum):
    """The ways in."""

    path = "path"
    git = "git"
    package = "package"


class Source(Record):
    """A resolved source: what the user named, pinned to one commit in our own store.

    `uri` is what a stranger needs to get the same bytes (a URL, `pkg:pypi/name@version`, or a path), `folder` the part of a repository
    that was taken, empty where that is all of it. `archive_digest` is the published archive's digest for packages, `released` is when that
    version came out (dependency resolution as of then).
    """

    kind: SourceKind
    uri: str
    name: str
    revision: str = ""
    commit: str
    tree: str
    folder: str = ""
    version: str = ""
    archive_digest: str = ""
    released: datetime | None = None
    notes: tuple[str, ...] = ()
