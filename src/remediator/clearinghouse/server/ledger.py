"""The ledger, read: the signed head, entries and proofs. Entries tell nothing without their opening, so any token will do."""

from __future__ import annotations

from aiohttp import web

from remediator.clearinghouse.server.answering import number, paged, said
from remediator.clearinghouse.server.asked import Asked, Desk
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import MOST_PAGE, Problem

_BIGGEST = 2**53


async def head(request: web.Request, desk: Desk) -> web.Response:
    """Tell the signed head."""
    return said(request, await desk.store.head(), public=True)


async def entries(asked: Asked) -> web.Response:
    """List entries from an index on; what was hashed is the canonical JSON of each."""
    start = number(asked.request, "start", 0, 0, _BIGGEST)
    limit = number(asked.request, "limit", MOST_PAGE, 1, MOST_PAGE)
    found = await asked.store.ledger_entries(start, limit)
    return paged(asked.request, found, str(found[-1].index + 1) if len(found) == limit else "")


async def inclusion(asked: Asked) -> web.Response:
    """Give the path that proves an entry to be in the tree of a size."""
    size = await _size(asked, "size")
    index = number(asked.request, "index", -1, 0, size - 1) if size else -1
    if index < 0:
        raise RefusedError(Problem.bad_request, "index is needed, and below the size")
    return said(asked.request, {"index": index, "size": size, "path": await asked.store.inclusion(index, size)})


async def consistency(asked: Asked) -> web.Response:
    """Give the path that proves the second tree to begin with the first."""
    second = await _size(asked, "second")
    first = number(asked.request, "first", -1, 0, second)
    if first < 0:
        raise RefusedError(Problem.bad_request, "first is needed")
    path = await asked.store.consistency(first, second) if first else []
    return said(asked.request, {"first": first, "second": second, "path": path})


async def _size(asked: Asked, name: str) -> int:
    present = (await asked.store.head()).head.size
    return number(asked.request, name, present, 0, present)
