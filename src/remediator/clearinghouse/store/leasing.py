"""lease, renew, release, opt-out: who scans a project, so that nobody else does at the same time.

Fencing as in Kleppmann, "How to do distributed locking" (2016): each grant on a project has a number that grows, and what comes with
an older one is refused, however late it comes.
"""

from __future__ import annotations

import json
from datetime import timedelta

from sqlalchemy import func, or_, select, update

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.calls import Call, identify, not_found
from remediator.clearinghouse.store.schema import micros, moment, utc_text
from remediator.clearinghouse.wire.answers import Answer
from remediator.clearinghouse.wire.answers import Lease as LeaseRecord
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.identity import project as normalised
from remediator.clearinghouse.wire.terms import MOST_LEASES, MOST_OPT_OUTS, Problem
from remediator.clearinghouse.wire.verbs import LeaseBody, OptOutBody, ReleaseBody, RenewBody
from remediator.errors import UsageError

_FURTHEST = timedelta(days=36_525)
_MOST_SCOPE = 400_000
"""Characters of JSON of one organisation on one project: more than one lease can have."""


def spelled(text: str) -> str:
    """Return a project's one spelling. Raises RefusedError."""
    try:
        return normalised(text)
    except ValueError as error:
        raise RefusedError(Problem.bad_request, f"project: {error}", hint="a purl, or the URL of a repository") from error


async def lease(batch: Batch, call: Call) -> Answer:
    """Grant a lease, unless the maintainer opted out or another's lease holds on an overlapping scope. Raises RefusedError."""
    body: LeaseBody = call.body
    project = spelled(body.project)
    await _wanted(batch, project)
    for held in await _of_others(batch, project, call.organisation):
        if _overlap(json.loads(held["scope"]), body.scope):
            until = moment(held["expires_at"])
            left = max(1, int((until - batch.now).total_seconds()))
            hint = f"held until {utc_text(until)}" + (f", contact: {held['contact'][:200]}" if held["contact"] else "")
            raise RefusedError(Problem.lease_held, f"{project} is leased to another organisation", hint=hint, retry_after_seconds=left)
    await _room(batch, call)
    scope = json.dumps(list(body.scope))
    await _room_on(batch, call, project, scope)
    fence = await batch.one(schema.fences, project=project)
    fencing = 1 if fence is None else fence["last"] + 1
    if fence is None:
        batch.insert(schema.fences, {"project": project, "last": fencing})
    else:
        await batch.change(schema.fences, {"project": project}, last=fencing)
    row = batch.insert(
        schema.leases,
        {
            "id": identify("lease", project, str(fencing)),
            "project": project,
            "organisation": call.organisation,
            "contact": body.contact,
            "commits": body.commits,
            "scope": scope,
            "fencing": fencing,
            "granted_at": batch.at,
            "expires_at": micros(batch.now + timedelta(seconds=body.ttl_seconds)),
            "released_at": None,
        },
    )
    index = batch.record("lease", row["id"], {**lease_record(row).as_json()})
    return call.answer(row["id"], "granted", ledger_index=index, lease=lease_record(row).as_json())


async def renew(batch: Batch, call: Call) -> Answer:
    """Keep a lease that still holds."""
    body: RenewBody = call.body
    row = await _own(batch, call, body.lease_id, body.fencing)
    await _wanted(batch, row["project"])
    row["expires_at"] = max(row["expires_at"], micros(batch.now + timedelta(seconds=body.ttl_seconds)))
    await batch.change(schema.leases, {"id": row["id"]}, expires_at=row["expires_at"])
    index = batch.record("lease-renewed", row["id"], lease_record(row).as_json())
    return call.answer(row["id"], "granted", ledger_index=index, lease=lease_record(row).as_json())


async def release(batch: Batch, call: Call) -> Answer:
    """Give a lease back."""
    body: ReleaseBody = call.body
    row = await _own(batch, call, body.lease_id, body.fencing)
    row["released_at"] = batch.at
    await batch.change(schema.leases, {"id": row["id"]}, released_at=batch.at)
    index = batch.record("lease-released", row["id"], lease_record(row).as_json())
    return call.answer(row["id"], "released", ledger_index=index, lease=lease_record(row).as_json())


async def opt_out(batch: Batch, call: Call) -> Answer:
    """Note a maintainer's wish. Only who made it, or an admin, takes it back or changes it."""
    body: OptOutBody = call.body
    project = spelled(body.project)
    if body.until is not None and body.until > batch.now + _FURTHEST:
        # A time that no calendar has in UTC could be stored, and not be shown to anybody any more.
        raise RefusedError(Problem.bad_request, "until: at most a hundred years ahead", hint="null is until it is withdrawn")
    before = await batch.one(schema.opt_outs, project=project)
    holds = before is not None and (before["until"] is None or before["until"] > batch.at)
    # One that was withdrawn or is over binds nobody: else whoever spoke first for a project would speak for it for ever.
    if before is not None and holds and before["organisation"] != call.organisation and not call.caller.is_admin:
        raise RefusedError(
            Problem.forbidden, "another organisation spoke for this project", hint="ask the clearinghouse's operator, who can withdraw it"
        )
    object_id = identify("optout", project)
    if body.withdraw and not holds:
        return call.answer(object_id, "withdrawn", duplicate=True, project=project)
    if before is not None and body.withdraw and before["organisation"] != call.organisation:
        return call.answer(object_id, "withdrawn", ledger_index=await overrule(batch, project), project=project)
    if not body.withdraw:
        await _may_speak(batch, call, project, before if holds else None)
    if body.until is not None and body.until <= batch.now and not body.withdraw:
        raise RefusedError(Problem.bad_request, "until: lies in the past")
    values = {
        "organisation": call.organisation,
        "contact": body.contact,
        "reason": body.reason,
        "until": batch.at if body.withdraw else (None if body.until is None else micros(body.until)),
        "at": batch.at,
    }
    if before is None:
        batch.insert(schema.opt_outs, {"project": project, **values})
    else:
        await batch.change(schema.opt_outs, {"project": project}, **values)
    state = "withdrawn" if body.withdraw else "opted-out"
    index = batch.record("opt-out", object_id, {"project": project, "state": state, "organisation": call.organisation})
    return call.answer(object_id, state, ledger_index=index, project=project)


async def overrule(batch: Batch, project: str) -> int:
    """Withdraw an opt-out on the operator's word: whoever made it speaks for this project no more. Raises UsageError where none holds."""
    before = await batch.one(schema.opt_outs, project=project)
    if before is None or (before["until"] is not None and before["until"] <= batch.at):
        raise UsageError(f"no opt-out holds for {project[:200]}", hint="remediator clearinghouse opt-outs")
    await batch.change(schema.opt_outs, {"project": project}, until=batch.at)
    named = {"project": project, "organisation": before["organisation"]}
    if await batch.one(schema.overruled, **named) is None:
        batch.insert(schema.overruled, {**named, "at": batch.at})
    return batch.record("opt-out", identify("optout", project), {**named, "state": "overruled"})


async def _may_speak(batch: Batch, call: Call, project: str, own: Row | None) -> None:
    """Raise RefusedError where the operator overruled this organisation, or it spoke for too many projects."""
    if call.caller.is_admin:
        return
    if await batch.one(schema.overruled, project=project, organisation=call.organisation) is not None:
        raise RefusedError(
            Problem.forbidden, "the operator overruled your opt-out of this project", hint="ask the clearinghouse's operator"
        )
    if own is not None:
        return
    table = schema.opt_outs.c
    live = or_(table.until.is_(None), table.until > batch.at)
    query = select(func.count()).select_from(schema.opt_outs).where(table.organisation == call.organisation, live)
    if (await batch.connection.execute(query)).scalar_one() >= MOST_OPT_OUTS:
        raise RefusedError(
            Problem.state_conflict,
            f"one organisation opts out for at most {MOST_OPT_OUTS} projects",
            hint="ask the clearinghouse's operator",
        )


async def _room(batch: Batch, call: Call) -> None:
    """Raise RefusedError where an organisation holds too many leases."""
    table = schema.leases.c
    held = (table.organisation == call.organisation, table.expires_at > batch.at, table.released_at.is_(None))
    if (await batch.connection.execute(select(func.count()).select_from(schema.leases).where(*held))).scalar_one() < MOST_LEASES:
        return
    raise RefusedError(
        Problem.too_many, f"one organisation holds at most {MOST_LEASES} leases", hint="give some back", retry_after_seconds=60
    )


async def _room_on(batch: Batch, call: Call, project: str, scope: str) -> None:
    """Raise RefusedError where one's leases on a project name too much: all of it is compared with each lease that others ask for."""
    table = schema.leases.c
    held = (table.project == project, table.organisation == call.organisation, table.expires_at > batch.at, table.released_at.is_(None))
    query = select(func.coalesce(func.sum(func.length(table.scope)), 0)).where(*held)
    before = int((await batch.connection.execute(query)).scalar_one())
    if before and before + len(scope) > _MOST_SCOPE:
        raise RefusedError(
            Problem.too_many, "your leases on this project name as much as they may together", hint="give some back", retry_after_seconds=60
        )


async def _wanted(batch: Batch, project: str) -> None:
    """Raise RefusedError where a maintainer opted out."""
    out = await batch.one(schema.opt_outs, project=project)
    if out is not None and (out["until"] is None or out["until"] > batch.at):
        raise RefusedError(Problem.opted_out, f"the maintainer does not want {project} scanned", hint=f"contact: {out['contact'][:200]}")


async def check_lease(batch: Batch, call: Call, project: str, lease_id: str | None, fencing: int | None) -> None:
    """Raise RefusedError where a lease was named that does not hold any more. Who names none is not asked for one."""
    if lease_id is None and fencing is None:
        return
    if lease_id is None or fencing is None:
        raise RefusedError(Problem.bad_request, "lease_id and fencing belong together")
    row = await _own(batch, call, lease_id, fencing)
    if row["project"] != spelled(project):
        raise RefusedError(Problem.lease_stale, "that lease is for another project")


async def _own(batch: Batch, call: Call, lease_id: str, fencing: int) -> Row:
    row = await batch.one(schema.leases, id=lease_id)
    if row is None or row["organisation"] != call.organisation:
        raise not_found()
    ended = row["released_at"] is not None or row["expires_at"] <= batch.at
    if row["fencing"] != fencing or ended:
        told = "it was released" if row["released_at"] is not None else "it expired" if ended else "its fencing token is another"
        raise RefusedError(Problem.lease_stale, f"the lease does not hold: {told}", hint="take a new lease")
    return row


async def _of_others(batch: Batch, project: str, organisation: str) -> list[Row]:
    """Return others' leases that hold."""
    await batch.flush()
    table = schema.leases.c
    where = (table.project == project, table.organisation != organisation, table.released_at.is_(None))
    # What ended stays so when our clock is set back: two must not hold the same. All at once, and once: of short leases there can be many.
    ended = update(schema.leases).where(*where, table.expires_at <= batch.at).values(released_at=table.expires_at)
    await batch.connection.execute(ended)
    # Looked for by the time, which the index has: those that ended long ago are not met with.
    held = select(schema.leases).where(*where, table.expires_at > batch.at)
    return [dict(row) for row in (await batch.connection.execute(held)).mappings()]


def _overlap(one: list[str], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return True
    return any(a == b or a.startswith(b.rstrip("/") + "/") or b.startswith(a.rstrip("/") + "/") for a in one for b in other)


def lease_record(row: Row) -> LeaseRecord:
    """Return a row as the wire has it."""
    released = row["released_at"]
    return LeaseRecord(
        id=row["id"],
        project=row["project"],
        commits=row["commits"],
        scope=tuple(json.loads(row["scope"])),
        organisation=row["organisation"],
        contact=row["contact"],
        fencing=row["fencing"],
        granted_at=moment(row["granted_at"]),
        expires_at=moment(row["expires_at"]),
        released_at=None if released is None else moment(released),
    )
