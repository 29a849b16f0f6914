"""A folder that submissions are handed over into: one writer at a time, and a ledger of what was sent."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remediator.artefacts import private_folder, read_regular, sync_folder
from remediator.errors import SinkError, StateError
from remediator.records.record import canonical_json
from remediator.records.submission import Submission

LEDGER = "sent.jsonl"
_LOCK = ".lock"
_WAIT_SECONDS = 60.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class SentLedger:
    """One line of JSON for each submission that arrived. Whatever stands in it is never sent again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sent = dict(self._load())

    def location(self, submission_id: str) -> str | None:
        """Return where a submission was put, or None where it never was."""
        return self._sent.get(submission_id)

    def add(self, submission: Submission, location: str) -> None:
        """Note that a submission arrived, and wait until the disk has it. Raises SinkError; then nothing was noted."""
        line = {"id": submission.id, "case": submission.case_id, "bundle": submission.bundle_digest, "location": location}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, canonical_json(line) + b"\n")
                os.fsync(descriptor)
            except OSError as error:
                os.ftruncate(descriptor, size)
                raise sink_error(error, self._path) from error
        finally:
            os.close(descriptor)
        sync_folder(self._path.parent)
        self._sent[submission.id] = location

    def _load(self) -> Iterator[tuple[str, str]]:
        if not self._path.exists():
            return
        data = read_regular(self._path)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            # A writer died in the middle of its line: what it was about is found again by its folder.
            os.truncate(self._path, whole)
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                entry = json.loads(line)
                yield str(entry["id"]), str(entry["location"])
            except (ValueError, KeyError, TypeError) as error:
                raise SinkError(
                    f"{self._path} line {number} is damaged", hint="restore the ledger: without it, fixes would be sent twice"
                ) from error


@contextmanager
def locked(folder: Path) -> Iterator[SentLedger]:
    """Make the folder where it is missing, keep every other writer out of it, and give its ledger.

    Raises SinkError where it cannot be written or another process keeps it for a minute.
    """
    try:
        private_folder(folder)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except (OSError, StateError) as error:
        raise sink_error(error, folder) from error
    try:
        _wait(descriptor, folder)
        # Under the lock, whatever is half-written was left by a writer that died.
        for partial in folder.glob(".partial-*"):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
        yield SentLedger(folder / LEDGER)
    except (OSError, StateError) as error:
        raise sink_error(error, folder) from error
    finally:
        os.close(descriptor)


def checked_id(submission: Submission) -> str:
    """Return the submission's id, which becomes a file name. Raises SinkError where it is none."""
    if not _ID.match(submission.id):
        raise SinkError(f"{submission.id[:100]!r} is no submission id")
    return submission.id


def sink_error(error: OSError | StateError, path: Path) -> SinkError:
    """Return what a failed write means: the submission did not arrive, and is tried again."""
    if isinstance(error, StateError):
        return SinkError(error.message, hint=error.hint)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SinkError(f"no room left in {path}", hint="free some space; the submission is kept and tried again")
    return SinkError(f"cannot write {path}: {error.strerror}", hint="the folder must belong to you and be writable")


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _wait(descriptor: int, folder: Path) -> None:
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise SinkError(
                    f"another process has been writing into {folder} for a minute", hint="try again when it has ended"
                ) from error
            time.sleep(0.01)
        else:
            return
