"""The ledger, the leases, and the projects that want no scans."""

from __future__ import annotations

from aiohttp import web

from remediator.clearinghouse.pages.visiting import Visit, fields, one, to
from remediator.clearinghouse.server.answering import number, page_of

_MOST = 50
_BIGGEST = 2**63 - 1


async def ledger(visit: Visit) -> web.Response:
    """Show the signed head, and entries, the newest first."""
    head = await visit.store.head()
    before = min(number(visit.request, "before", head.head.size, 0, _BIGGEST), head.head.size)
    start = max(0, before - _MOST)
    entries = await visit.store.ledger_entries(start, before - start) if before > start else []
    return visit.page("ledger.html", signed=head, entries=list(reversed(entries)), older=start, key=visit.store.ledger_key.public.line())


async def leases(visit: Visit) -> web.Response:
    """Show who scans what."""
    cursor, limit = page_of(visit.request)
    found = await visit.store.leases(visit.caller, cursor=cursor, limit=limit)
    return visit.page("leases.html", leases=found.items, following={"cursor": found.next} if found.next else None)


async def opt_outs(visit: Visit) -> web.Response:
    """Show who wants no scans, and to admins who said so."""
    cursor, limit = page_of(visit.request)
    found = await visit.store.opt_outs(visit.caller, cursor, limit)
    return visit.page("opt_outs.html", opt_outs=found.items, following={"cursor": found.next} if found.next else None)


async def overrule(visit: Visit) -> web.Response:
    """Withdraw an opt-out on the operator's word."""
    form = await fields(visit.request, visit.secret)
    visit.needs_admin()
    await visit.store.overrule(one(form, "project"))
    return to("/opt-outs")
