"""What may be read, by whom: embargo and TLP stand in the query, so that nothing is fetched that is then to be left out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Row
from remediator.clearinghouse.store.calls import Caller, not_found
from remediator.clearinghouse.store.leasing import lease_record, spelled
from remediator.clearinghouse.store.publishing import OUT
from remediator.clearinghouse.store.schema import micros, moment
from remediator.clearinghouse.wire.answers import Assessment, FeedEntry, Fix, Flaw, Lease, Priority, Published, Validation, Witness
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import MOST_PAGE, FixState, Problem, Tlp

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """Some of a list. `next` is the cursor to go on with, empty at the end."""

    items: list[T]
    next: str


def flaw_is_visible(caller: Caller) -> ColumnElement[bool]:
    """Return the condition on flaws."""
    if caller.is_admin:
        return true()
    table = schema.flaws.c
    mine = exists().where(schema.witnesses.c.flaw_id == table.id, schema.witnesses.c.organisation == caller.organisation)
    return or_(and_(table.embargoed == 0, table.tlp.in_(caller.tlps)), mine)


def fix_is_visible(caller: Caller) -> ColumnElement[bool]:
    """Return the condition on fixes joined with their flaws."""
    if caller.is_admin:
        return true()
    table = schema.fixes.c
    out = and_(schema.flaws.c.embargoed == 0, schema.flaws.c.tlp.in_(caller.tlps), table.state.in_(OUT), table.published_at.is_not(None))
    return or_(out, table.organisation == caller.organisation)


class Ranker(NamedTuple):
    """Gives flaws their priority; the default knows nothing."""

    priority: Callable[[Flaw], Priority | None] = lambda _flaw: None


async def flaw_rows(
    connection: AsyncConnection,
    caller: Caller,
    *,
    ids: Sequence[str] = (),
    cursor: str = "",
    limit: int = 50,
    project: str | None = None,
    alias: str | None = None,
    order: str = "priority",
) -> Page[Row]:
    """Return rows of flaws that the caller may see."""
    table = schema.flaws.c
    sorting = table.rank if order == "priority" else table.updated_at
    query = select(schema.flaws).where(flaw_is_visible(caller))
    query = query.where(table.id.in_(ids)) if ids else query.where(table.merged_into == "")
    if project is not None:
        query = query.where(table.project == spelled(project))
    if alias is not None:
        query = query.where(exists().where(schema.aliases.c.flaw_id == table.id, schema.aliases.c.alias == alias.upper()[:100]))
    if cursor:
        value, last = _read_cursor(cursor)
        query = query.where(tuple_(sorting, table.id) > tuple_(value, last))
    rows = [dict(row) for row in (await connection.execute(query.order_by(sorting, table.id).limit(_most(limit) + 1))).mappings()]
    more = len(rows) > _most(limit)
    rows = rows[: _most(limit)]
    return Page(rows, f"{rows[-1]['rank' if order == 'priority' else 'updated_at']}.{rows[-1]['id']}" if more else "")


async def flaw_records(connection: AsyncConnection, caller: Caller, rows: Sequence[Row], ranker: Ranker, now: datetime) -> list[Flaw]:
    """Return the rows as the wire has them, each with what this caller may see of it."""
    ids = [row["id"] for row in rows]
    # Only what the caller may see of it is fetched: a flaw can have been reported a thousand times, by somebody else.
    own = true() if caller.is_admin else schema.witnesses.c.organisation == caller.organisation
    seen = await _by_flaw(connection, schema.witnesses, ids, schema.witnesses.c.at, own)
    fixes = defaultdict(list)
    query = select(schema.fixes).join(schema.flaws, schema.flaws.c.id == schema.fixes.c.flaw_id)
    for row in (await connection.execute(query.where(schema.fixes.c.flaw_id.in_(ids), fix_is_visible(caller)))).mappings():
        fixes[row["flaw_id"]].append(dict(row))
    opinions = defaultdict(list)
    found = await connection.execute(select(schema.assessments).where(schema.assessments.c.subject.in_(ids)))
    for row in found.mappings():
        opinions[row["subject"]].append(Assessment.from_json(row["doc"]))
    projects = {row["project"] for row in rows}
    outs = select(schema.opt_outs.c.project).where(
        schema.opt_outs.c.project.in_(projects), or_(schema.opt_outs.c.until.is_(None), schema.opt_outs.c.until > micros(now))
    )
    out = set((await connection.execute(outs)).scalars())
    return [
        _flaw(caller, row, seen[row["id"]], fixes[row["id"]], opinions[row["id"]], ranker, opted_out=row["project"] in out) for row in rows
    ]


def _flaw(
    caller: Caller, row: Row, seen: Sequence[Row], fixes: Sequence[Row], opinions: Sequence[Assessment], ranker: Ranker, *, opted_out: bool
) -> Flaw:
    released = caller.is_admin or (not row["embargoed"] and row["tlp"] in caller.tlps)
    mine = [each for each in seen if each["organisation"] == caller.organisation]
    # Who reported it sees, under embargo, what it said itself, and no more.
    doc = json.loads(row["doc"] if released or not mine else mine[0]["doc"])
    shown = seen if caller.is_admin else mine
    witnesses = tuple(
        Witness(
            organisation=each["organisation"],
            finding_id=each["finding_id"],
            scanner=each["scanner"],
            rule_id=each["rule_id"],
            at=moment(each["at"]),
        )
        for each in shown
    )
    told = [each for each in opinions if released or each.organisation == caller.organisation]
    flaw = Flaw(
        id=row["id"],
        project=row["project"],
        version=doc["version"],
        commit=doc["commit"],
        path=doc["path"],
        line=doc["line"],
        cwe=tuple(doc["cwe"]),
        aliases=tuple(doc["aliases"]),
        severity=doc["severity"],
        title=doc["title"],
        details=doc["details"],
        references=tuple(doc["references"]),
        tlp=Tlp(row["tlp"]) if released or not mine else max((Tlp(each["tlp"]) for each in mine), key=list(Tlp).index),
        embargo_until=_maybe(row["embargo_until"] if released or not mine else _latest(mine)),
        embargoed=bool(row["embargoed"]),
        lifted_at=_maybe(row["lifted_at"]),
        witnesses=witnesses,
        assessments=tuple(told),
        fixes=tuple(each["id"] for each in sorted(fixes, key=_best_first)),
        first_seen=moment(row["first_seen"] if released or not mine else mine[0]["at"]),
        updated_at=moment(row["updated_at"] if released or not mine else mine[0]["at"]),
        opted_out=opted_out,
        automatable=doc["automatable"],
        technical_impact_total=doc["technical_impact_total"],
    )
    return flaw.model_copy(update={"priority": ranker.priority(flaw)})


def _latest(mine: Sequence[Row]) -> int | None:
    # Until when others keep it back is theirs to tell: whoever reported it may have guessed.
    return max((each["embargo_until"] for each in mine if each["embargo_until"] is not None), default=None)


def _best_first(row: Row) -> tuple[Any, ...]:
    """Order competing fixes: proven ones first, then by level, size and time."""
    proven = row["state"] == FixState.verified.value
    return (not proven, -(row["level"] if row["level"] is not None else -1), row["lines_changed"], row["submitted_at"], row["id"])


async def fix_rows(
    connection: AsyncConnection,
    caller: Caller,
    *,
    ids: Sequence[str] = (),
    cursor: str = "",
    limit: int = 50,
    state: str | None = None,
    flaw: str | None = None,
) -> Page[Row]:
    """Return rows of fixes that the caller may see, each with its flaw's mark as `tlp`."""
    table = schema.fixes.c
    query = select(schema.fixes, schema.flaws.c.tlp).join(schema.flaws, schema.flaws.c.id == table.flaw_id).where(fix_is_visible(caller))
    if ids:
        query = query.where(table.id.in_(ids))
    if state is not None:
        query = query.where(table.state == state)
    if flaw is not None:
        query = query.where(table.flaw_id == flaw)
    if cursor:
        value, last = _read_cursor(cursor)
        query = query.where(tuple_(table.updated_at, table.id) > tuple_(value, last))
    rows = [dict(row) for row in (await connection.execute(query.order_by(table.updated_at, table.id).limit(_most(limit) + 1))).mappings()]
    more = len(rows) > _most(limit)
    rows = rows[: _most(limit)]
    return Page(rows, f"{rows[-1]['updated_at']}.{rows[-1]['id']}" if more else "")


async def fix_records(connection: AsyncConnection, caller: Caller, rows: Sequence[Row]) -> list[Fix]:
    """Return the rows as the wire has them. Who submitted a fix is told to itself and to admins only."""
    ids = [row["id"] for row in rows]
    table = schema.receipts.c
    query = select(table.fix_id, table.outcome, func.sum(table.count)).where(table.fix_id.in_(ids)).group_by(table.fix_id, table.outcome)
    outcomes: dict[str, dict[str, int]] = defaultdict(dict)
    for fix_id, outcome, count in await connection.execute(query):
        outcomes[fix_id][outcome] = int(count)
    return [
        Fix(
            id=row["id"],
            flaw_id=row["flaw_id"],
            submission_id=row["submission_id"],
            patch_id=row["patch_id"],
            bundle=row["bundle"],
            bundle_bytes=row["bundle_bytes"],
            organisation=row["organisation"] if caller.is_admin or caller.organisation == row["organisation"] else "",
            state=FixState(row["state"]),
            claimed_level=row["claimed_level"],
            level=row["level"],
            lines_changed=row["lines_changed"],
            fixed_version=row["fixed_version"],
            tlp=Tlp(row["tlp"]),
            superseded_by=row["superseded_by"],
            revoked_reason=row["revoked_reason"],
            submitted_at=moment(row["submitted_at"]),
            updated_at=moment(row["updated_at"]),
            validation=_validation(caller, row["validation"]),
            outcomes=outcomes[row["id"]],
        )
        for row in rows
    ]


def _validation(caller: Caller, stored: str | None) -> Validation | None:
    """Return what a validator found out; which machine it was is for admins only."""
    found = None if stored is None else Validation.from_json(stored)
    return found if found is None or caller.is_admin else found.model_copy(update={"validator": ""})


async def published_record(connection: AsyncConnection, caller: Caller, row: Row, ranker: Ranker, now: datetime) -> Published:
    """Return all that is distributed about a fix. Raises RefusedError where it is not out, for this caller."""
    if row["patch"] is None or row["published_at"] is None:
        raise not_found()
    flaws = await flaw_rows(connection, caller, ids=[row["flaw_id"]])
    if not flaws.items:
        raise not_found()
    (flaw,) = await flaw_records(connection, caller, flaws.items, ranker, now)
    (fix,) = await fix_records(connection, caller, [row])
    unnamed = {"witnesses": (), "assessments": tuple(each.model_copy(update={"organisation": ""}) for each in flaw.assessments)}
    told = flaw.model_copy(update={**unnamed, **_as_checked(row)})
    return Published(
        fix=fix.model_copy(update={"organisation": "", "submission_id": ""}),
        flaw=told.model_copy(update={"priority": ranker.priority(told)}),
        patch=row["patch"],
        published_at=moment(row["published_at"]),
    )


def _as_checked(fix: Row) -> dict[str, Any]:
    """Return what the flaw is, as it was checked against the fix's own bundle.

    The flaw's record holds whatever anybody reported who guessed one of its names: none of that is let out as what a proven fix mends.
    """
    doc = json.loads(fix["flaw_doc"])
    lists = {name: tuple(doc[name]) for name in ("cwe", "aliases", "references")}
    return {name: doc[name] for name in _CHECKED} | lists


_CHECKED = ("version", "commit", "path", "line", "severity", "title", "details", "automatable", "technical_impact_total")


async def feed_rows(connection: AsyncConnection, caller: Caller, cursor: int, limit: int) -> tuple[list[FeedEntry], bool]:
    """Return the feed after a cursor, and whether there is more."""
    table = schema.feed.c
    query = select(schema.feed).where(table.cursor > cursor)
    if not caller.is_admin:
        query = query.where(or_(table.tlp.in_(caller.tlps), table.organisation == caller.organisation))
    rows = (await connection.execute(query.order_by(table.cursor).limit(_most(limit) + 1))).all()
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
        for row in rows[: _most(limit)]
    ]
    return entries, len(rows) > _most(limit)


async def lease_rows(connection: AsyncConnection, project: str | None, cursor: str, limit: int, now: datetime) -> Page[Lease]:
    """Return the leases that hold."""
    table = schema.leases.c
    query = select(schema.leases).where(table.expires_at > micros(now), table.released_at.is_(None), table.id > cursor)
    if project is not None:
        query = query.where(table.project == spelled(project))
    rows = [dict(row) for row in (await connection.execute(query.order_by(table.id).limit(_most(limit) + 1))).mappings()]
    shown = rows[: _most(limit)]
    return Page([lease_record(row) for row in shown], shown[-1]["id"] if len(rows) > _most(limit) else "")


async def _by_flaw(
    connection: AsyncConnection, table: Any, ids: Sequence[str], order: Any, where: ColumnElement[bool]
) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in (await connection.execute(select(table).where(table.c.flaw_id.in_(ids), where).order_by(order))).mappings():
        found[row["flaw_id"]].append(dict(row))
    return found


def _most(limit: int) -> int:
    return max(1, min(limit, MOST_PAGE))


def _read_cursor(cursor: str) -> tuple[int, str]:
    value, dot, last = cursor.partition(".")
    if not dot or not value.lstrip("-").isdigit() or len(value) > 18:
        raise RefusedError(Problem.bad_request, "that is no cursor of ours", hint="use `next` of the page before")
    return int(value), last[:100]


def _maybe(stored: int | None) -> datetime | None:
    return None if stored is None else moment(stored)
