"""How many reports one organisation makes of a flaw: all of them are read with it."""

from __future__ import annotations

from sqlalchemy import func, select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.calls import Call
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import MOST_REPORTS, Problem, Verb


async def check_room(batch: Batch, call: Call, flaw: Row) -> None:
    """Raise RefusedError where an organisation reported a flaw too often: each name of a scanner makes another report.

    As many again come with fixes: whoever reported a flaw in all of its places can still mend it.
    """
    if call.organisation not in batch.witnesses[flaw["id"]]:
        return
    most = MOST_REPORTS if call.request.verb is Verb.submit_finding else 2 * MOST_REPORTS
    await batch.flush()
    table = schema.witnesses.c
    mine = select(func.count()).select_from(schema.witnesses)
    mine = mine.where(table.flaw_id == flaw["id"], table.organisation == call.organisation)
    if (await batch.connection.execute(mine)).scalar_one() >= most:
        raise RefusedError(
            Problem.state_conflict,
            f"{most} reports are kept of one organisation of a flaw",
            hint="it is known: nothing more has to be reported of it",
        )
