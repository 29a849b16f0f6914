"""What was asked and answered, and what it cost: on disk before anybody uses it."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from remediator.errors import StateError
from remediator.records.record import canonical_json
from remediator.records.spend import Spend

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL, case_id TEXT NOT NULL, scope TEXT NOT NULL,
  model TEXT NOT NULL, asked REAL NOT NULL, tries INTEGER NOT NULL, most_usd TEXT NOT NULL, most_tokens INTEGER NOT NULL,
  lost_usd TEXT NOT NULL DEFAULT '0', lost_tokens INTEGER NOT NULL DEFAULT 0,
  usd TEXT, input_tokens INTEGER, output_tokens INTEGER, seconds REAL, said BLOB NOT NULL, reply BLOB);
CREATE INDEX IF NOT EXISTS calls_by_case ON calls (run_id, case_id);
CREATE INDEX IF NOT EXISTS calls_by_day ON calls (asked);
CREATE TABLE IF NOT EXISTS memos (key TEXT PRIMARY KEY, run_id TEXT NOT NULL, case_id TEXT NOT NULL, body TEXT NOT NULL);
"""
_DAY = 86_400


class Call(NamedTuple):
    """One question to a model. `said` is what was new in it, `reply` the answer, None where none was kept."""

    key: str
    case_id: str
    scope: str
    model: str
    asked: float
    tries: int
    spend: Spend
    said: Any
    reply: Any


class Ledger:
    """The file of calls and memos. Safe for several threads and processes; what is written is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()  # guards the one connection; a transaction's own questions come from the thread that holds it
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"cannot open the ledger {path}: {error}", hint="check the state folder's owner and free space") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """Hold the file: what is read and noted inside counts as one, and no thread or process reads or notes anything in between.

        Raises StateError where the file cannot be had. An error inside takes back what was noted.
        """
        with self._told():
            yield

    def memo(self, key: str) -> str | None:
        """Return what was remembered under the key."""
        with self._told() as db:
            row = db.execute("SELECT body FROM memos WHERE key=?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, key: str, run_id: str, case_id: str, body: str) -> None:
        """Remember a text under a key; the first one stays."""
        with self._told() as db:
            db.execute("INSERT OR IGNORE INTO memos (key, run_id, case_id, body) VALUES (?,?,?,?)", (key, run_id, case_id, _stored(body)))

    def reply(self, key: str) -> dict[str, Any] | None:
        """Return the answer that was kept under the key."""
        with self._told() as db:
            row = db.execute("SELECT reply FROM calls WHERE key=?", (key,)).fetchone()
        if row is None or row[0] is None:
            return None
        found: dict[str, Any] = json.loads(row[0])
        return found

    def ask(self, key: str, run_id: str, case_id: str, scope: str, model: str, most: Spend, said: Any) -> None:
        """Note that a question is about to be sent and what it can cost.

        One that was sent before, and whose answer was not kept, may have been paid.
        """
        with self._told() as db:
            row = db.execute("SELECT lost_usd, lost_tokens, most_usd, most_tokens FROM calls WHERE key=?", (key,)).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO calls (key, run_id, case_id, scope, model, asked, tries, most_usd, most_tokens, said)"
                    " VALUES (?,?,?,?,?,?,1,?,?,?)",
                    (key, run_id, case_id, scope, model, time.time(), str(most.usd), _tokens(most), canonical_json(said)),
                )
                return
            lost = Decimal(row[0]) + Decimal(row[2])
            db.execute(
                "UPDATE calls SET tries=tries+1, asked=?, lost_usd=?, lost_tokens=?, most_usd=?, most_tokens=? WHERE key=?",
                (time.time(), str(lost), row[1] + row[3], str(most.usd), _tokens(most), key),
            )

    def answered(self, key: str, spend: Spend, reply: dict[str, Any]) -> None:
        """Keep the answer. Raises StateError where it cannot be kept: then it must not be used."""
        with self._told() as db:
            db.execute(
                "UPDATE calls SET usd=?, input_tokens=?, output_tokens=?, seconds=?, reply=? WHERE key=?",
                (str(spend.usd), spend.input_tokens, spend.output_tokens, spend.seconds, canonical_json(reply), key),
            )

    def unanswered(self, key: str) -> None:
        """Note that a question was refused before it could cost anything."""
        with self._told() as db:
            db.execute("UPDATE calls SET most_usd='0', most_tokens=0 WHERE key=? AND reply IS NULL", (key,))

    def spent(self, run_id: str = "", case_id: str = "", *, scope: str = "", since: float = 0.0) -> Spend:
        """Return what was spent at the most: answers at their price, questions without an answer at all that they can have cost.

        `scope` takes what was asked under that scope or one within it.
        """
        where: list[str] = ["asked>=?"]
        values: list[Any] = [since]
        if scope:
            where.append("(scope=? OR substr(scope, 1, ?) IN (?, ?))")
            values += [scope, len(scope) + 1, f"{scope}.", f"{scope}/"]
        for column, value in (("run_id", run_id), ("case_id", case_id)):
            if value:
                where.append(f"{column}=?")
                values.append(value)
        with self._told() as db:
            rows = db.execute(
                "SELECT usd, input_tokens, output_tokens, seconds, most_usd, most_tokens, lost_usd, lost_tokens FROM calls WHERE "  # noqa: S608 - fixed text
                + " AND ".join(where),
                values,
            ).fetchall()
        total = Spend()
        for usd, sent, got, seconds, most_usd, most_tokens, lost_usd, lost_tokens in rows:
            total += Spend(usd=Decimal(lost_usd), input_tokens=lost_tokens)
            if usd is None:
                total += Spend(usd=Decimal(most_usd), input_tokens=most_tokens)
            else:
                total += Spend(usd=Decimal(usd), input_tokens=sent, output_tokens=got, seconds=seconds)
        return total

    def today(self) -> Spend:
        """Return what was spent within the last 24 hours."""
        return self.spent(since=time.time() - _DAY)

    def calls(self, case_id: str = "", run_id: str = "") -> tuple[Call, ...]:
        """Return the questions of a case or a run, in order."""
        with self._told() as db:
            rows = db.execute(
                "SELECT key, case_id, scope, model, asked, tries, usd, input_tokens, output_tokens, seconds, said, reply FROM calls"
                " WHERE (?='' OR case_id=?) AND (?='' OR run_id=?) ORDER BY number",
                (case_id, case_id, run_id, run_id),
            ).fetchall()
        return tuple(
            Call(
                key=row[0],
                case_id=row[1],
                scope=row[2],
                model=row[3],
                asked=row[4],
                tries=row[5],
                spend=Spend(usd=Decimal(row[6] or 0), input_tokens=row[7] or 0, output_tokens=row[8] or 0, seconds=row[9] or 0.0),
                said=json.loads(row[10]),
                reply=None if row[11] is None else json.loads(row[11]),
            )
            for row in rows
        )

    @contextmanager
    def _told(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._db.in_transaction:
                # Within `one_transaction`, which ends it and answers for its errors.
                yield self._db
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                # A transaction that stays open would stop every other process, and the next question of this one.
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error | OverflowError):
                    raise
                raise StateError(f"the ledger cannot be used: {error}", hint="free some space, then --resume") from error


def _tokens(spend: Spend) -> int:
    return spend.input_tokens + spend.output_tokens


def _stored(text: str) -> str:
    # What SQLite cannot hold as text must not end a run.
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if any("\ud800" <= char <= "\udfff" for char in text) else text
