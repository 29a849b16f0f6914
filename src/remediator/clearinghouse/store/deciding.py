"""assess, supersede, revoke, lift, receipt: what becomes of what was submitted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.calls import Call, not_found
from remediator.clearinghouse.store.publishing import aliases_of, is_visible, publish_fix, release_flaw, unhold
from remediator.clearinghouse.store.telling import MARKS
from remediator.clearinghouse.wire.answers import Answer, Assessment
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import MOST_RECEIPT_COUNT, MOST_RECEIPTS, FixState, Problem
from remediator.clearinghouse.wire.verbs import AssessBody, LiftBody, ReceiptBody, RevokeBody, SupersedeBody
from remediator.records.record import canonical_json


async def assess(batch: Batch, call: Call) -> Answer:
    """Keep an opinion on a flaw or a fix; a later one of the same organisation takes its place."""
    body: AssessBody = call.body
    fix = await batch.fix(body.subject) if body.subject.startswith("fix-") else None
    await batch.fetch_flaws([fix["flaw_id"] if fix is not None else body.subject])
    flaw = batch.flaw(fix["flaw_id"] if fix is not None else body.subject)
    if flaw is None or not is_visible(batch, call.caller, flaw, fix):
        raise not_found()
    told = Assessment(
        organisation=call.organisation,
        subject=fix["id"] if fix is not None else flaw["id"],
        opinion=body.opinion,
        reason=body.reason,
        tests_passed=body.tests_passed,
        evidence=body.evidence,
        at=batch.now,
    )
    doc = canonical_json(told.as_json()).decode("ascii")
    mine, values = {"subject": told.subject, "organisation": call.organisation}, {"doc": doc, "tlp": call.request.tlp.value, "at": batch.at}
    if not await batch.change(schema.assessments, mine, **values):
        batch.insert(schema.assessments, {**mine, **values})
    index = batch.record("assessment", told.subject, {**told.as_json(), "tlp": call.request.tlp.value})
    return call.answer(told.subject, body.opinion, ledger_index=index)


async def supersede(batch: Batch, call: Call) -> Answer:
    """Put one's own fix in the place of another of one's own. Where the old one is out, the new one must be proven."""
    body: SupersedeBody = call.body
    old, new = await _own_fix(batch, call, body.fix_id), await _own_fix(batch, call, body.by)
    if old["id"] == new["id"] or old["flaw_id"] != new["flaw_id"]:
        raise RefusedError(Problem.state_conflict, "a fix is superseded by another fix of the same flaw")
    if old["state"] == FixState.verified and new["state"] != FixState.verified:
        raise RefusedError(Problem.state_conflict, f"the new fix is {new['state']}, not verified", hint="wait until it is validated")
    _still_stands(old)
    _still_stands(new)
    if old["published_at"] is not None and (new["published_at"] is None or _stricter(new, old)):
        raise RefusedError(
            Problem.state_conflict,
            "the new fix is not out for everybody who was told of the old one",
            hint="wait until its embargo ends, or revoke the old one",
        )
    return await _withdraw(batch, call, old, FixState.superseded, superseded_by=new["id"], reason=body.reason)


async def revoke(batch: Batch, call: Call) -> Answer:
    """Take a fix back; who pulled it is told by the feed. An admin may revoke anybody's."""
    body: RevokeBody = call.body
    row = await _own_fix(batch, call, body.fix_id)
    _still_stands(row)
    return await _withdraw(batch, call, row, FixState.revoked, revoked_reason=body.reason, reason=body.reason)


def _stricter(one: Row, other: Row) -> bool:
    return MARKS.index(one["tlp"]) > MARKS.index(other["tlp"])


def _still_stands(row: Row) -> None:
    if row["state"] in (FixState.revoked, FixState.superseded):
        raise RefusedError(Problem.state_conflict, f"the fix is {row['state']} already")


async def _withdraw(batch: Batch, call: Call, row: Row, state: FixState, *, reason: str, **values: str) -> Answer:
    was_out = row["published_at"] is not None
    await batch.change_fix(row, state=state.value, **values)
    await batch.change(schema.jobs, {"fix_id": row["id"]}, state="done")
    # Everybody who may see the fix is shown this entry: it names nobody, as nothing does that is let out.
    value = {"fix": row["id"], "state": state.value, "reason": reason, "superseded_by": row["superseded_by"]}
    index = batch.record(state.value, row["id"], value)
    flaw = batch.flaw(row["flaw_id"])
    if was_out and flaw is not None:
        await batch.publish(state.value, row, flaw, aliases_of(row), index)
    return call.answer(row["id"], state, ledger_index=index)


async def lift(batch: Batch, call: Call) -> Answer:
    """Agree to end an embargo. It ends when everybody who asked for one agreed; an admin ends it at once."""
    body: LiftBody = call.body
    await batch.fetch_flaws([body.flaw_id])
    flaw = batch.flaw(body.flaw_id)
    if flaw is None or not (call.caller.is_admin or call.organisation in batch.witnesses[flaw["id"]]):
        raise not_found()
    waited = await unhold(batch, flaw, None if call.caller.is_admin else call.organisation)
    agreed = {"flaw": flaw["id"], "organisation": call.organisation, "reason": body.reason}
    if not flaw["embargoed"]:
        if not waited:
            return call.answer(flaw["id"], "lifted", duplicate=True)
        index = batch.record("lift-agreed", flaw["id"], agreed)
        for fix in waited:
            await publish_fix(batch, flaw, fix)
        return call.answer(flaw["id"], "lifted", ledger_index=index)
    asking = {"flaw_id": flaw["id"], "organisation": call.organisation, "agreed": 0}
    fresh = bool(await batch.change(schema.witnesses, asking, agreed=1))
    table = schema.witnesses.c
    where = (table.flaw_id == flaw["id"], table.embargo_until.is_not(None), table.agreed == 0)
    left = (await batch.connection.execute(select(func.count()).select_from(schema.witnesses).where(*where))).scalar_one()
    if left and not call.caller.is_admin:
        if not fresh:
            return call.answer(flaw["id"], "agreed", duplicate=True)
        return call.answer(flaw["id"], "agreed", ledger_index=batch.record("lift-agreed", flaw["id"], agreed))
    # Why is the words of one witness: they are in an entry of their own, which is not opened to everybody who may see the flaw.
    batch.record("lift-agreed", flaw["id"], agreed)
    index = await release_flaw(batch, flaw, "agreed")
    return call.answer(flaw["id"], "lifted", ledger_index=index)


async def receipt(batch: Batch, call: Call) -> Answer:
    """Note what became of a fix somewhere."""
    body: ReceiptBody = call.body
    row = await batch.fix(body.fix_id)
    flaw = None if row is None else batch.flaw(row["flaw_id"])
    if row is None or flaw is None or not is_visible(batch, call.caller, flaw, row):
        raise not_found()
    if row["published_at"] is None or row["organisation"] == call.organisation:
        raise RefusedError(Problem.state_conflict, "a receipt is for a fix of somebody else that was let out")
    told = {"fix_id": row["id"], "outcome": body.outcome, "reason": body.reason, "count": body.count}
    await _counted(batch, call, told)
    return call.answer(row["id"], body.outcome, ledger_index=batch.record("receipt", row["id"], told))


async def _counted(batch: Batch, call: Call, told: dict[str, Any]) -> None:
    """Add to what an organisation told of a fix: one row for each outcome and reason. Raises RefusedError where it told enough."""
    await batch.flush()
    table = schema.receipts.c
    query = select(schema.receipts).where(table.fix_id == told["fix_id"], table.organisation == call.organisation)
    rows = [dict(each) for each in (await batch.connection.execute(query)).mappings()]
    if sum(row["times"] for row in rows) >= MOST_RECEIPTS:
        raise RefusedError(Problem.state_conflict, f"{MOST_RECEIPTS} receipts are kept of one organisation for a fix", hint="send counts")
    same = next((row for row in rows if (row["outcome"], row["reason"]) == (told["outcome"], told["reason"])), None)
    if same is None:
        batch.insert(schema.receipts, {"organisation": call.organisation, "key": call.request.key, "times": 1, "at": batch.at, **told})
        return
    where = {"organisation": call.organisation, "key": same["key"]}
    count = min(same["count"] + told["count"], MOST_RECEIPT_COUNT)
    await batch.change(schema.receipts, where, count=count, times=same["times"] + 1, at=batch.at)


async def _own_fix(batch: Batch, call: Call, fix_id: str) -> Row:
    row = await batch.fix(fix_id)
    if row is None or not (call.caller.is_admin or row["organisation"] == call.organisation):
        raise not_found()
    return row
