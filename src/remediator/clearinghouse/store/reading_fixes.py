"""What may be read of fixes, by whom: each is let out under its own mark, and told with what was checked with it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clearinghouse.store import schema, telling
from remediator.clearinghouse.store.batch import Row
from remediator.clearinghouse.store.calls import Caller, not_found
from remediator.clearinghouse.store.paging import Condition, Way, first_rows
from remediator.clearinghouse.store.publishing import OUT
from remediator.clearinghouse.store.reading import CHECKED, Part, Ranker, fix_is_visible, flaw_records, flaw_rows, most
from remediator.clearinghouse.store.schema import moment
from remediator.clearinghouse.wire.answers import Assessment, Fix, Published, Validation
from remediator.clearinghouse.wire.terms import FixState, Tlp

_LONG = frozenset(("flaw_doc", "patch"))


async def fix_rows(
    connection: AsyncConnection,
    caller: Caller,
    *,
    ids: Sequence[str] = (),
    after: Sequence[Any] | None = None,
    limit: int = 50,
    state: str | None = None,
    flaw: str | None = None,
    whole: bool = False,
) -> Part[Row]:
    """Return rows of fixes that the caller may see; patches and what they are for, which are long, only where `whole` ones are wanted."""
    table = schema.fixes.c
    also: list[Condition] = []
    if ids:
        also.append(table.id.in_(ids))
    if flaw is not None:
        also.append(table.flaw_id == flaw)
    if after is not None:
        also.append(tuple_(table.updated_at, table.id) > tuple_(*after))
    if ids or flaw is not None:
        # They are few anyway: each of them is looked at.
        also += [fix_is_visible(caller), *([] if state is None else [table.state == state])]
        query = select(schema.fixes).where(*also).order_by(table.updated_at, table.id).limit(most(limit) + 1)
    else:
        query = first_rows(schema.fixes, "id", ("updated_at", "id"), _ways(caller, state), also, most(limit) + 1)
    wanted = list(table) if whole else [column for column in table if column.name not in _LONG]
    rows = [dict(row) for row in (await connection.execute(query.with_only_columns(*wanted))).mappings()]
    more = len(rows) > most(limit)
    rows = rows[: most(limit)]
    return Part(rows, (rows[-1]["updated_at"], rows[-1]["id"]) if more else None)


def _ways(caller: Caller, state: str | None) -> list[Way]:
    """Return the ways in which the caller may see fixes of a state, or of all: `fix_is_visible`, part by part."""
    table, states = schema.fixes.c, tuple(FixState) if state is None else (FixState(state),)
    if caller.is_admin:
        return [Way(table.state == each.value) for each in states]
    out = [
        Way(and_(table.tlp == tlp, table.state == each.value, table.published_at.is_not(None)))
        for tlp in caller.tlps
        for each in states
        if each.value in OUT
    ]
    return [*out, *(Way(and_(table.organisation == caller.organisation, table.state == each.value)) for each in states)]


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
    return {name: doc[name] for name in CHECKED} | lists
