"""The queue of fixes to be validated: organisations take turns. A job is leased; who lost the lease cannot finish it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Select, func, or_, select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.publishing import publish_fix
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState
from remediator.clearinghouse.wire.verbs import FlawBody
from remediator.errors import UsageError
from remediator.records.record import canonical_json

MOST_ATTEMPTS = 3
_OPEN = (FixState.received.value, FixState.validating.value)


class Job(NamedTuple):
    """One fix to be validated. What it says of itself is in `flaw`, `patch_id` and `submission_id`, and is not believed."""

    fix_id: str
    organisation: str
    submission_id: str
    patch_id: str
    bundle: str
    bundle_path: Path
    flaw: FlawBody
    claimed_level: int
    keys: tuple[str, ...]
    """The submitter's active public keys, as OpenSSH lines: the bundle must be signed by one of them."""
    fencing: int
    attempt: int


async def take(batch: Batch, validator: str, seconds: int) -> tuple[Row, Row, tuple[str, ...]] | None:
    """Lease the oldest job of the organisation whose turn it is; return the job, its fix, and the submitter's keys."""
    await batch.flush()
    await _return_lost(batch)
    while (job := await _next(batch)) is not None:
        fix = await batch.fix(job["fix_id"])
        if fix is not None and fix["state"] in _OPEN:
            return await _leased(batch, job, fix, validator, seconds)
        await batch.change(schema.jobs, {"fix_id": job["fix_id"]}, state="done")
    return None


async def _return_lost(batch: Batch) -> None:
    """Put back what a validator lost, unless it was lost too often."""
    table = schema.jobs.c
    query = select(schema.jobs).where(table.state == "leased", table.lease_until <= batch.at)
    for job in [dict(each) for each in (await batch.connection.execute(query)).mappings()]:
        fix = await batch.fix(job["fix_id"])
        if job["attempts"] < MOST_ATTEMPTS or fix is None or fix["state"] not in _OPEN:
            await batch.change(schema.jobs, {"fix_id": job["fix_id"]}, state="queued")
            continue
        # It took its validators down with it, again and again.
        lost = Validation(outcome="infra_error", reason="validator-lost", attempts=job["attempts"], finished_at=batch.now)
        await _decide(batch, fix, lost, FixState.infra_error, None, 0)
        await batch.change(schema.jobs, {"fix_id": job["fix_id"]}, state="done")


def turn(at: int) -> Select[Any]:
    """Return the query for whose turn it is: the fewest jobs running, then the longest not served. Whoever sends many waits for itself.

    It looks at one entry of an index for each organisation, however many jobs wait.
    """
    jobs, people = schema.jobs.c, schema.organisations.c
    waiting = select(jobs.fix_id).where(jobs.state == "queued", jobs.organisation == people.id, jobs.not_before <= at)
    first = waiting.order_by(jobs.not_before, jobs.fix_id).limit(1).correlate(schema.organisations).scalar_subquery()
    running = select(func.count()).where(jobs.state == "leased", jobs.organisation == people.id).correlate(schema.organisations)
    each = select(people.id, people.served_at, first.label("fix_id"), running.scalar_subquery().label("running")).subquery()
    return select(each.c.fix_id).where(each.c.fix_id.is_not(None)).order_by(each.c.running, each.c.served_at, each.c.id).limit(1)


async def _next(batch: Batch) -> Row | None:
    fix_id = (await batch.connection.execute(turn(batch.at))).scalar()
    return None if fix_id is None else await batch.one(schema.jobs, fix_id=fix_id)


async def requeue(batch: Batch, fix: Row, why: str) -> int:
    """Have a fix that ended as `infra_error` validated again, with all of its attempts; return the ledger's index."""
    await batch.change_fix(fix, state=FixState.received.value, validation=None)
    await batch.change(schema.jobs, {"fix_id": fix["id"]}, state="queued", attempts=0, not_before=batch.at)
    return batch.record("fix-requeued", fix["id"], {"fix": fix["id"], "why": why})


async def requeue_some(batch: Batch, ids: Sequence[str]) -> list[str]:
    """Have these fixes validated again, or all that ended as `infra_error`; return their ids. Raises UsageError."""
    table = schema.fixes.c
    query = select(table.id).where(table.state == FixState.infra_error.value).order_by(table.updated_at, table.id)
    known = list((await batch.connection.execute(query.where(table.id.in_(ids)) if ids else query)).scalars())
    if missing := [each for each in ids if each not in known]:
        raise UsageError(f"{missing[0][:100]} is no fix that ended as infra_error", hint="remediator clearinghouse stats counts them")
    for each in known:
        fix = await batch.fix(each)
        assert fix is not None
        await requeue(batch, fix, "the operator")
    return known


async def _leased(batch: Batch, job: Row, fix: Row, validator: str, seconds: int) -> tuple[Row, Row, tuple[str, ...]]:
    leased = {
        "state": "leased",
        "validator": validator[:300],
        "fencing": job["fencing"] + 1,
        "lease_until": micros(batch.now + timedelta(seconds=seconds)),
        "attempts": job["attempts"] + 1,
    }
    job.update(leased)
    await batch.change(schema.jobs, {"fix_id": job["fix_id"]}, **leased)
    await batch.change(schema.organisations, {"id": fix["organisation"]}, served_at=batch.at)
    if fix["state"] != FixState.validating:
        await batch.change_fix(fix, state=FixState.validating.value)
    keys = select(schema.keys.c.line).where(
        schema.keys.c.organisation == fix["organisation"],
        schema.keys.c.revoked_at.is_(None),
        or_(schema.keys.c.not_after.is_(None), schema.keys.c.not_after > batch.at),
    )
    return job, fix, tuple((await batch.connection.execute(keys)).scalars())


async def renew(batch: Batch, fix_id: str, fencing: int, seconds: int) -> bool:
    """Keep a job's lease; False where it is lost."""
    where = {"fix_id": fix_id, "fencing": fencing, "state": "leased"}
    return bool(await batch.change(schema.jobs, where, lease_until=micros(batch.now + timedelta(seconds=seconds))))


class Outcome(NamedTuple):
    """What a validator found out. `signed_by` is the key that signed the bundle: it must still be taken when the outcome is written."""

    validation: Validation
    state: FixState
    patch: str | None = None
    lines_changed: int = 0
    signed_by: str | None = None


async def finish(batch: Batch, fix_id: str, fencing: int, found: Outcome) -> bool:
    """Write down what a validator found out; False, and nothing written, where its lease was lost.

    An `infra_error` puts the job back, to be tried again later, until it was tried three times.
    """
    job = await batch.one(schema.jobs, fix_id=fix_id)
    if job is None or job["state"] != "leased" or job["fencing"] != fencing:
        return False
    fix = await batch.fix(fix_id)
    if fix is None or fix["state"] not in _OPEN:
        return False
    if found.state is FixState.infra_error and job["attempts"] < MOST_ATTEMPTS:
        wait = timedelta(seconds=30 * 4 ** (job["attempts"] - 1))
        await batch.change(schema.jobs, {"fix_id": fix_id}, state="queued", not_before=micros(batch.now + wait))
        return True
    await batch.change(schema.jobs, {"fix_id": fix_id}, state="done")
    if found.state is FixState.verified and found.signed_by is not None and (lost := await _lost(batch, fix, found.signed_by)):
        found = Outcome(Validation(outcome="not-replayed", reason=lost), FixState.rejected)
    told = found.validation.model_copy(update={"finished_at": batch.now, "attempts": job["attempts"], "validator": job["validator"]})
    await _decide(batch, fix, told, found.state, found.patch, found.lines_changed)
    return True


async def _lost(batch: Batch, fix: Row, keyid: str) -> str:
    """Return what its submitter lost while the fix was validated: the key that signed the bundle, or its standing here."""
    key = await batch.one(schema.keys, keyid=keyid, organisation=fix["organisation"])
    if key is None or key["revoked_at"] is not None or (key["not_after"] is not None and key["not_after"] <= batch.at):
        return "key-revoked"
    submitter = await batch.one(schema.organisations, id=fix["organisation"])
    return "submitter-disabled" if submitter is None or submitter["disabled"] else ""


async def _decide(batch: Batch, fix: Row, told: Validation, state: FixState, patch: str | None, lines: int) -> None:
    verified = state is FixState.verified
    if verified and (patch is None or told.level is None):
        raise ValueError("what is verified has a patch and a level")
    await batch.change_fix(
        fix,
        state=state.value,
        level=told.level if verified else None,
        lines_changed=lines,
        patch=patch if verified else None,
        validation=canonical_json(told.as_json()).decode("ascii"),
    )
    # Its submitter opens this entry; which machine validated is in the row, and for admins.
    shown = told.model_copy(update={"validator": ""}).as_json()
    value = {"fix": fix["id"], "state": state.value, "bundle": fix["bundle"], "validation": shown}
    batch.record("fix-validated", fix["id"], value)
    flaw = batch.flaw(fix["flaw_id"])
    if verified and flaw is not None:
        await publish_fix(batch, flaw, fix)


def job_of(job: Row, fix: Row, keys: tuple[str, ...], bundle_path: Path) -> Job:
    """Return what a validator is given."""
    return Job(
        fix_id=fix["id"],
        organisation=fix["organisation"],
        submission_id=fix["submission_id"],
        patch_id=fix["patch_id"],
        bundle=fix["bundle"],
        bundle_path=bundle_path,
        flaw=FlawBody.model_validate(json.loads(fix["flaw_doc"])),
        claimed_level=fix["claimed_level"],
        keys=keys,
        fencing=job["fencing"],
        attempt=job["attempts"],
    )
