"""The feed, the leases and the opt-outs: what is read as a list alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Row
from remediator.clearinghouse.store.calls import Caller
from remediator.clearinghouse.store.leasing import lease_record, spelled
from remediator.clearinghouse.store.paging import Way, first_rows, fitting, size_of
from remediator.clearinghouse.store.reading import Part, most
from remediator.clearinghouse.store.schema import micros, moment
from remediator.clearinghouse.wire.answers import FeedEntry, Lease
from remediator.clearinghouse.wire.terms import FixState


async def feed_rows(connection: AsyncConnection, caller: Caller, cursor: int, limit: int) -> tuple[list[FeedEntry], bool]:
    """Return the feed after a cursor, and whether there is more."""
    table = schema.feed.c
    after = table.cursor > cursor
    if caller.is_admin:
        query = select(schema.feed).where(after).order_by(table.cursor).limit(most(limit) + 1)
    else:
        ways = [*(Way(table.tlp == tlp) for tlp in caller.tlps), Way(table.organisation == caller.organisation)]
        query = first_rows(schema.feed, "cursor", ("cursor",), ways, [after], most(limit) + 1)
    rows = (await connection.execute(query)).all()
    entries = [
        FeedEntry(
            cursor=row.cursor,
            kind=row.kind,
            fix_id=row.fix_id,
            flaw_id=row.flaw_id,
            project=row.project,
            at=moment(row.at),
            ledger_index=row.ledger_index,
            level=row.level,
            aliases=tuple(json.loads(row.aliases)),
            withdrawn=row.kind in (FixState.revoked.value, FixState.superseded.value),
        )
        for row in rows[: most(limit)]
    ]
    return entries, len(rows) > most(limit)


async def lease_rows(
    connection: AsyncConnection, project: str | None, after: Sequence[Any] | None, limit: int, now: datetime
) -> Part[Lease]:
    """Return the leases that hold."""
    table = schema.leases.c
    query = select(schema.leases).where(table.expires_at > micros(now), table.released_at.is_(None))
    if after is not None:
        query = query.where(table.id > after[0])
    if project is not None:
        query = query.where(table.project == spelled(project))
    query = query.order_by(table.id).limit(most(limit) + 1)
    # First how long they are: anybody's leases are read by everybody, and only what fits on a page is brought here.
    found = (await connection.execute(query.with_only_columns(table.id, size_of(connection, table.scope)))).all()
    ids = [lease_id for lease_id, _ in found[: most(limit)]][: fitting([size for _, size in found[: most(limit)]])]
    shown = (await connection.execute(select(schema.leases).where(table.id.in_(ids)).order_by(table.id))).mappings().all()
    return Part([lease_record(dict(row)) for row in shown], (ids[-1],) if len(found) > len(ids) else None)


async def opt_out_rows(connection: AsyncConnection, after: Sequence[Any] | None, limit: int, now: datetime) -> Part[Row]:
    """Return rows of the opt-outs that hold."""
    table = schema.opt_outs.c
    query = select(schema.opt_outs).where(or_(table.until.is_(None), table.until > micros(now)))
    if after is not None:
        query = query.where(table.project > after[0])
    rows = [dict(row) for row in (await connection.execute(query.order_by(table.project).limit(most(limit) + 1))).mappings()]
    shown = rows[: most(limit)]
    return Part(shown, (shown[-1]["project"],) if len(rows) > most(limit) else None)
