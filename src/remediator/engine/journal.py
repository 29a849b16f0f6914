"""What happened, in order: an append-only table of events, and the observers that are told."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from remediator.contracts import Observer
from remediator.errors import StateError, UsageError
from remediator.records.case import Case
from remediator.records.event import Event, RunFinished, RunStarted, event_adapter
from remediator.records.record import Record, canonical_json
from remediator.redact import Redactor

_log = structlog.get_logger()
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL, case_id TEXT NOT NULL DEFAULT '',
  type TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_run ON events (run_id, number);
CREATE INDEX IF NOT EXISTS events_by_case ON events (case_id, number);
"""


class RunSummary(Record):
    """A run at a glance. `outcome` is empty while it is unfinished: running, interrupted or crashed."""

    run_id: str
    target: str
    started: datetime
    finished: datetime | None = None
    outcome: str = ""
    configuration: dict[str, Any] = {}


class Journal:
    """The journal's file. Safe for several threads and processes; every append is on disk when it returns."""

    def __init__(self, path: Path, *, redactor: Callable[[str], str] | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._lock = threading.Lock()  # guards the one connection
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"cannot open the journal {path}: {error}", hint="check the state folder's owner and free space") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def append(self, event: Event, key: str) -> bool:
        """Append an event once: the same key a second time changes nothing and returns False.

        Raises StateError when the disk is full or the file is damaged.
        """
        body = canonical_json(_redacted(event.as_json(), self._redactor)).decode("ascii")
        row = (key, event.run_id, getattr(event, "case_id", ""), event.type, event.at.isoformat(), body)
        with self._lock, self._told():
            done = self._db.execute("INSERT OR IGNORE INTO events (key, run_id, case_id, type, at, body) VALUES (?,?,?,?,?,?)", row)
            self._db.commit()
        return done.rowcount == 1

    def events(self, run_id: str, case_id: str = "") -> tuple[Event, ...]:
        """Return a run's events in order, or one case's."""
        where = "run_id=? AND case_id=?" if case_id else "run_id=?"
        values = (run_id, case_id) if case_id else (run_id,)
        with self._lock, self._told():
            rows = self._db.execute(f"SELECT body FROM events WHERE {where} ORDER BY number", values).fetchall()  # noqa: S608 - fixed text
        return tuple(event_adapter.validate_python(json.loads(row[0])) for row in rows)

    def runs(self) -> tuple[RunSummary, ...]:
        """Return all runs, the latest first."""
        with self._lock, self._told():
            rows = self._db.execute("SELECT body FROM events WHERE type IN ('RunStarted','RunFinished') ORDER BY number").fetchall()
        runs: dict[str, RunSummary] = {}
        for row in rows:
            event = event_adapter.validate_python(json.loads(row[0]))
            if isinstance(event, RunStarted):
                runs[event.run_id] = RunSummary(
                    run_id=event.run_id, target=event.target, started=event.at, configuration=event.configuration
                )
            elif isinstance(event, RunFinished) and event.run_id in runs:
                runs[event.run_id] = runs[event.run_id].model_copy(update={"finished": event.at, "outcome": event.outcome})
        return tuple(reversed(runs.values()))

    def cases(self, run_id: str | None = None) -> tuple[Case, ...]:
        """Return the cases of a run, the latest run by default, in the order in which they were opened."""
        if run_id is None:
            runs = self.runs()
            if not runs:
                return ()
            run_id = runs[0].run_id
        by_case: dict[str, list[Event]] = {}
        for event in self.events(run_id):
            if case_id := getattr(event, "case_id", ""):
                by_case.setdefault(case_id, []).append(event)
        return tuple(case for events in by_case.values() if (case := Case.replay(events)))

    def case(self, prefix: str) -> Case:
        """Return the one case whose id begins with `prefix`, or for `last` the one closed last. Raises UsageError.

        Of several runs, the latest that brought the case to its end counts: one that is still at it, or was interrupted, does not hide it.
        """
        if prefix == "last":
            prefix = self._closed_last()
        with self._lock, self._told():
            rows = self._db.execute(
                "SELECT case_id, run_id FROM events WHERE type='FindingReported' AND substr(case_id, 1, ?)=? ORDER BY number",
                (len(prefix), prefix),
            ).fetchall()
        found = sorted({case_id for case_id, _ in rows})
        if len(found) != 1 or not prefix:
            told = f"no case begins with {prefix!r}" if not found else f"{prefix!r} is ambiguous: {', '.join(found)}"
            raise UsageError(told, hint="remediator list shows the cases")
        runs = dict.fromkeys(run_id for _, run_id in reversed(rows))
        cases = [case for run_id in runs if (case := Case.replay(self.events(run_id, found[0])))]
        if not cases:
            raise StateError(f"the journal of case {found[0]} does not begin with its finding")
        return next((case for case in cases if case.closed), cases[0])

    def _closed_last(self) -> str:
        with self._lock, self._told():
            row = self._db.execute("SELECT case_id FROM events WHERE type='CaseClosed' ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            raise UsageError("no case was brought to its end yet", hint="remediator fix makes one")
        return str(row[0])

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.rollback()
            raise StateError(
                f"the journal cannot be used: {error}", hint="free some space or check the state folder, then --resume"
            ) from error


class Recorder:
    """Appends to the journal, then tells the observers; an observer that fails is logged and not felt."""

    def __init__(self, journal: Journal, observers: Sequence[Observer] = ()) -> None:
        self.journal = journal
        self._observers = tuple(observers)

    async def record(self, event: Event, key: str) -> None:
        """Record one event under a key that is the same when the step runs again."""
        if self.journal.append(event, key):
            await self.show(event)

    async def show(self, event: Event) -> None:
        """Tell the observers of an event, and remember nothing."""
        for observer in self._observers:
            try:
                await observer.on_event(event)
            except Exception as error:  # an observer may not disturb a run, whatever it does
                _log.warning("observer failed", observer=observer.name, error=f"{type(error).__name__}: {error}")


def _redacted(value: Any, redactor: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redactor(value)
    if isinstance(value, list):
        return [_redacted(item, redactor) for item in value]
    if isinstance(value, dict):
        # A diff must stay what was judged and signed, byte for byte.
        return {key: item if key == "diff" else _redacted(item, redactor) for key, item in value.items()}
    return value
