"""The queue of fixes to be validated. A job is leased; who lost the lease cannot finish it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import and_, or_, select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.publishing import publish_fix
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState
from remediator.clearinghouse.wire.verbs import FlawBody
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
    """Lease the oldest job that is free, or whose lease is over; return the job, its fix, and the submitter's keys."""
    await batch.flush()
    table = schema.jobs.c
    free = or_(
        and_(table.state == "queued", table.not_before <= batch.at),
        and_(table.state == "leased", table.lease_until <= batch.at),
    )
    query = select(schema.jobs).where(free).order_by(table.queued_at, table.fix_id).limit(1)
    found = (await batch.connection.execute(query)).mappings().first()
    if found is None:
        return None
    job = dict(found)
    fix = await batch.fix(job["fix_id"])
    if fix is None or fix["state"] not in _OPEN:
        await batch.change(schema.jobs, {"fix_id": job["fix_id"]}, state="done")
        return await take(batch, validator, seconds)
    if job["state"] == "leased" and job["attempts"] >= MOST_ATTEMPTS:
        # It took its validators down with it, again and again.
        lost = Validation(outcome="infra_error", reason="validator-lost", attempts=job["attempts"], finished_at=batch.now)
        await _decide(batch, fix, lost, FixState.infra_error, None, 0)
        await batch.change(schema.jobs, {"fix_id": job["fix_id"]}, state="done")
        return await take(batch, validator, seconds)
    leased = {
        "state": "leased",
        "validator": validator[:300],
        "fencing": job["fencing"] + 1,
        "lease_until": micros(batch.now + timedelta(seconds=seconds)),
        "attempts": job["attempts"] + 1,
    }
    job.update(leased)
    await batch.change(schema.jobs, {"fix_id": job["fix_id"]}, **leased)
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
    value = {"fix": fix["id"], "state": state.value, "bundle": fix["bundle"], "validation": told.as_json()}
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
