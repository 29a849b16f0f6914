"""What can be read: records, lists and exports. What the caller may see is decided in the store's queries, never here."""

from __future__ import annotations

import asyncio
from datetime import datetime
from importlib import import_module

from aiohttp import web

from remediator.clearinghouse.server.access import check_scope
from remediator.clearinghouse.server.answering import page_of, paged, said, tagged
from remediator.clearinghouse.server.asked import Asked
from remediator.clearinghouse.server.problems import not_found
from remediator.clearinghouse.wire.answers import Published
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import FixState, Problem, Scope
from remediator.records.record import canonical_json

EXPORTS = {
    "osv": "application/json",
    "csaf": "application/json",
    "openvex": "application/json",
    "cyclonedx": "application/vnd.cyclonedx+json",
}
MAIL_TYPE = "application/mbox"
BUNDLE_TYPE = "application/vnd.remediator.bundle+zstd"
_LONGEST_FILTER = 500


async def flaws(asked: Asked) -> web.Response:
    """List the flaws that the caller may see, oldest change first, or as a queue."""
    cursor, limit = page_of(asked.request)
    order = asked.request.query.get("order", "time")
    if order not in ("time", "priority"):
        raise RefusedError(Problem.bad_request, "order is time or priority")
    page = await asked.store.flaws(
        asked.caller,
        cursor=cursor,
        limit=limit,
        project=_filter(asked, "project"),
        alias=_filter(asked, "alias"),
        order=order,
    )
    return paged(asked.request, page.items, page.next)


async def flaw(asked: Asked) -> web.Response:
    """Tell one flaw."""
    return said(asked.request, await asked.store.flaw(asked.caller, asked.id()))


async def fixes(asked: Asked) -> web.Response:
    """List the fixes that the caller may see."""
    cursor, limit = page_of(asked.request)
    page = await asked.store.fixes(asked.caller, cursor=cursor, limit=limit, state=_state(asked), flaw=_filter(asked, "flaw"))
    return paged(asked.request, page.items, page.next)


async def fix(asked: Asked) -> web.Response:
    """Tell one fix."""
    return said(asked.request, await asked.store.fix(asked.caller, asked.id()))


async def openings(asked: Asked) -> web.Response:
    """Tell what opens the ledger's entries about one object."""
    found = await asked.store.openings(asked.caller, asked.id())
    return paged(asked.request, found, "")


async def published(asked: Asked) -> web.Response:
    """Tell a verified fix with its flaw and patch."""
    return said(asked.request, await asked.store.published(asked.caller, asked.id()))


async def patch(asked: Asked) -> web.Response:
    """Give the unified diff of a verified fix. Raises RefusedError (state-conflict) for one that was withdrawn."""
    found = _standing(await asked.store.published(asked.caller, asked.id()))
    body = found.patch.encode("utf-8", "surrogateescape")
    return tagged(asked.request, body, "text/x-diff", name=f"{found.fix.id}.diff")


async def mail(asked: Asked) -> web.Response:
    """Give a verified fix as a mail that `git am` takes. Raises RefusedError (state-conflict) for one that was withdrawn."""
    from remediator.clearinghouse.exports.mail import mailed

    found = _standing(await asked.store.published(asked.caller, asked.id()))
    return tagged(asked.request, await asyncio.to_thread(mailed, found), MAIL_TYPE, name=f"{found.fix.id}.mbox")


def _standing(found: Published) -> Published:
    # The exports tell that it was withdrawn; a bare patch cannot, and would be applied.
    if found.fix.state is not FixState.verified:
        raise RefusedError(Problem.state_conflict, f"the fix was {found.fix.state}", hint="see it published for its state and reason")
    return found


async def export(asked: Asked) -> web.Response:
    """Give a verified fix in one of the standard formats."""
    kind = asked.request.path.rsplit("/", 1)[-1]
    found = await asked.store.published(asked.caller, asked.id())
    body = await asyncio.to_thread(_document, kind, found, asked.desk.config.publisher)
    return tagged(asked.request, body, EXPORTS[kind], name=f"{found.fix.id}.{kind}.json")


def _document(kind: str, found: Published, publisher: str) -> bytes:
    made = import_module(f"remediator.clearinghouse.exports.{kind}").document(found, publisher=publisher, at=_changed_at(found))
    return canonical_json(made)


def _changed_at(found: Published) -> datetime:
    # Not the time of asking: the same record must give the same bytes, or no ETag would ever hold.
    return max(found.fix.updated_at, found.flaw.updated_at, found.published_at)


async def bundle(asked: Asked) -> web.StreamResponse:
    """Give the evidence bundle of a fix as it was handed over."""
    request = asked.request
    found = await asked.store.fix(asked.caller, asked.id())
    if not found.organisation:
        # Another's: a bundle has the patch in it, and is distributed to whom that is.
        check_scope(asked.caller, frozenset((Scope.pull,)))
    tag = f'"{found.bundle.removeprefix("sha256:")[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if any(f'"{each.value}"' == tag for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    pieces = await asked.store.open_blob(asked.caller, found.id)
    # Before the head is out a lost file can still be told as what it is.
    first = await anext(pieces, b"")
    headers |= {"Content-Disposition": f'attachment; filename="{found.id}.tar.zst"', "Content-Length": str(found.bundle_bytes)}
    answer = web.StreamResponse(headers=headers)
    answer.content_type = BUNDLE_TYPE
    await answer.prepare(request)
    # A reader who stands still is cut by the guard of connections.
    await answer.write(first)
    async for piece in pieces:
        await answer.write(piece)
    await answer.write_eof()
    return answer


async def status(asked: Asked) -> web.Response:
    """Tell how far something came: a fix by its id or submission id, a finding, a flaw."""
    return said(asked.request, await asked.store.status(asked.caller, asked.id()))


async def leases(asked: Asked) -> web.Response:
    """List the leases that hold."""
    cursor, limit = page_of(asked.request)
    page = await asked.store.leases(asked.caller, project=_filter(asked, "project"), cursor=cursor, limit=limit)
    return paged(asked.request, page.items, page.next)


async def opt_outs(asked: Asked) -> web.Response:
    """List the projects whose maintainers want no scans."""
    cursor, limit = page_of(asked.request)
    page = await asked.store.opt_outs(asked.caller, cursor, limit)
    return paged(asked.request, page.items, page.next)


async def epoch(asked: Asked) -> web.Response:
    """Tell the key of the claim-check's present epoch."""
    return said(asked.request, await asked.store.epoch(asked.caller))


async def me(asked: Asked) -> web.Response:
    """Tell the caller who it is here."""
    mine = await asked.store.organisation(asked.caller.organisation)
    if mine is None:
        raise not_found()
    return said(asked.request, {"organisation": mine.as_json(), "scopes": sorted(asked.caller.scopes), "token_id": asked.caller.token_id})


def _filter(asked: Asked, name: str) -> str | None:
    text = asked.request.query.get(name)
    if text is not None and not (0 < len(text) <= _LONGEST_FILTER and text.isprintable()):
        raise RefusedError(Problem.bad_request, f"{name} is a text of 1 to {_LONGEST_FILTER} characters")
    return text


def _state(asked: Asked) -> FixState | None:
    text = asked.request.query.get("state")
    if text is None:
        return None
    if text not in list(FixState):
        raise RefusedError(Problem.bad_request, f"state is one of {', '.join(FixState)}")
    return FixState(text)
