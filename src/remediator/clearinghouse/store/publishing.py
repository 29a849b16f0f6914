"""What is let out, when, and to whom."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.calls import Caller
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.store.telling import tell
from remediator.clearinghouse.wire.identity import about
from remediator.clearinghouse.wire.terms import FixState
from remediator.records.record import digest_of

OUT = (FixState.verified.value, FixState.superseded.value, FixState.revoked.value)
"""The states of a fix that others than its submitter may see, once no embargo holds."""


def is_visible(batch: Batch, caller: Caller, flaw: Row, fix: Row | None = None) -> bool:
    """Return whether the caller may see a flaw, or a fix of it: each fix is seen under its own mark.

    Under embargo each witness sees what it reported itself: a report made on a guess must not open what others know.
    """
    if caller.is_admin:
        return True
    if fix is not None:
        own = fix["organisation"] == caller.organisation
        return own or (fix["published_at"] is not None and fix["tlp"] in caller.tlps and fix["state"] in OUT)
    return _released(caller, flaw) or caller.organisation in batch.witnesses[flaw["id"]]


def _released(caller: Caller, flaw: Row) -> bool:
    return not flaw["embargoed"] and flaw["tlp"] in caller.tlps


def aliases_of(fix: Row) -> str:
    """Return the names of what a fix is for, as JSON: those that were checked with it, not whatever others joined to the flaw."""
    return json.dumps(json.loads(fix["flaw_doc"])["aliases"])


async def publish_fix(batch: Batch, flaw: Row, fix: Row) -> None:
    """Let out a verified fix under its own mark, unless the flaw's embargo or its own holds: then it is let out when that ends."""
    if flaw["embargoed"] or fix["published_at"] is not None or (fix["held_until"] or 0) > micros(batch.due):
        return
    await batch.change_fix(fix, published_at=batch.at, held_until=None)
    tell(batch, flaw, fix["tlp"], json.loads(fix["flaw_doc"]))
    value: dict[str, Any] = {
        "fix": fix["id"],
        "flaw": flaw["id"],
        "level": fix["level"],
        "bundle": fix["bundle"],
        "patch_id": fix["patch_id"],
        "patch": digest_of(fix["patch"].encode("utf-8", "surrogateescape")),
        "about": about(json.loads(fix["flaw_doc"]), fix["fixed_version"]),
    }
    index = batch.record("published", fix["id"], value)
    await batch.publish("published", fix, flaw, aliases_of(fix), index)


async def release_flaw(batch: Batch, flaw: Row, why: str) -> int:
    """End a flaw's embargo, and let out the fixes that waited for it."""
    flaw["embargoed"], flaw["lifted_at"] = 0, batch.at
    batch.touch(flaw)
    index = batch.record("lifted", flaw["id"], {"flaw": flaw["id"], "why": why})
    await batch.flush()
    where = (schema.fixes.c.flaw_id == flaw["id"], schema.fixes.c.state == FixState.verified.value)
    for row in [dict(each) for each in (await batch.connection.execute(select(schema.fixes).where(*where))).mappings()]:
        batch.fixes[row["id"]] = row
        await publish_fix(batch, flaw, row)
    return index


async def unhold(batch: Batch, flaw: Row, organisation: str | None) -> list[Row]:
    """Take back what an organisation (None: everybody) asked for its own fixes of a flaw; return those that are proven and not out."""
    await batch.flush()
    table = schema.fixes.c
    where = [table.flaw_id == flaw["id"], table.held_until.is_not(None)]
    if organisation is not None:
        where.append(table.organisation == organisation)
    rows = [dict(each) for each in (await batch.connection.execute(select(schema.fixes).where(*where))).mappings()]
    for row in rows:
        batch.fixes[row["id"]] = row
        row["held_until"] = None
        await batch.change(schema.fixes, {"id": row["id"]}, held_until=None)
    return [row for row in rows if row["state"] == FixState.verified and row["published_at"] is None]


async def release_due(batch: Batch, most: int) -> int:
    """Let out the fixes whose own embargo ended, where no other holds their flaw; return how many."""
    table = schema.fixes.c
    query = select(schema.fixes).where(table.held_until <= micros(batch.due)).order_by(table.held_until).limit(most)
    rows = [dict(each) for each in (await batch.connection.execute(query)).mappings()]
    await batch.fetch_flaws({row["flaw_id"] for row in rows})
    done = 0
    for row in rows:
        batch.fixes[row["id"]] = row
        row["held_until"] = None
        await batch.change(schema.fixes, {"id": row["id"]}, held_until=None)
        flaw = batch.flaw(row["flaw_id"])
        if flaw is not None and row["state"] == FixState.verified:
            await publish_fix(batch, flaw, row)
            done += row["published_at"] == batch.at
    return done
