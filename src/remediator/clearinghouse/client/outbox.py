"""What is to be handed over, on disk until a clearinghouse said that it has it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from remediator.artefacts import ArtefactStore, private_folder
from remediator.clearinghouse.client.http import Clearinghouse
from remediator.clearinghouse.wire.answers import Answer
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Tlp, Verb
from remediator.errors import AuthError, ConflictError, EvidenceError, RemediatorError, SinkError, StateError
from remediator.records.record import canonical_json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
  number INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL, key TEXT NOT NULL, subject TEXT NOT NULL, verb TEXT NOT NULL,
  body TEXT NOT NULL, tlp TEXT NOT NULL, embargo TEXT NOT NULL, blob TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
  tried REAL NOT NULL, answer TEXT NOT NULL, problem TEXT NOT NULL, ledger TEXT NOT NULL DEFAULT '', UNIQUE (place, key));
CREATE INDEX IF NOT EXISTS items_by_state ON items (state, place, number);
"""


class Item(NamedTuple):
    """One thing in the outbox. `state` is waiting, delivered or refused; `subject` is what it is about, such as a submission's id.

    `ledger` is the key of the clearinghouse that has it, empty where nobody has, or where it was delivered before that was written down.
    """

    number: int
    place: str
    key: str
    subject: str
    verb: str
    body: dict[str, Any]
    tlp: str
    embargo_until: datetime | None
    blob: str
    state: str
    tries: int
    answer: Answer | None
    problem: str
    ledger: str


def idempotency_key(*parts: str) -> str:
    """Return a key that depends on the content only: whoever hands over again after a crash has the same."""
    return "c:" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:40]


class Outbox:
    """A file in the state folder. Safe for several threads and processes; what is put in is on disk when `put` returns."""

    def __init__(self, state: Path) -> None:
        folder = state / "outbox"
        private_folder(folder)
        self._blobs = ArtefactStore(folder / "blobs")
        self._lock = threading.Lock()
        path = folder / "outbox.sqlite"
        try:
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            if "ledger" not in {row["name"] for row in self._db.execute("PRAGMA table_info(items)")}:
                self._db.execute("ALTER TABLE items ADD COLUMN ledger TEXT NOT NULL DEFAULT ''")
            path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"cannot open the outbox {path}: {error}", hint="check the state folder's owner and free space") from error

    @staticmethod
    def is_there(state: Path) -> bool:
        """Return whether anything was ever put into one."""
        return (state / "outbox" / "outbox.sqlite").is_file()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def put(
        self,
        place: str,
        verb: Verb,
        body: Mapping[str, Any],
        *,
        key: str,
        subject: str,
        tlp: Tlp = Tlp.amber,
        embargo_until: datetime | None = None,
        blob: bytes | None = None,
        ledger: str = "",
    ) -> Item:
        """Put something in; what is there under that key already stays as it is. Raises StateError where the disk is full.

        `ledger` is the key of the clearinghouse that it is for. What another one got, that had this name before, was not delivered to it.
        """
        digest = "" if blob is None else self._blobs.put(blob)
        until = "" if embargo_until is None else embargo_until.isoformat()
        row = (place, key, subject, verb.value, canonical_json(dict(body)).decode("ascii"), tlp.value, until, digest)
        with self._told() as db:
            db.execute(
                "INSERT OR IGNORE INTO items (place, key, subject, verb, body, tlp, embargo, blob, state, tries, tried, answer, problem)"
                " VALUES (?,?,?,?,?,?,?,?,'waiting',0,0,'','')",
                row,
            )
            db.execute(
                "UPDATE items SET state='waiting', answer='', ledger='' WHERE place=? AND key=? AND state='delivered'"
                " AND ledger NOT IN ('', ?) AND ?<>''",
                (place, key, ledger, ledger),
            )
            found = db.execute("SELECT * FROM items WHERE place=? AND key=?", (place, key)).fetchone()
        return _item(found)

    def items(self, *, place: str | None = None, state: str | None = None, subject: str | None = None) -> list[Item]:
        """Return what is in it, the oldest first."""
        with self._told() as db:
            rows = db.execute(
                "SELECT * FROM items WHERE (?1 IS NULL OR place=?1) AND (?2 IS NULL OR state=?2) AND (?3 IS NULL OR subject=?3)"
                " ORDER BY number",
                (place, state, subject),
            ).fetchall()
        return [_item(row) for row in rows]

    def again(self, place: str, item: Item | None = None) -> None:
        """Let what was refused be tried again, all of it or one: what was wrong may be mended."""
        with self._told() as db:
            db.execute(
                "UPDATE items SET state='waiting', problem='' WHERE place=?1 AND state='refused' AND (?2 IS NULL OR number=?2)",
                (place, None if item is None else item.number),
            )

    def drop(self, place: str, subject: str) -> int:
        """Give up what was refused about a subject; return how much that was. What waits may have arrived, so that it is not given up."""
        with self._told() as db:
            return db.execute("DELETE FROM items WHERE place=? AND subject=? AND state='refused'", (place, subject)).rowcount

    async def deliver(self, item: Item, clearinghouse: Clearinghouse) -> Item:
        """Hand one thing over. Delivered before, it is not sent again.

        Raises SinkError where it did not arrive, or nobody knows: it stays, and is tried again. What is refused for good is noted as such.
        """
        if item.state == "delivered":
            return item
        self._note(item, tries=item.tries + 1, tried=time.time())
        try:
            blob = self._blobs.get(item.blob) if item.blob else b""
        except RemediatorError as error:
            # It will not come back by itself, and must not hold up what waits behind it.
            return self._note(
                item, state="refused", problem=f"its bundle in the outbox is damaged ({error.message}); hand the case over anew"
            )
        try:
            if item.blob:
                await clearinghouse.put_blob(item.blob, blob)
            answer = await clearinghouse.ask(Verb(item.verb), item.body, key=item.key, tlp=Tlp(item.tlp), embargo_until=item.embargo_until)
        except (SinkError, AuthError, EvidenceError):
            # Ours or theirs to mend first: nothing is wrong with what is handed over.
            raise
        except RefusedError as error:
            if error.code in (Problem.clock_skew, Problem.bad_signature, Problem.wrong_audience):
                raise SinkError(error.message, hint=error.hint) from error
            return self._note(item, state="refused", problem=_why(error))
        except ConflictError as error:
            return self._note(item, state="refused", problem=_why(error))
        return self._note(item, state="delivered", answer=answer.model_dump_json(), ledger=clearinghouse.ledger_key.keyid)

    def _note(self, item: Item, **values: Any) -> Item:
        names = ", ".join(f"{name}=?" for name in values)
        with self._told() as db:
            db.execute(f"UPDATE items SET {names} WHERE number=?", (*values.values(), item.number))  # noqa: S608 - names are ours
            return _item(db.execute("SELECT * FROM items WHERE number=?", (item.number,)).fetchone())

    @contextmanager
    def _told(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error):
                    raise
                raise StateError(f"the outbox cannot be used: {error}", hint="free some space, then try again") from error


def _why(error: RemediatorError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _item(row: sqlite3.Row) -> Item:
    return Item(
        number=row["number"],
        place=row["place"],
        key=row["key"],
        subject=row["subject"],
        verb=row["verb"],
        body=json.loads(row["body"]),
        tlp=row["tlp"],
        embargo_until=datetime.fromisoformat(row["embargo"]) if row["embargo"] else None,
        blob=row["blob"],
        state=row["state"],
        tries=row["tries"],
        answer=Answer.from_json(row["answer"]) if row["answer"] else None,
        problem=row["problem"],
        ledger=row["ledger"],
    )
