"""What reviewers decided about fixes, one JSON line each, in the state folder.

A decision is about one patch: another patch for the same finding is asked about anew.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from remediator.errors import StateError

_FILE = "reviews.jsonl"


class ReviewLog:
    """The decisions, read once. The last one about a patch counts."""

    def __init__(self, state: Path) -> None:
        self._path = state / _FILE
        self._decisions: dict[tuple[str, str], str] = {}
        for line in self._lines():
            entry = json.loads(line)
            self._decisions[(entry["case"], entry["patch"])] = entry["decision"]

    def decision(self, case_id: str, patch_id: str) -> str:
        """Return `approved`, `rejected`, or an empty string."""
        return self._decisions.get((case_id, patch_id), "")

    def decide(self, case_id: str, patch_id: str, decision: str, *, reason: str, at: datetime) -> None:
        """Remember a decision. Raises StateError where it cannot be written."""
        entry = {"case": case_id, "patch": patch_id, "decision": decision, "reason": reason, "at": at.isoformat()}
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "ab") as stream:
                stream.write(json.dumps(entry).encode("ascii") + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise StateError(
                f"cannot write {self._path}: {error.strerror}", hint="check the state folder's owner and free space"
            ) from error
        self._decisions[(case_id, patch_id)] = decision

    def _lines(self) -> list[bytes]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(f"cannot read {self._path}: {error.strerror}", hint="check the state folder's owner") from error
        # A last line without its end was cut short by a crash.
        return data.split(b"\n")[:-1]
