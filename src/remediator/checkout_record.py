"""What was put into the user's repository: enough to take it back."""

from __future__ import annotations

import hashlib
from pathlib import Path

from remediator.artefacts import write_atomically
from remediator.errors import StateError
from remediator.records.record import Record


class TouchedFile(Record):
    """One file that was written. Modes are git's, 0 where there is no file; `before` is kept only where no git keeps it."""

    path: str
    before_mode: int
    before_id: str
    after_mode: int
    after_id: str
    before: bytes = b""


class Applied(Record):
    """The undo record. `branch` is empty for a folder without git, `previous` where no branch was checked out before."""

    repository: str
    branch: str = ""
    previous: str = ""
    base: str = ""
    commits: tuple[str, ...] = ()
    files: tuple[TouchedFile, ...] = ()


def blob_id(data: bytes) -> str:
    """Return git's object id of a file's content."""
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()


def keep_record(applied: Applied, path: Path | None) -> None:
    """Write the record where it was asked for. Raises StateError."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, applied.model_dump_json().encode("utf-8"))
    except OSError as error:
        raise StateError(f"the undo record {path} cannot be written: {error.strerror}", hint="nothing was applied") from error
