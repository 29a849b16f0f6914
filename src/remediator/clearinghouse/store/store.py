"""The one door to the database: verbs change it, reads are asked on behalf of a caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from remediator.clearinghouse.store import deciding, keeping, leasing, ledger, reading, schema, submitting, validating
from remediator.clearinghouse.store.batch import Batch
from remediator.clearinghouse.store.blobs import BlobStore
from remediator.clearinghouse.store.calls import Call, Caller, not_found
from remediator.clearinghouse.store.clockwork import tick
from remediator.clearinghouse.store.cursors import Cursors
from remediator.clearinghouse.store.database import Database
from remediator.clearinghouse.store.ledger import Ledger, Verified
from remediator.clearinghouse.store.people import People
from remediator.clearinghouse.store.reading import Page, Ranker
from remediator.clearinghouse.store.schema import moment, utc_text
from remediator.clearinghouse.store.validating import Job
from remediator.clearinghouse.store.writer import Writer
from remediator.clearinghouse.wire.answers import (
    Answer,
    FeedPage,
    Fix,
    Flaw,
    Lease,
    LedgerEntry,
    Opening,
    OptOut,
    Published,
    SignedHead,
    Validation,
)
from remediator.clearinghouse.wire.envelope import RefusedError, opened
from remediator.clearinghouse.wire.terms import CLOCK_SKEW_SECONDS, FixState, Problem, Scope, Tier, Verb
from remediator.clearinghouse.wire.verbs import ClaimCheckBody, FindingBody, FixBody
from remediator.evidence.keys import PublicKey, SigningKey, signing_key

Handler = Callable[[Batch, Call], Awaitable[Answer]]

_HANDLERS: dict[Verb, Handler] = {
    Verb.lease: leasing.lease,
    Verb.renew: leasing.renew,
    Verb.release: leasing.release,
    Verb.opt_out: leasing.opt_out,
    Verb.submit_finding: submitting.submit_finding,
    Verb.submit_fix: submitting.submit_fix,
    Verb.assess: deciding.assess,
    Verb.supersede: deciding.supersede,
    Verb.revoke: deciding.revoke,
    Verb.lift: deciding.lift,
    Verb.receipt: deciding.receipt,
}
_PREPARES: dict[Verb, Callable[[Batch, Call], None]] = {
    Verb.submit_finding: submitting.prepare_finding,
    Verb.submit_fix: submitting.prepare_fix,
}
_LOOK_SECONDS = 2.0
_SCOPES = {Verb.assess: (Scope.assess,), Verb.receipt: (Scope.pull, Scope.submit)}


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Store(People):
    """A clearinghouse's database, ledger key and bundles."""

    def __init__(self, database: Database, writer: Writer, book: Ledger, blobs: BlobStore, key: SigningKey, clock: Callable[[], datetime]):
        super().__init__(database, writer, clock)
        self._ledger = book
        self._fed = asyncio.Event()
        writer.on_feed = self._feed_grew
        self.blobs = blobs
        self.ledger_key = key
        self.quota_bytes = keeping.QUOTA_BYTES
        self._cursors = Cursors(key)
        self._sought: keeping.Place | None = None
        self._swept = -1
        self.ranker = Ranker()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, data: Path, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Store]:
        """Open the database, made and migrated where that is needed. Raises ConfigError, StateError."""
        async with Database.open(url, data) as database:
            key = await asyncio.to_thread(signing_key, data / "ledger")
            book = Ledger(key)
            writer = Writer(database, book, clock)
            store = cls(database, writer, book, BlobStore(data / "blobs"), key, clock)
            writer.start()
            try:
                await store.tick()
                yield store
            finally:
                await writer.close()

    @property
    def audience(self) -> str:
        """Return what requests to this clearinghouse are addressed to."""
        return self.ledger_key.public.keyid

    @property
    def now(self) -> datetime:
        """Return the clearinghouse's time."""
        return self._clock()

    # -- verbs ---------------------------------------------------------------------------------------------------------

    async def perform(self, caller: Caller, envelope: bytes) -> Answer:
        """Do what a signed envelope asks, once. Raises RefusedError."""
        found = opened(envelope)
        request = found.request
        caller.needs(*_SCOPES.get(request.verb, (Scope.submit,)))
        if request.submitter != caller.organisation:
            raise RefusedError(Problem.wrong_submitter, "the envelope is another organisation's than the token")
        if request.audience != self.audience:
            raise RefusedError(Problem.wrong_audience, "the envelope is for another clearinghouse", hint=f"this one is {self.audience}")
        await self._believed(caller, found.keyid, found.signed_by)
        call = Call.of(caller, request, found.body)
        if request.verb is Verb.claim_check:
            return await self._claim_check(call)
        if isinstance(found.body, FindingBody | FixBody):
            leasing.spelled(found.body.flaw.project)

        async def work(batch: Batch) -> Answer:
            return await _once(batch, call)

        def prepare(batch: Batch) -> None:
            batch.want_requests.add((call.organisation, request.key))
            if also := _PREPARES.get(request.verb):
                also(batch, call)

        answer: Answer = await self._writer.do(work, prepare=prepare)
        return answer

    async def _believed(self, caller: Caller, keyid: str, signed_by: Callable[[PublicKey], bool]) -> None:
        known = await self.key(keyid)
        if known is None or known.organisation != caller.organisation:
            raise RefusedError(Problem.unknown_key, "the envelope is signed by a key that is not registered for this organisation")
        if not signed_by(PublicKey.parse(known.line)):
            raise RefusedError(Problem.bad_signature, "the signature does not fit the envelope")
        if (refusal := known.refusal(self._clock())) is not None:
            raise refusal

    async def _claim_check(self, call: Call) -> Answer:
        body: ClaimCheckBody = call.body
        _skewed(call, self._clock())
        table = schema.claims.c
        query = select(table.claim).where(table.epoch == body.epoch, table.claim.in_(body.claims))
        async with self._database.reading() as connection:
            known = await connection.execute(select(schema.epochs.c.number).where(schema.epochs.c.number == body.epoch))
            if known.scalar() is None:
                raise RefusedError(Problem.state_conflict, "that epoch is over", hint="GET /v1/epoch for the key of this one")
            found = set((await connection.execute(query)).scalars())
        # A match, and nothing else: not who, not since when. Who must know asks the clearinghouse's contact.
        return call.answer("claim-check", "matched" if found else "unknown", matches={each: each in found for each in body.claims})

    async def epoch(self, caller: Caller) -> dict[str, Any]:
        """Return the key under which flaws are asked for now."""
        caller.needs(Scope.submit)
        async with self._database.reading() as connection:
            row = (await connection.execute(select(schema.epochs).order_by(schema.epochs.c.number.desc()).limit(1))).mappings().one()
        return {"epoch": row["number"], "key": bytes(row["key"]).hex(), "until": utc_text(moment(row["until"]))}

    # -- reads ---------------------------------------------------------------------------------------------------------

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
            page = await reading.flaw_rows(connection, caller, after=after, limit=limit, **wanted)
            found = await reading.flaw_records(connection, caller, page.items, self.ranker, self._clock())
            if (alias := wanted.get("alias")) is not None:
                # A name that only others gave it, in confidence, finds nothing.
                found = [each for each in found if alias.upper() in (name.upper() for name in each.aliases)]
            return Page(found, self._cursors.seal(page.last, *about))

    async def fix(self, caller: Caller, fix_id: str) -> Fix:
        """Return a fix. Raises RefusedError: not-found."""
        async with self._database.reading() as connection:
            page = await reading.fix_rows(connection, caller, ids=[fix_id])
            if not page.items:
                raise not_found()
            (found,) = await reading.fix_records(connection, caller, page.items)
        return found

    async def fixes(self, caller: Caller, *, cursor: str = "", limit: int = 50, **wanted: Any) -> Page[Fix]:
        """Return fixes: `state`, `flaw`."""
        about = ("fixes", caller.organisation, wanted)
        after = self._cursors.open(cursor, *about)
        async with self._database.reading() as connection:
            page = await reading.fix_rows(connection, caller, after=after, limit=limit, **wanted)
            return Page(await reading.fix_records(connection, caller, page.items), self._cursors.seal(page.last, *about))

    async def published(self, caller: Caller, fix_id: str) -> Published:
        """Return what is distributed about a fix, withdrawn ones too: their state says so. Raises RefusedError: not-found."""
        async with self._database.reading() as connection:
            page = await reading.fix_rows(connection, caller, ids=[fix_id])
            if not page.items:
                raise not_found()
            return await reading.published_record(connection, caller, page.items[0], self.ranker, self._clock())

    async def openings(self, caller: Caller, object_id: str) -> list[Opening]:
        """Return what opens the ledger's entries about a flaw, finding, fix or lease that the caller may see. Raises RefusedError."""
        async with self._database.reading() as connection:
            if object_id.startswith("fix-"):
                page = await reading.fix_rows(connection, caller, ids=[object_id])
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
            return await ledger.openings(connection, object_id, public, others=mine)

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
            page = await reading.lease_rows(connection, project, after, limit, self._clock())
        return Page(page.items, self._cursors.seal(page.last, *about))

    async def opt_outs(self, caller: Caller, cursor: str = "", limit: int = 50) -> Page[OptOut]:
        """Return the projects that are not to be scanned."""
        about = ("opt-outs", caller.organisation)
        after = self._cursors.open(cursor, *about)
        async with self._database.reading() as connection:
            page = await reading.opt_out_rows(connection, after, limit, self._clock())
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

    async def overrule(self, project: str) -> None:
        """Withdraw a project's opt-out on the operator's word. Raises UsageError where none holds."""
        spelled = leasing.spelled(project)
        await self._writer.do(lambda batch: leasing.overrule(batch, spelled))

    async def feed(self, caller: Caller, cursor: int, limit: int = 100) -> FeedPage:
        """Return what was let out after a cursor, with the head of the ledger that it is in."""
        caller.needs(Scope.pull)
        async with self._database.reading() as connection:
            head = await self._ledger.head(connection, self._clock())
            entries, more = await reading.feed_rows(connection, caller, cursor, limit)
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
            async with self._database.reading() as connection:
                if int((await connection.execute(select(func.max(schema.feed.c.cursor)))).scalar() or 0) > after:
                    return

    def _feed_grew(self) -> None:
        fed, self._fed = self._fed, asyncio.Event()
        fed.set()

    # -- blobs ---------------------------------------------------------------------------------------------------------

    async def put_blob(self, caller: Caller, digest: str, stream: AsyncIterator[bytes]) -> bool:
        """Keep a bundle; return whether it is new of this organisation. Raises RefusedError."""
        caller.needs(Scope.submit)
        used = select(schema.organisations.c.blob_bytes).where(schema.organisations.c.id == caller.organisation)
        async with self._database.reading() as connection:
            if int((await connection.execute(used)).scalar() or 0) >= self.quota_bytes:
                raise keeping.full()
        size = await self.blobs.put(digest, stream)
        try:
            fresh: bool = await self._writer.do(lambda batch: keeping.keep(batch, self.blobs, caller, digest, size, self.quota_bytes))
        except RefusedError as error:
            if error.code is Problem.too_many:
                await self._writer.do(lambda batch: keeping.discard(batch, self.blobs, [digest], 0))
            raise
        return fresh

    async def sweep(self) -> None:
        """Take away some of the blobs that no fix named in time, and of the files that nobody's row names."""
        self._sought = await self._writer.do(lambda batch: keeping.forget(batch, self._sought))
        self._swept = (self._swept + 1) % 256
        found = await asyncio.to_thread(self.blobs.kept, self._swept)
        if found:
            await self._writer.do(lambda batch: keeping.discard(batch, self.blobs, found))

    async def bundle_path(self, caller: Caller, fix_id: str) -> Path:
        """Return where the bundle of a fix lies that the caller may see. Raises RefusedError: not-found."""
        return self.blobs.path((await self.fix(caller, fix_id)).bundle)

    async def open_blob(self, caller: Caller, fix_id: str) -> AsyncIterator[bytes]:
        """Return the bundle of a fix that the caller may see, piece by piece. Raises RefusedError: not-found."""
        return _pieces(await self.bundle_path(caller, fix_id))

    # -- ledger --------------------------------------------------------------------------------------------------------

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

    # -- validators ----------------------------------------------------------------------------------------------------

    async def take_job(self, validator: str, seconds: int) -> Job | None:
        """Lease the oldest waiting fix of the organisation whose turn it is."""
        taken = await self._writer.do(lambda batch: validating.take(batch, validator, seconds))
        if taken is None:
            return None
        job, fix, keys = taken
        return validating.job_of(job, fix, keys, self.blobs.path(fix["bundle"]))

    async def requeue(self, ids: Sequence[str] = ()) -> list[str]:
        """Have fixes that ended as `infra_error` validated again, all of them unless some are named. Raises UsageError."""
        found: list[str] = await self._writer.do(lambda batch: validating.requeue_some(batch, ids))
        return found

    async def renew_job(self, job: Job, seconds: int) -> bool:
        """Keep a job; False where it is lost."""
        kept: bool = await self._writer.do(lambda batch: validating.renew(batch, job.fix_id, job.fencing, seconds))
        return kept

    async def finish_job(
        self,
        job: Job,
        validation: Validation,
        state: FixState,
        *,
        patch: str | None = None,
        lines_changed: int = 0,
        signed_by: str | None = None,
    ) -> bool:
        """Write down the outcome; False, and nothing written, where the job's lease was lost."""
        found = validating.Outcome(validation, state, patch, lines_changed, signed_by)
        done: bool = await self._writer.do(lambda batch: validating.finish(batch, job.fix_id, job.fencing, found))
        return done

    # -- the clock, and numbers ----------------------------------------------------------------------------------------

    async def tick(self) -> int:
        """Do what the clock asks for; return how many embargoes ended."""
        done: int = await self._writer.do(tick)
        return done

    async def rerank(self, rank: Callable[[Flaw], int]) -> int:
        """Put the queue into the order of what is known now; return how many flaws moved."""
        everything, moved = Caller("", Tier.operator, frozenset((Scope.admin,))), 0
        after: Sequence[Any] | None = None
        while True:
            async with self._database.reading() as connection:
                page = await reading.flaw_rows(connection, everything, after=after, limit=200, order="time")
            wanted = {row["id"]: rank(reading.as_told_to_most(row)) for row in page.items}

            async def work(batch: Batch, wanted: dict[str, int] = wanted) -> int:
                await batch.fetch_flaws(wanted)
                found = [row for row in batch.flaws.values() if row["id"] in wanted and row["rank"] != wanted[row["id"]]]
                for row in found:
                    await batch.change(schema.flaws, {"id": row["id"]}, rank=wanted[row["id"]])
                return len(found)

            moved += int(await self._writer.do(work))
            if (after := page.last) is None:
                return moved

    async def ready(self) -> None:
        """Raise RefusedError: unavailable where the database does not answer."""
        async with self._database.reading() as connection:
            await connection.execute(select(1))

    async def stats(self) -> dict[str, int]:
        """Return counts for metrics."""
        async with self._database.reading() as connection:
            states = select(schema.fixes.c.state, func.count()).group_by(schema.fixes.c.state)
            found = {f"fixes_{state}": int(count) for state, count in await connection.execute(states)}
            for name, table in (("flaws", schema.flaws), ("findings", schema.witnesses), ("feed", schema.feed)):
                found[name] = int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
            waiting = select(func.count()).select_from(schema.jobs).where(schema.jobs.c.state.in_(("queued", "leased")))
            found["jobs"] = int((await connection.execute(waiting)).scalar_one())
            embargoed = select(func.count()).select_from(schema.flaws).where(schema.flaws.c.embargoed == 1)
            found["embargoed"] = int((await connection.execute(embargoed)).scalar_one())
            found["ledger"] = await ledger.size(connection)
        return found


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, 256 * 1024):
            yield piece


async def _once(batch: Batch, call: Call) -> Answer:
    """Do a request, or give the answer that it got before."""
    place = (call.organisation, call.request.key)
    before = batch.requests.get(place)
    if before is not None:
        if before["digest"] != call.digest:
            raise RefusedError(Problem.key_reused, "this idempotency key came before with another request", hint="use a fresh key")
        return Answer.from_json(before["answer"]).model_copy(update={"duplicate": True})
    _skewed(call, batch.now)
    answer = await _HANDLERS[call.request.verb](batch, call)
    row = {"organisation": place[0], "key": place[1], "digest": call.digest, "answer": answer.model_dump_json(), "at": batch.at}
    batch.requests[place] = batch.insert(schema.requests, row)
    return answer


def _skewed(call: Call, now: datetime) -> None:
    if abs(call.request.at - now) > timedelta(seconds=CLOCK_SKEW_SECONDS):
        raise RefusedError(
            Problem.clock_skew, f"the envelope is of {utc_text(call.request.at)}, here it is {utc_text(now)}", hint="set your clock"
        )
