"""What was applied to a repository and not taken back yet: one record for each time, in a folder for each repository."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from remediator.checkout_record import Applied
from remediator.errors import UsageError


class Undoable(NamedTuple):
    """The last thing that was applied, and the file that tells of it."""

    record: Path
    applied: Applied


class UndoStack:
    """The records of one repository, below the state folder."""

    def __init__(self, state: Path, repository: Path) -> None:
        self._repository = repository
        name = str(repository.resolve()).encode("utf-8", "surrogateescape")
        self.folder = state / "undo" / hashlib.sha256(name).hexdigest()[:16]

    def next_record(self) -> Path:
        """Return the file for the record of what is applied now."""
        records = self._records()
        return self.folder / f"{int(records[-1].stem) + 1 if records else 1:06}.json"

    def last(self) -> Undoable:
        """Return what was applied last. Raises UsageError where nothing is left."""
        records = self._records()
        if not records:
            raise UsageError(
                f"nothing that was applied to {self._repository} is left to take back", hint="remediator apply makes something to undo"
            )
        return Undoable(records[-1], Applied.model_validate_json(records[-1].read_bytes()))

    def _records(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))
