"""What is let out, when, and to whom."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.calls import Caller
from remediator.clearinghouse.wire.terms import FixState
from remediator.records.record import digest_of

OUT = (FixState.verified.value, FixState.superseded.value, FixState.revoked.value)
"""The states of a fix that others than its submitter may see, once no embargo holds."""


def is_visible(batch: Batch, caller: Caller, flaw: Row, fix: Row | None = None) -> bool:
    """Return whether the caller may see a flaw, or a fix of it.

    Under embargo each witness sees what it reported itself: a report made on a guess must not open what others know.
    """
    if caller.is_admin:
        return True
    if fix is not None:
        own = fix["organisation"] == caller.organisation
        return own or (_released(caller, flaw) and fix["state"] in OUT and fix["published_at"] is not None)
    return _released(caller, flaw) or caller.organisation in batch.witnesses[flaw["id"]]


def _released(caller: Caller, flaw: Row) -> bool:
    return not flaw["embargoed"] and flaw["tlp"] in caller.tlps


def aliases_of(fix: Row) -> str:
    """Return the names of what a fix is for, as JSON: those that were checked with it, not whatever others joined to the flaw."""
    return json.dumps(json.loads(fix["flaw_doc"])["aliases"])


async def publish_fix(batch: Batch, flaw: Row, fix: Row) -> None:
    """Let out a verified fix, unless an embargo holds: then it is let out when that ends."""
    if flaw["embargoed"] or fix["published_at"] is not None:
        return
    await batch.change_fix(fix, published_at=batch.at)
    value: dict[str, Any] = {
        "fix": fix["id"],
        "flaw": flaw["id"],
        "level": fix["level"],
        "bundle": fix["bundle"],
        "patch_id": fix["patch_id"],
        "patch": digest_of(fix["patch"].encode("utf-8", "surrogateescape")),
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
