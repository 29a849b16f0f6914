"""Logging in, by an API token or a link that works once, and logging out."""

from __future__ import annotations

import re
import secrets
from typing import Any

from aiohttp import web

from remediator.clearinghouse.pages.visiting import SESSION_SECONDS, House, Visit, cookie, fields, form_token, keep, one, page, to
from remediator.clearinghouse.server.access import address_of
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem

SESSION = "clearinghouse-session"
_ENTRY = "clearinghouse-entry"
"""Ties the form to the browser that it was shown to, so that no other site can log somebody in as somebody else."""
_ENTRY_SECONDS = 3600
_LINK = re.compile(r"[A-Za-z0-9_-]{20,100}\Z")


async def login_page(request: web.Request, house: House) -> web.Response:
    """Show the form for a token."""
    return _form(request, house, "login.html", told="")


async def link_page(request: web.Request, house: House) -> web.Response:
    """Show a button for the link: opening it alone uses nothing up, as the scanners of mail programs open links too."""
    secret = request.match_info["secret"]
    if not _LINK.match(secret):
        return _form(request, house, "login.html", status=404, told="This is no whole link: copy all of it, or ask for a new one.")
    return _form(request, house, "link.html", secret=secret)


async def login(request: web.Request, house: House) -> web.Response:
    """Begin a session for a token."""
    address = address_of(request, house.config)
    house.refused.check(address)
    token = one(await fields(request, cookie(request, _ENTRY)), "token", 200)
    try:
        caller = await house.store.authenticate(token)
    except RefusedError as error:
        if error.code is not Problem.unauthorised:
            raise
        house.refused.take(address)
        return _form(request, house, "login.html", status=401, told="This token is not known, or not any more.")
    return await _begun(request, house, await house.store.begin_session(caller))


async def redeem(request: web.Request, house: House) -> web.Response:
    """Begin a session for a link, which is used up."""
    address = address_of(request, house.config)
    house.refused.check(address)
    secret = one(await fields(request, cookie(request, _ENTRY)), "secret", 200)
    try:
        session = await house.store.redeem(secret)
    except RefusedError as error:
        if error.code is not Problem.unauthorised:
            raise
        house.refused.take(address)
        return _form(request, house, "login.html", status=401, told="This link was used already, or is too old. Ask for a new one.")
    return await _begun(request, house, session)


async def logout(visit: Visit) -> web.Response:
    """End the session, here and in the browser."""
    await fields(visit.request, visit.secret)
    await visit.store.end_session(visit.secret)
    response = to("/login")
    keep(visit.request, response, SESSION, "", 0)
    return response


async def _begun(request: web.Request, house: House, session: str) -> web.Response:
    if before := cookie(request, SESSION):
        await house.store.end_session(before)
    response = to("/")
    keep(request, response, SESSION, session, SESSION_SECONDS)
    keep(request, response, _ENTRY, "", 0)
    return response


def _form(request: web.Request, house: House, template: str, *, status: int = 200, **values: Any) -> web.Response:
    entry = cookie(request, _ENTRY) or secrets.token_urlsafe(32)
    response = page(house, template, status=status, csrf=form_token(entry), **values)
    keep(request, response, _ENTRY, entry, _ENTRY_SECONDS)
    return response
