"""What one transaction knows and changes: rows are fetched for all requests at once, and written at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clearinghouse.store import ledger as ledger_table
from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.bulk import insert_rows, rows_of
from remediator.clearinghouse.store.clock_watch import Reading
from remediator.clearinghouse.store.ledger import Fact, Ledger
from remediator.clearinghouse.store.schema import micros

Row = dict[str, Any]


class Batch:
    """One transaction's unit of work. What a request changes the next one in it sees."""

    def __init__(self, connection: AsyncConnection, time: Reading, *, is_postgres: bool) -> None:
        self.connection = connection
        self.now = time.now
        self.at = micros(time.now)
        self.due = time.due
        self.is_postgres = is_postgres
        self.want_requests: set[tuple[str, str]] = set()
        self.want_prints: set[str] = set()
        self.want_findings: set[str] = set()
        self.want_submissions: set[str] = set()
        self.want_blobs: set[tuple[str, str]] = set()
        self.requests: dict[tuple[str, str], Row] = {}
        self.prints: dict[str, str] = {}
        self.flaws: dict[str, Row] = {}
        self.witnesses: dict[str, set[str]] = defaultdict(set)
        self.findings: dict[str, Row] = {}
        self.fixes: dict[str, Row] = {}
        self.submissions: dict[tuple[str, str], str] = {}
        self.blobs: dict[tuple[str, str], int] = {}
        self.epochs: list[tuple[int, bytes]] = []
        self._inserts: dict[Table, list[Row]] = defaultdict(list)
        self._changed: set[str] = set()
        self._facts: list[Fact] = []
        self._first = 0
        self._cursor: int | None = None
        self.fed = False

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def prefetch(self) -> None:
        """Fetch what the requests said that they want."""
        self._first = await ledger_table.size(self.connection)
        for row in await self._rows(schema.requests, ("organisation", "key"), self.want_requests):
            self.requests[row["organisation"], row["key"]] = row
        if self.want_prints:
            rows = await self.connection.execute(select(schema.epochs.c.number, schema.epochs.c.key).order_by(schema.epochs.c.number))
            self.epochs = [(number, bytes(key)) for number, key in rows]
        for row in await self._rows(schema.prints, ("print",), {(each,) for each in self.want_prints}):
            self.prints[row["print"]] = row["flaw_id"]
        await self.fetch_flaws(set(self.prints.values()))
        for row in await self._rows(schema.witnesses, ("finding_id",), {(each,) for each in self.want_findings}):
            self.findings[row["finding_id"]] = row
        for row in await self._rows(schema.fixes, ("submission_id",), {(each,) for each in self.want_submissions}):
            self.fixes[row["id"]] = row
            self.submissions[row["organisation"], row["submission_id"]] = row["id"]
        for row in await self._rows(schema.blobs, ("digest", "organisation"), self.want_blobs):
            self.blobs[row["digest"], row["organisation"]] = row["bytes"]

    async def fetch_flaws(self, ids: Iterable[str]) -> None:
        """Fetch flaws, what they were merged into, and who witnessed them."""
        wanted = {(each,) for each in ids if each not in self.flaws}
        while wanted:
            rows = await self._rows(schema.flaws, ("id",), wanted)
            for row in rows:
                self.flaws[row["id"]] = row
            for row in await self._rows(schema.witnesses, ("flaw_id",), wanted, only=("flaw_id", "organisation")):
                self.witnesses[row["flaw_id"]].add(row["organisation"])
            wanted = {(row["merged_into"],) for row in rows if row["merged_into"] and row["merged_into"] not in self.flaws}

    def flaw(self, flaw_id: str) -> Row | None:
        """Return a flaw that was fetched; one that was merged is the one that it was merged into."""
        row = self.flaws.get(flaw_id)
        while row is not None and row["merged_into"]:
            row = self.flaws.get(row["merged_into"])
        return row

    async def one(self, table: Table, **where: Any) -> Row | None:
        """Return one row as it is now, this transaction's changes included."""
        await self.flush()
        query = select(table).where(*(table.c[name] == value for name, value in where.items())).limit(1)
        found = (await self.connection.execute(query)).mappings().first()
        return None if found is None else dict(found)

    async def fix(self, fix_id: str) -> Row | None:
        """Return a fix, with its flaw fetched."""
        if fix_id not in self.fixes:
            row = await self.one(schema.fixes, id=fix_id)
            if row is None:
                return None
            self.fixes[fix_id] = row
        await self.fetch_flaws([self.fixes[fix_id]["flaw_id"]])
        return self.fixes[fix_id]

    async def _rows(self, table: Table, names: tuple[str, ...], keys: set[tuple[Any, ...]], only: tuple[str, ...] = ()) -> list[Row]:
        return await rows_of(self.connection, table, names, keys, is_postgres=self.is_postgres, only=only)

    # -- changing ------------------------------------------------------------------------------------------------------

    def insert(self, table: Table, row: Row) -> Row:
        """Note a row to be inserted."""
        self._inserts[table].append(row)
        return row

    def touch(self, flaw: Row, *, moved: bool = True) -> None:
        """Note that a flaw's row was changed; `moved` where all who may see it may know that."""
        if moved:
            flaw["updated_at"] = self.at
        self._changed.add(flaw["id"])

    async def change(self, table: Table, where: Row, **values: Any) -> int:
        """Change rows now; return how many."""
        await self.flush()
        statement = update(table).where(*(table.c[name] == value for name, value in where.items())).values(**values)
        return int((await self.connection.execute(statement)).rowcount)

    async def change_fix(self, row: Row, **values: Any) -> None:
        """Change a fix, its fetched row included."""
        row.update(values, updated_at=self.at)
        await self.change(schema.fixes, {"id": row["id"]}, **values, updated_at=self.at)

    def record(self, kind: str, object_id: str, value: dict[str, Any]) -> int:
        """Put a fact into the ledger; return its index there."""
        self._facts.append(Fact(kind, object_id, value))
        return self._first + len(self._facts) - 1

    async def publish(self, kind: str, fix: Row, flaw: Row, aliases: str, ledger_index: int) -> None:
        """Put a line into the feed, for whoever may see the fix."""
        if self._cursor is None:
            self._cursor = int((await self.connection.execute(select(func.max(schema.feed.c.cursor)))).scalar() or 0)
        self._cursor += 1
        self.insert(
            schema.feed,
            {
                "cursor": self._cursor,
                "kind": kind,
                "fix_id": fix["id"],
                "flaw_id": flaw["id"],
                "organisation": fix["organisation"],
                "project": flaw["project"],
                "aliases": aliases,
                "tlp": fix["tlp"],
                "level": fix["level"],
                "ledger_index": ledger_index,
                "at": self.at,
            },
        )
        self.fed = True

    async def flush(self) -> None:
        """Write what was noted, so that queries see it."""
        inserts, self._inserts = self._inserts, defaultdict(list)
        for table, rows in inserts.items():
            await insert_rows(self.connection, table, rows, is_postgres=self.is_postgres)
        if changed := [self.flaws[each] for each in sorted(self._changed)]:
            self._changed = set()
            names = [column.name for column in schema.flaws.c if column.name not in ("id", "project", "first_seen")]
            statement = update(schema.flaws).where(schema.flaws.c.id == bindparam("_id")).values({n: bindparam(f"_{n}") for n in names})
            await self.connection.execute(statement, [{"_id": row["id"], **{f"_{n}": row[n] for n in names}} for row in changed])

    async def finish(self, ledger: Ledger) -> None:
        """Write the rest, the ledger last."""
        await self.flush()
        if self._facts:
            await ledger.append(self.connection, self._first, self._facts, self.now, is_postgres=self.is_postgres)
