"""What the clock does: embargoes end, and the key of claim-checks changes."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, insert, select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch
from remediator.clearinghouse.store.publishing import release_due, release_flaw
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.wire.identity import claims

EPOCH = timedelta(days=30)
_MOST_AT_ONCE = 200


async def tick(batch: Batch) -> int:
    """Do what is due; return how much was done. Safe to call from several processes at once."""
    await _epoch(batch)
    table = schema.flaws.c
    due = select(table.id).where(table.embargoed == 1, table.embargo_until <= micros(batch.due), table.merged_into == "")
    ids = list((await batch.connection.execute(due.order_by(table.embargo_until, table.id).limit(_MOST_AT_ONCE))).scalars())
    await batch.fetch_flaws(ids)
    done = await release_due(batch, _MOST_AT_ONCE)
    for flaw_id in ids:
        await release_flaw(batch, batch.flaws[flaw_id], "the embargo's date")
    return len(ids) + done


async def _epoch(batch: Batch) -> None:
    """Begin a new epoch where the last one is over; the one before it is still answered, older ones are not."""
    table = schema.epochs.c
    last = (await batch.connection.execute(select(table.number, table.until).order_by(table.number.desc()).limit(1))).first()
    if last is not None and last.until > micros(batch.due):
        return
    number, key = (0 if last is None else last.number + 1), secrets.token_bytes(32)
    await batch.connection.execute(insert(schema.epochs), [{"number": number, "key": key, "until": micros(batch.due + EPOCH)}])
    for old in (schema.epochs.c.number, schema.claims.c.epoch):
        await batch.connection.execute(delete(old.table).where(old < number - 1))
    after = ""
    while True:
        query = select(schema.prints).where(schema.prints.c.print > after).order_by(schema.prints.c.print).limit(5_000)
        rows = (await batch.connection.execute(query)).all()
        if not rows:
            return
        made = claims((row.print for row in rows), key)
        found = [{"epoch": number, "claim": claim, "flaw_id": row.flaw_id} for claim, row in zip(made, rows, strict=True)]
        await batch.connection.execute(insert(schema.claims), found)
        after = rows[-1].print
