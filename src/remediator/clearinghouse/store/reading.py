"""What may be read, by whom: embargo and TLP stand in the query, so that nothing is fetched that is then to be left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clearinghouse.store import schema, telling
from remediator.clearinghouse.store.batch import Row
from remediator.clearinghouse.store.calls import Caller
from remediator.clearinghouse.store.leasing import spelled
from remediator.clearinghouse.store.paging import Condition, Way, first_rows, fitting, size_of
from remediator.clearinghouse.store.publishing import OUT
from remediator.clearinghouse.store.schema import micros, moment
from remediator.clearinghouse.wire.answers import Assessment, Flaw, Priority, Witness
from remediator.clearinghouse.wire.terms import MOST_PAGE, FixState, Tlp

T = TypeVar("T")
_FEW = 5_000
"""So many reports of one's own are sorted sooner than they are met with on the way along everybody's."""


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


async def _ways(connection: AsyncConnection, caller: Caller) -> list[Way]:
    """Return the ways in which the caller may see flaws: `flaw_is_visible`, part by part."""
    table, seen = schema.flaws.c, schema.witnesses.c
    if caller.is_admin:
        return [Way(and_(table.embargoed == held, table.tlp == tlp.value)) for held in (0, 1) for tlp in Tlp]
    own = select(seen.flaw_id).where(seen.organisation == caller.organisation)
    count = select(func.count()).select_from(own.limit(_FEW + 1).subquery())
    few = (await connection.execute(count)).scalar_one() <= _FEW
    return [*(Way(and_(table.embargoed == 0, table.tlp == tlp)) for tlp in caller.tlps), Way(table.id.in_(own), few)]


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
    table, column = schema.flaws.c, "rank" if order == "priority" else "updated_at"
    also: list[Condition] = [table.id.in_(ids) if ids else table.merged_into == ""]
    if project is not None:
        also.append(table.project == spelled(project))
    if alias is not None:
        also.append(table.id.in_(select(schema.aliases.c.flaw_id).where(schema.aliases.c.alias == alias.upper()[:100])))
    if after is not None:
        also.append(tuple_(table[column], table.id) > tuple_(*after))
    if ids or project is not None or alias is not None:
        # They are few anyway: each of them is looked at.
        query = select(schema.flaws).where(flaw_is_visible(caller), *also).order_by(table[column], table.id).limit(most(limit) + 1)
    else:
        query = first_rows(schema.flaws, "id", (column, "id"), await _ways(connection, caller), also, most(limit) + 1)
    if ids:
        return Part([dict(row) for row in (await connection.execute(query)).mappings()], None)
    # First how long they are: only what fits on a page is brought here.
    found = (await connection.execute(query.with_only_columns(table.id, size_of(connection, table.doc)))).all()
    own = await _own_sizes(connection, caller, [flaw_id for flaw_id, _ in found])
    shown = [flaw_id for flaw_id, _ in found[: most(limit)]]
    shown = shown[: fitting([size + own.get(flaw_id, 0) for flaw_id, size in found[: most(limit)]])]
    query = select(schema.flaws).where(table.id.in_(shown)).order_by(table[column], table.id)
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    return Part(rows, place_of(rows[-1], order) if len(found) > len(rows) else None)


async def _own_sizes(connection: AsyncConnection, caller: Caller, ids: Sequence[str]) -> dict[str, int]:
    """Return how long the caller's own reports of each flaw are together: they are read with it."""
    table = schema.witnesses.c
    query = select(table.flaw_id, func.sum(size_of(connection, table.doc))).group_by(table.flaw_id)
    query = query.where(table.flaw_id.in_(ids), table.organisation == caller.organisation)
    return {flaw_id: int(size) for flaw_id, size in await connection.execute(query)}


def place_of(flaw: Row, order: str) -> tuple[int, str]:
    """Return where a flaw stands in a list."""
    return flaw["rank" if order == "priority" else "updated_at"], flaw["id"]


async def flaw_page(
    connection: AsyncConnection, caller: Caller, ranker: Ranker, now: datetime, *, after: Sequence[Any] | None, limit: int, **wanted: Any
) -> Part[Flaw]:
    """Return flaws as the wire has them, each with what this caller may see of it."""
    alias, order, found = wanted.get("alias"), wanted.get("order", "priority"), []
    while True:
        # Of those with a name few may be left: looked for by the page, not one by one.
        rows = await flaw_rows(connection, caller, after=after, limit=limit if alias is None else MOST_PAGE, **wanted)
        records = await flaw_records(connection, caller, rows.items, ranker, now)
        if alias is None:
            return Part(records, rows.last)
        # A name that only others gave it, in confidence, finds nothing; nor is there a page after the last that has something.
        named = (alias.upper() in (name.upper() for name in each.aliases) for each in records)
        found += [pair for pair, is_named in zip(zip(rows.items, records, strict=True), named, strict=True) if is_named]
        if len(found) > most(limit) or (after := rows.last) is None:
            shown = found[: most(limit)]
            return Part([record for _, record in shown], place_of(shown[-1][0], order) if len(found) > len(shown) else None)


async def flaw_records(connection: AsyncConnection, caller: Caller, rows: Sequence[Row], ranker: Ranker, now: datetime) -> list[Flaw]:
    """Return the rows as the wire has them, each with what this caller may see of it."""
    ids = [row["id"] for row in rows]
    # Only what the caller may see of it is fetched: a flaw can have been reported a thousand times, by somebody else.
    seen = await _witnesses(connection, caller, ids)
    fixes = defaultdict(list)
    # Not what they say and mend: of each only its id is told, and there can be many.
    order = [schema.fixes.c[name] for name in ("id", "flaw_id", "state", "level", "lines_changed", "submitted_at")]
    for row in (await connection.execute(select(*order).where(schema.fixes.c.flaw_id.in_(ids), fix_is_visible(caller)))).mappings():
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


CHECKED = ("version", "commit", "path", "line", "severity", "title", "details", "automatable", "technical_impact_total")
"""The fields of a flaw that are checked with a fix of it, beside its lists."""


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
        **{name: doc[name] for name in CHECKED if name != "line"} | lists,
    )


def as_told_to_most(row: Row, ranker: Ranker) -> Flaw:
    """Return a flaw as the widest circle of its readers is told of it: what orders the queue must not tell more."""
    told = _told(row, telling.together(telling.parts_of(row, (row["tlp"],))))
    return told.model_copy(update={"priority": ranker.priority(told)})


def _latest(mine: Sequence[Row]) -> int | None:
    return max((each["embargo_until"] for each in mine if each["embargo_until"] is not None), default=None)


def _best_first(row: Row) -> tuple[Any, ...]:
    """Order competing fixes: proven ones first, then by level, size and time."""
    proven = row["state"] == FixState.verified.value
    return (not proven, -(row["level"] if row["level"] is not None else -1), row["lines_changed"], row["submitted_at"], row["id"])


async def _witnesses(connection: AsyncConnection, caller: Caller, ids: Sequence[str]) -> dict[str, list[Row]]:
    """Return the witnesses of flaws that the caller may see; in what words, of its own only."""
    found: dict[str, list[Row]] = defaultdict(list)
    table = schema.witnesses.c
    own = table.organisation == caller.organisation
    wanted = [case((own, table.doc), else_="").label("doc"), *(column for column in table if column.name != "doc")]
    query = select(*wanted).where(table.flaw_id.in_(ids), true() if caller.is_admin else own).order_by(table.at)
    for row in (await connection.execute(query)).mappings():
        found[row["flaw_id"]].append(dict(row))
    return found


def most(limit: int) -> int:
    """Return how many entries a page has at most."""
    return max(1, min(limit, MOST_PAGE))


def _maybe(stored: int | None) -> datetime | None:
    return None if stored is None else moment(stored)
