"""The queue, a flaw, and a fix with its diff and how far it is proven."""

from __future__ import annotations

import re

from aiohttp import web

from remediator.clearinghouse.pages.visiting import Visit
from remediator.clearinghouse.server.answering import page_of
from remediator.clearinghouse.server.problems import not_found
from remediator.clearinghouse.wire.answers import Published
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_ORDERS = ("priority", "time")


async def queue(visit: Visit) -> web.Response:
    """Show the flaws, the most urgent first."""
    cursor, limit = page_of(visit.request)
    order = visit.request.query.get("order", "priority")
    asked = {name: visit.request.query.get(name, "").strip()[:500] for name in ("project", "alias")}
    wanted = {name: value for name, value in asked.items() if value}
    found = await visit.store.flaws(visit.caller, cursor=cursor, limit=limit, order=order if order in _ORDERS else "priority", **wanted)
    following = {**wanted, "order": order, "cursor": found.next} if found.next else None
    return visit.page("queue.html", flaws=found.items, asked=asked, order=order, following=following)


async def flaw(visit: Visit) -> web.Response:
    """Show a flaw with who reported it and what was handed in against it."""
    found = await visit.store.flaw(visit.caller, _id(visit))
    fixes = (await visit.store.fixes(visit.caller, flaw=found.id, limit=200)).items
    places = {name: place for place, name in enumerate(found.fixes)}
    fixes.sort(key=lambda each: places.get(each.id, len(places)))
    return visit.page("flaw.html", flaw=found, fixes=fixes, openings=await visit.store.openings(visit.caller, found.id))


async def fix(visit: Visit) -> web.Response:
    """Show a fix: the diff only where it is distributed, and then from the bundle that was checked."""
    found = await visit.store.fix(visit.caller, _id(visit))
    out = await _published(visit, found.id)
    openings = await visit.store.openings(visit.caller, found.id)
    return visit.page("fix.html", fix=found, published=out, openings=openings, pulls=visit.pulls)


async def patch(visit: Visit) -> web.Response:
    """Give a fix's diff as a file."""
    out = await _published(visit, _id(visit))
    if out is None:
        raise not_found()
    headers = {
        "Content-Disposition": f'attachment; filename="{out.fix.id}.diff"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return web.Response(body=out.patch.encode("utf-8", "surrogateescape"), content_type="text/x-diff", charset="utf-8", headers=headers)


async def _published(visit: Visit, fix_id: str) -> Published | None:
    if not visit.pulls:
        return None
    try:
        return await visit.store.published(visit.caller, fix_id)
    except RefusedError as error:
        if error.code is Problem.not_found:
            return None
        raise


def _id(visit: Visit) -> str:
    text = visit.request.match_info["id"]
    if not _ID.match(text):
        raise not_found()
    return text
