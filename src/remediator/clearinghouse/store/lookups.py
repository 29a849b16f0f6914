"""What is asked of the store without changing it, on behalf of a caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from remediator.clearinghouse.store import ledger, listing, reading, reading_fixes, schema
from remediator.clearinghouse.store.calls import Caller, not_found
from remediator.clearinghouse.store.cursors import Cursors
from remediator.clearinghouse.store.database import Database
from remediator.clearinghouse.store.ledger import Ledger, Verified
from remediator.clearinghouse.store.people import People
from remediator.clearinghouse.store.reading import Page, Ranker
from remediator.clearinghouse.store.schema import moment, utc_text
from remediator.clearinghouse.store.writer import Writer
from remediator.clearinghouse.wire.answers import Answer, FeedPage, Fix, Flaw, Lease, LedgerEntry, Opening, OptOut, Published, SignedHead
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope

_LOOK_SECONDS = 2.0


class Lookups(People):
    """Part of the store: what may be read."""

    def __init__(self, database: Database, writer: Writer, clock: Callable[[], datetime], book: Ledger, cursors: Cursors) -> None:
        super().__init__(database, writer, clock)
        self._ledger = book
        self._cursors = cursors
        self._fed = asyncio.Event()
        writer.on_feed = self._feed_grew
        self.ranker = Ranker()

    async def flaw(self, caller: Caller, flaw_id: str) -> Flaw:
        """Return a flaw. Raises RefusedError: not-found."""
        async with self._database.reading() as connection:
            # First to the end of what was joined to what: its witnesses are noted there, and there alone it may be seen or not.
            joined = select(schema.flaws.c.merged_into)
            while into := (await connection.execute(joined.where(schema.flaws.c.id == flaw_id))).scalar():
                flaw_id = into
            page = await reading.flaw_rows(connection, caller, ids=[flaw_id])
            if not page.items:
                raise not_found()
            (found,) = await reading.flaw_records(connection, caller, page.items, self.ranker, self._clock())
        return found

    async def flaws(self, caller: Caller, *, cursor: str = "", limit: int = 50, **wanted: Any) -> Page[Flaw]:
        """Return flaws: `project`, `alias`, `order` (priority, time)."""
        about = ("flaws", caller.organisation, wanted)
        after = self._cursors.open(cursor, *about)
        async with self._database.reading() as connection:
            page = await reading.flaw_page(connection, caller, self.ranker, self._clock(), after=after, limit=limit, **wanted)
        return Page(page.items, self._cursors.seal(page.last, *about))

    async def fix(self, caller: Caller, fix_id: str) -> Fix:
        """Return a fix. Raises RefusedError: not-found."""
        async with self._database.reading() as connection:
            page = await reading_fixes.fix_rows(connection, caller, ids=[fix_id])
            if not page.items:
                raise not_found()
            (found,) = await reading_fixes.fix_records(connection, caller, page.items)
        return found

    async def fixes(self, caller: Caller, *, cursor: str = "", limit: int = 50, **wanted: Any) -> Page[Fix]:
        """Return fixes: `state`, `flaw`."""
        about = ("fixes", caller.organisation, wanted)
        after = self._cursors.open(cursor, *about)
        async with self._database.reading() as connection:
            page = await reading_fixes.fix_rows(connection, caller, after=after, limit=limit, **wanted)
            return Page(await reading_fixes.fix_records(connection, caller, page.items), self._cursors.seal(page.last, *about))

    async def published(self, caller: Caller, fix_id: str) -> Published:
        """Return what is distributed about a fix, withdrawn ones too: their state says so. Raises RefusedError: not-found."""
        async with self._database.reading() as connection:
            page = await reading_fixes.fix_rows(connection, caller, ids=[fix_id], whole=True)
            if not page.items:
                raise not_found()
            return await reading_fixes.published_record(connection, caller, page.items[0], self.ranker, self._clock())

    async def openings(self, caller: Caller, object_id: str) -> list[Opening]:
        """Return what opens the ledger's entries about a flaw, finding, fix or lease that the caller may see. Raises RefusedError."""
        async with self._database.reading() as connection:
            if object_id.startswith("fix-"):
                page = await reading_fixes.fix_rows(connection, caller, ids=[object_id])
                seen = bool(page.items)
                mine = seen and (caller.is_admin or page.items[0]["organisation"] == caller.organisation)
            elif object_id.startswith("flaw-"):
                rows = (await reading.flaw_rows(connection, caller, ids=[object_id])).items
                seen = bool(rows)
                object_id = (rows[0]["merged_into"] or object_id) if rows else object_id
                mine = caller.is_admin
            elif object_id.startswith("finding-"):
                query = select(schema.witnesses.c.organisation).where(schema.witnesses.c.finding_id == object_id)
                seen = mine = caller.is_admin or (await connection.execute(query)).scalar() == caller.organisation
            else:
                # Who holds a lease is for all to see; who opted out for a project is not.
                seen = mine = caller.is_admin or object_id.startswith("lease-")
            if not seen:
                raise not_found()
            # What names its submitter is opened to the submitter only; what was let out is for all who may see it.
            public = ("published", "superseded", "revoked", "lifted")
            found = await ledger.openings(connection, object_id, public, others=mine)
        # What an assessor says of one's fix is the assessor's, and told under its mark.
        return found if caller.is_admin else [each for each in found if each.kind != "assessment" or _may_read(caller, each)]

    async def status(self, caller: Caller, any_id: str) -> Answer:
        """Return how far something of the caller's own has come, by its id or submission id. Raises RefusedError: not-found."""
        table = schema.fixes.c
        query = select(table.id).where(table.submission_id == any_id, table.organisation == caller.organisation)
        async with self._database.reading() as connection:
            fix_id = (await connection.execute(query)).scalar() or any_id
            if fix_id.startswith("finding-"):
                seen = select(schema.witnesses.c.flaw_id).where(
                    schema.witnesses.c.finding_id == fix_id, schema.witnesses.c.organisation == caller.organisation
                )
                flaw_id = (await connection.execute(seen)).scalar()
                if flaw_id is None:
                    raise not_found()
                return Answer(verb="status", id=fix_id, state="noted", detail={"flaw": flaw_id})
        if fix_id.startswith("flaw-"):
            flaw = await self.flaw(caller, fix_id)
            return Answer(verb="status", id=flaw.id, state="embargoed" if flaw.embargoed else "open", detail={"fixes": list(flaw.fixes)})
        fix = await self.fix(caller, fix_id)
        detail = {"flaw": fix.flaw_id, "level": fix.level, "validation": None if fix.validation is None else fix.validation.as_json()}
        return Answer(verb="status", id=fix.id, state=fix.state, detail=detail)

    async def leases(self, caller: Caller, *, project: str | None = None, cursor: str = "", limit: int = 50) -> Page[Lease]:
        """Return the leases that hold: everybody who takes part may see them, else they would deconflict nothing."""
        about = ("leases", caller.organisation, project)
        after = self._cursors.open(cursor, *about)
        async with self._database.reading() as connection:
            page = await listing.lease_rows(connection, project, after, limit, self._clock())
        return Page(page.items, self._cursors.seal(page.last, *about))

    async def opt_outs(self, caller: Caller, cursor: str = "", limit: int = 50) -> Page[OptOut]:
        """Return the projects that are not to be scanned."""
        about = ("opt-outs", caller.organisation)
        after = self._cursors.open(cursor, *about)
        async with self._database.reading() as connection:
            page = await listing.opt_out_rows(connection, after, limit, self._clock())
        items = [
            OptOut(
                project=row["project"],
                contact=row["contact"],
                reason=row["reason"],
                until=None if row["until"] is None else moment(row["until"]),
                organisation=row["organisation"] if caller.is_admin or row["organisation"] == caller.organisation else "",
            )
            for row in page.items
        ]
        return Page(items, self._cursors.seal(page.last, *about))

    async def feed(self, caller: Caller, cursor: int, limit: int = 100) -> FeedPage:
        """Return what was let out after a cursor, with the head of the ledger that it is in."""
        caller.needs(Scope.pull)
        async with self._database.reading() as connection:
            head = await self._ledger.head(connection, self._clock())
            entries, more = await listing.feed_rows(connection, caller, cursor, limit)
            if not entries and cursor > int((await connection.execute(select(func.max(schema.feed.c.cursor)))).scalar() or 0):
                raise RefusedError(Problem.bad_request, "cursor: the feed is not that long", hint="go on with `next` of the page before")
        return FeedPage(entries=tuple(entries), next=entries[-1].cursor if entries else cursor, more=more, head=head)

    async def wait_for_feed(self, after: int, seconds: float) -> None:
        """Return when the feed may have grown beyond a cursor, or after the time."""
        event, until = self._fed, asyncio.get_running_loop().time() + seconds
        # Other processes write too, and tell us nothing: so it is also looked at now and then.
        while (left := until - asyncio.get_running_loop().time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), min(left, _LOOK_SECONDS))
                return
            if await self.feed_end() > after:
                return

    async def feed_end(self) -> int:
        """Return the last cursor of the feed, whoever may see its line."""
        async with self._database.reading() as connection:
            return int((await connection.execute(select(func.max(schema.feed.c.cursor)))).scalar() or 0)

    def _feed_grew(self) -> None:
        fed, self._fed = self._fed, asyncio.Event()
        fed.set()

    async def epoch(self, caller: Caller) -> dict[str, Any]:
        """Return the key under which flaws are asked for now."""
        caller.needs(Scope.submit)
        async with self._database.reading() as connection:
            row = (await connection.execute(select(schema.epochs).order_by(schema.epochs.c.number.desc()).limit(1))).mappings().one()
        return {"epoch": row["number"], "key": bytes(row["key"]).hex(), "until": utc_text(moment(row["until"]))}

    # -- the ledger ----------------------------------------------------------------------------------------------------

    async def head(self) -> SignedHead:
        """Return the signed head of the ledger."""
        async with self._database.reading() as connection:
            return await self._ledger.head(connection, self._clock())

    async def inclusion(self, index: int, size: int) -> list[str]:
        """Return the proof that an entry is in the ledger of a size. Raises RefusedError."""
        async with self._database.reading() as connection:
            return await ledger.inclusion(connection, index, size)

    async def consistency(self, first: int, second: int) -> list[str]:
        """Return the proof that the ledger only grew. Raises RefusedError."""
        async with self._database.reading() as connection:
            return await ledger.consistency(connection, first, second)

    async def ledger_entries(self, start: int, limit: int = 100) -> list[LedgerEntry]:
        """Return entries, which tell nothing by themselves."""
        async with self._database.reading() as connection:
            return await ledger.entries(connection, start, limit)

    async def verify(self) -> Verified:
        """Compute the whole ledger again."""
        async with self._database.reading() as connection:
            return await ledger.verify(connection)


def _may_read(caller: Caller, opening: Opening) -> bool:
    told = json.loads(opening.object)
    return told["organisation"] == caller.organisation or told.get("tlp") in caller.tlps
