"""What may be read, by whom: embargo and TLP stand in the query, so that nothing is fetched that is then to be left out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clearinghouse.store import schema, telling
from remediator.clearinghouse.store.batch import Row
from remediator.clearinghouse.store.calls import Caller, not_found
from remediator.clearinghouse.store.leasing import lease_record, spelled
from remediator.clearinghouse.store.publishing import OUT
from remediator.clearinghouse.store.schema import micros, moment
from remediator.clearinghouse.wire.answers import Assessment, FeedEntry, Fix, Flaw, Lease, Priority, Published, Validation, Witness
from remediator.clearinghouse.wire.terms import MOST_PAGE, FixState, Tlp

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """Some of a list. `next` is the cursor to go on with, empty at the end."""

    items: list[T]
    next: str


class Part(NamedTuple, Generic[T]):
    """Some of a list, and the place after which it goes on, None at the end."""

    items: list[T]
    last: tuple[Any, ...] | None


def flaw_is_visible(caller: Caller) -> ColumnElement[bool]:
    """Return the condition on flaws."""
    if caller.is_admin:
        return true()
    table = schema.flaws.c
    mine = exists().where(schema.witnesses.c.flaw_id == table.id, schema.witnesses.c.organisation == caller.organisation)
    return or_(and_(table.embargoed == 0, table.tlp.in_(caller.tlps)), mine)


def fix_is_visible(caller: Caller) -> ColumnElement[bool]:
    """Return the condition on fixes: each is let out under its own mark, whatever others said of its flaw."""
    if caller.is_admin:
        return true()
    table = schema.fixes.c
    out = and_(table.tlp.in_(caller.tlps), table.state.in_(OUT), table.published_at.is_not(None))
    return or_(out, table.organisation == caller.organisation)


class Ranker(NamedTuple):
    """Gives flaws their priority; the default knows nothing."""

    priority: Callable[[Flaw], Priority | None] = lambda _flaw: None


async def flaw_rows(
    connection: AsyncConnection,
    caller: Caller,
    *,
    ids: Sequence[str] = (),
    after: Sequence[Any] | None = None,
    limit: int = 50,
    project: str | None = None,
    alias: str | None = None,
    order: str = "priority",
) -> Part[Row]:
    """Return rows of flaws that the caller may see."""
    table = schema.flaws.c
    sorting = table.rank if order == "priority" else table.updated_at
    query = select(schema.flaws).where(flaw_is_visible(caller))
    query = query.where(table.id.in_(ids)) if ids else query.where(table.merged_into == "")
    if project is not None:
        query = query.where(table.project == spelled(project))
    if alias is not None:
        query = query.where(exists().where(schema.aliases.c.flaw_id == table.id, schema.aliases.c.alias == alias.upper()[:100]))
    if after is not None:
        query = query.where(tuple_(sorting, table.id) > tuple_(*after))
    rows = [dict(row) for row in (await connection.execute(query.order_by(sorting, table.id).limit(_most(limit) + 1))).mappings()]
    more = len(rows) > _most(limit)
    rows = rows[: _most(limit)]
    return Part(rows, (rows[-1]["rank" if order == "priority" else "updated_at"], rows[-1]["id"]) if more else None)


async def flaw_records(connection: AsyncConnection, caller: Caller, rows: Sequence[Row], ranker: Ranker, now: datetime) -> list[Flaw]:
    """Return the rows as the wire has them, each with what this caller may see of it."""
    ids = [row["id"] for row in rows]
    # Only what the caller may see of it is fetched: a flaw can have been reported a thousand times, by somebody else.
    own = true() if caller.is_admin else schema.witnesses.c.organisation == caller.organisation
    seen = await _by_flaw(connection, schema.witnesses, ids, schema.witnesses.c.at, own)
    fixes = defaultdict(list)
    for row in (await connection.execute(select(schema.fixes).where(schema.fixes.c.flaw_id.in_(ids), fix_is_visible(caller)))).mappings():
        fixes[row["flaw_id"]].append(dict(row))
    opinions = defaultdict(list)
    found = await connection.execute(select(schema.assessments).where(schema.assessments.c.subject.in_(ids)))
    for row in found.mappings():
        opinions[row["subject"]].append((row["tlp"], Assessment.from_json(row["doc"])))
    projects = {row["project"] for row in rows}
    outs = select(schema.opt_outs.c.project).where(
        schema.opt_outs.c.project.in_(projects), or_(schema.opt_outs.c.until.is_(None), schema.opt_outs.c.until > micros(now))
    )
    out = set((await connection.execute(outs)).scalars())
    return [
        _flaw(caller, row, seen[row["id"]], fixes[row["id"]], opinions[row["id"]], ranker, opted_out=row["project"] in out) for row in rows
    ]


def _flaw(
    caller: Caller,
    row: Row,
    seen: Sequence[Row],
    fixes: Sequence[Row],
    opinions: Sequence[tuple[str, Assessment]],
    ranker: Ranker,
    *,
    opted_out: bool,
) -> Flaw:
    mine = [each for each in seen if each["organisation"] == caller.organisation]
    released = caller.is_admin or not row["embargoed"]
    marks = () if not released else telling.MARKS if caller.is_admin else caller.tlps
    # Who reported it sees what it said itself, and beside that what is marked for it, once no embargo holds.
    parts = [*telling.parts_of(row, marks), *(telling.part_of(each) for each in mine)]
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
    told = [each for tlp, each in opinions if tlp in marks or each.organisation == caller.organisation]
    flaw = _told(row, telling.together(sorted(parts, key=lambda part: part.first))).model_copy(
        update={
            # Until when others keep it back is theirs to tell: whoever reported it may have guessed.
            "embargo_until": _maybe(row["embargo_until"] if caller.is_admin else _latest(mine)),
            "embargoed": bool(row["embargoed"]),
            "lifted_at": _maybe(row["lifted_at"]),
            "witnesses": witnesses,
            "assessments": tuple(told),
            "fixes": tuple(each["id"] for each in sorted(fixes, key=_best_first)),
            "opted_out": opted_out,
        }
    )
    return flaw.model_copy(update={"priority": ranker.priority(flaw)})


def _told(row: Row, part: telling.Part) -> Flaw:
    doc = part.said
    lists = {name: tuple(doc[name]) for name in ("cwe", "aliases", "references")}
    return Flaw(
        id=row["id"],
        project=row["project"],
        line=doc["line"],
        tlp=Tlp(part.tlp),
        first_seen=moment(part.first),
        updated_at=moment(part.at),
        **{name: doc[name] for name in _CHECKED if name != "line"} | lists,
    )


def as_told_to_most(row: Row) -> Flaw:
    """Return a flaw as the widest circle of its readers is told of it: what orders the queue must not tell more."""
    return _told(row, telling.together(telling.parts_of(row, (row["tlp"],))))


def _latest(mine: Sequence[Row]) -> int | None:
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
    after: Sequence[Any] | None = None,
    limit: int = 50,
    state: str | None = None,
    flaw: str | None = None,
) -> Part[Row]:
    """Return rows of fixes that the caller may see."""
    table = schema.fixes.c
    query = select(schema.fixes).where(fix_is_visible(caller))
    if ids:
        query = query.where(table.id.in_(ids))
    if state is not None:
        query = query.where(table.state == state)
    if flaw is not None:
        query = query.where(table.flaw_id == flaw)
    if after is not None:
        query = query.where(tuple_(table.updated_at, table.id) > tuple_(*after))
    rows = [dict(row) for row in (await connection.execute(query.order_by(table.updated_at, table.id).limit(_most(limit) + 1))).mappings()]
    more = len(rows) > _most(limit)
    rows = rows[: _most(limit)]
    return Part(rows, (rows[-1]["updated_at"], rows[-1]["id"]) if more else None)


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
    # One document for everybody who may have it: nothing in it is under a stricter mark than the fix.
    told = flaw.model_copy(update={**await _beside(connection, row, flaws.items[0]), **_as_checked(row)})
    return Published(
        fix=fix.model_copy(update={"organisation": "", "submission_id": ""}),
        flaw=told.model_copy(update={"priority": ranker.priority(told)}),
        patch=row["patch"],
        published_at=moment(row["published_at"]),
    )


async def _beside(connection: AsyncConnection, fix: Row, flaw: Row) -> dict[str, Any]:
    """Return what is told of the flaw beside a fix, and is not the fix's own: what everybody who may have the fix may know."""
    marks = [tlp for tlp in telling.MARKS[: telling.MARKS.index(fix["tlp"]) + 1] if tlp != Tlp.red.value]
    table = schema.assessments.c
    opinions = select(schema.assessments.c.doc).where(table.subject == flaw["id"], table.tlp.in_(marks)).order_by(table.at)
    assessed = tuple(Assessment.from_json(doc) for doc in (await connection.execute(opinions)).scalars())
    parts = telling.parts_of(flaw, marks)
    return {
        "tlp": Tlp(fix["tlp"]),
        "embargo_until": None,
        "witnesses": (),
        "assessments": tuple(each.model_copy(update={"organisation": ""}) for each in assessed),
        "fixes": (fix["id"],),
        "first_seen": moment(min([fix["submitted_at"], *(part.first for part in parts)])),
        "updated_at": moment(max([fix["submitted_at"], *(part.at for part in parts)])),
    }


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
    rows = [dict(row) for row in (await connection.execute(query.order_by(table.id).limit(_most(limit) + 1))).mappings()]
    shown = rows[: _most(limit)]
    return Part([lease_record(row) for row in shown], (shown[-1]["id"],) if len(rows) > _most(limit) else None)


async def opt_out_rows(connection: AsyncConnection, after: Sequence[Any] | None, limit: int, now: datetime) -> Part[Row]:
    """Return rows of the opt-outs that hold."""
    table = schema.opt_outs.c
    query = select(schema.opt_outs).where(or_(table.until.is_(None), table.until > micros(now)))
    if after is not None:
        query = query.where(table.project > after[0])
    rows = [dict(row) for row in (await connection.execute(query.order_by(table.project).limit(_most(limit) + 1))).mappings()]
    shown = rows[: _most(limit)]
    return Part(shown, (shown[-1]["project"],) if len(rows) > _most(limit) else None)


async def _by_flaw(
    connection: AsyncConnection, table: Any, ids: Sequence[str], order: Any, where: ColumnElement[bool]
) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in (await connection.execute(select(table).where(table.c.flaw_id.in_(ids), where).order_by(order))).mappings():
        found[row["flaw_id"]].append(dict(row))
    return found


def _most(limit: int) -> int:
    return max(1, min(limit, MOST_PAGE))


def _maybe(stored: int | None) -> datetime | None:
    return None if stored is None else moment(stored)
