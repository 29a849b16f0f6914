"""The bundles that are kept: how much of one organisation, and what becomes of those that no fix names.

A blob has a row for each organisation that brought it, and one file. Rows are changed and files removed by the writer only, which is alone:
a fix that is being submitted either finds its blob, and keeps it, or is told to bring it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import delete, select, tuple_, update

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch
from remediator.clearinghouse.store.blobs import BlobStore
from remediator.clearinghouse.store.calls import Caller
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import UNNAMED_BLOB_SECONDS, Problem

QUOTA_BYTES = 20 * 1024**3
"""Of one organisation, unless the operator says otherwise."""
_AT_ONCE = 500
_RETRY_SECONDS = 3600


class Place(NamedTuple):
    """How far the search for blobs that no fix names has come."""

    at: int
    digest: str
    organisation: str


async def keep(batch: Batch, blobs: BlobStore, caller: Caller, digest: str, size: int, quota: int) -> bool:
    """Note a blob whose file is there; return whether it is new of this organisation.

    Raises RefusedError: too-many-requests, unavailable.
    """
    mine = {"digest": digest, "organisation": caller.organisation}
    if not blobs.path(digest).is_file():
        # It was taken for an old one that nobody wants, between its arrival and now.
        raise RefusedError(Problem.unavailable, "the bundle could not be kept", hint="send it again", retry_after_seconds=1)
    if await batch.change(schema.blobs, mine, at=batch.at):
        return False
    people = schema.organisations.c
    room = update(schema.organisations).where(people.id == caller.organisation, people.blob_bytes + size <= quota)
    if not (await batch.connection.execute(room.values(blob_bytes=people.blob_bytes + size))).rowcount:
        raise full()
    batch.insert(schema.blobs, {**mine, "bytes": size, "at": batch.at})
    return True


def full() -> RefusedError:
    """Return what an organisation is told whose bundles take all the room that it has."""
    return RefusedError(
        Problem.too_many,
        "your organisation's bundles take all the room that it has here",
        hint="what no fix names is removed in time; else ask the clearinghouse's operator for more",
        retry_after_seconds=_RETRY_SECONDS,
    )


async def forget(batch: Batch, after: Place | None) -> Place | None:
    """Take away some blobs' rows that no fix named in time; return where to go on, None at the end."""
    await batch.flush()
    table = schema.blobs.c
    until = micros(batch.due - timedelta(seconds=UNNAMED_BLOB_SECONDS))
    query = select(schema.blobs).where(table.at < until)
    if after is not None:
        query = query.where(tuple_(table.at, table.digest, table.organisation) > tuple_(*after))
    query = query.order_by(table.at, table.digest, table.organisation).limit(_AT_ONCE)
    rows = (await batch.connection.execute(query)).all()
    fixes = schema.fixes.c
    named = select(fixes.bundle, fixes.organisation).where(fixes.bundle.in_({row.digest for row in rows}))
    kept = {(bundle, organisation) for bundle, organisation in await batch.connection.execute(named)}
    for row in rows:
        if (row.digest, row.organisation) in kept:
            continue
        await batch.connection.execute(delete(schema.blobs).where(table.digest == row.digest, table.organisation == row.organisation))
        people = schema.organisations.c
        less = update(schema.organisations).where(people.id == row.organisation).values(blob_bytes=people.blob_bytes - row.bytes)
        await batch.connection.execute(less)
        left = select(table.digest).where(table.digest == row.digest).limit(1)
        if (await batch.connection.execute(left)).scalar() is None and await batch.one(schema.discarded, digest=row.digest) is None:
            batch.insert(schema.discarded, {"digest": row.digest})
        # A fix in this very transaction must not name what it was told of before.
        batch.blobs.pop((row.digest, row.organisation), None)
    return Place(rows[-1].at, rows[-1].digest, rows[-1].organisation) if len(rows) == _AT_ONCE else None


async def discard(batch: Batch, blobs: BlobStore) -> int:
    """Remove files whose last row was taken away; return how many.

    No file is removed for having no row: with another database beside the same folder that would be all of them.
    """
    await batch.flush()
    table = schema.discarded.c
    digests = list((await batch.connection.execute(select(table.digest).order_by(table.digest).limit(_AT_ONCE))).scalars())
    done = await remove(batch, blobs, digests)
    await batch.connection.execute(delete(schema.discarded).where(table.digest.in_(digests)))
    return done


async def remove(batch: Batch, blobs: BlobStore, digests: Sequence[str]) -> int:
    """Remove files that nobody's row names; return how many."""
    table = schema.blobs.c
    known = set((await batch.connection.execute(select(table.digest).where(table.digest.in_(digests)).distinct())).scalars())
    fresh = [blobs.path(each) for each in digests if each not in known]
    for path in fresh:
        path.unlink(missing_ok=True)
    return len(fresh)
