"""The one door to the database: verbs change it, and what validators, the clock and the operator do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from remediator.clearinghouse.store import deciding, keeping, leasing, ledger, reading, schema, submitting, telling, validating
from remediator.clearinghouse.store.batch import Batch
from remediator.clearinghouse.store.blobs import BlobStore
from remediator.clearinghouse.store.calls import Call, Caller
from remediator.clearinghouse.store.clock_watch import ClockWatch, elapsed_seconds
from remediator.clearinghouse.store.clockwork import tick
from remediator.clearinghouse.store.cursors import Cursors
from remediator.clearinghouse.store.database import Database
from remediator.clearinghouse.store.ledger import Ledger
from remediator.clearinghouse.store.lookups import Lookups
from remediator.clearinghouse.store.schema import micros, utc_text
from remediator.clearinghouse.store.validating import Job
from remediator.clearinghouse.store.writer import Writer
from remediator.clearinghouse.wire.answers import (
    Answer,
    Flaw,
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
_SCOPES = {Verb.assess: (Scope.assess,), Verb.receipt: (Scope.pull, Scope.submit)}


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Store(Lookups):
    """A clearinghouse's database, ledger key and bundles."""

    def __init__(self, database: Database, writer: Writer, book: Ledger, blobs: BlobStore, key: SigningKey, clock: Callable[[], datetime]):
        super().__init__(database, writer, clock, book, Cursors(key))
        self.blobs = blobs
        self.ledger_key = key
        self.quota_bytes = keeping.QUOTA_BYTES
        self._sought: keeping.Place | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        data: Path,
        *,
        clock: Callable[[], datetime] = utc_now,
        elapsed: Callable[[], float] = elapsed_seconds,
        ticks: bool = True,
    ) -> AsyncIterator[Store]:
        """Open the database, made and migrated where that is needed. Raises ConfigError, StateError.

        `clock` is believed as it is now. Where it jumps ahead of `elapsed`, in seconds, later, what an embargo holds stays held. So whoever
        comes for a moment beside a server leaves what is due to it (`ticks`): it could have come while the clock is wrong.
        """
        async with Database.open(url, data) as database:
            key = await asyncio.to_thread(signing_key, data / "ledger")
            book = Ledger(key)
            writer = Writer(database, book, ClockWatch(clock, elapsed))
            store = cls(database, writer, book, BlobStore(data / "blobs"), key, clock)
            writer.start()
            try:
                if ticks:
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
                await self._writer.do(lambda batch: keeping.remove(batch, self.blobs, [digest]))
            raise
        return fresh

    async def sweep(self) -> None:
        """Take away some of the blobs that no fix named in time."""
        self._sought = await self._writer.do(lambda batch: keeping.forget(batch, self._sought))
        await self._writer.do(lambda batch: keeping.discard(batch, self.blobs))

    async def bundle_path(self, caller: Caller, fix_id: str) -> Path:
        """Return where the bundle of a fix lies that the caller may see. Raises RefusedError: not-found."""
        return self.blobs.path((await self.fix(caller, fix_id)).bundle)

    async def open_blob(self, caller: Caller, fix_id: str) -> AsyncIterator[bytes]:
        """Return the bundle of a fix that the caller may see, piece by piece. Raises RefusedError: not-found."""
        return _pieces(await self.bundle_path(caller, fix_id))

    async def overrule(self, project: str) -> None:
        """Withdraw a project's opt-out on the operator's word. Raises UsageError where none holds."""
        spelled = leasing.spelled(project)
        await self._writer.do(lambda batch: leasing.overrule(batch, spelled))

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
        """Put the queue into the order of what is known now, each flaw with its priority; return how many flaws moved."""
        everything, moved = Caller("", Tier.operator, frozenset((Scope.admin,))), 0
        after: Sequence[Any] | None = None
        while True:
            async with self._database.reading() as connection:
                page = await reading.flaw_rows(connection, everything, after=after, limit=200, order="time")
            told = {row["id"]: reading.as_told_to_most(row, self.ranker) for row in page.items}
            wanted = {flaw_id: telling.place(rank(flaw), micros(flaw.first_seen)) for flaw_id, flaw in told.items()}

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
