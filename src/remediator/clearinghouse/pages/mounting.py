"""Puts the pages into an application: which address is which page, and what becomes of an error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import structlog
from aiohttp import web

from remediator.clearinghouse.pages import entering, flaws, people, records
from remediator.clearinghouse.pages.showing import environment
from remediator.clearinghouse.pages.visiting import House, Visit, cookie, form_token, page, to
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.log import CALLER
from remediator.clearinghouse.server.problems import PROBLEM
from remediator.clearinghouse.server.rates import Buckets
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem
from remediator.errors import RemediatorError, UsageError

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store

_log = structlog.get_logger()
_Open = Callable[[web.Request, House], Awaitable[web.Response]]
_Known = Callable[[Visit], Awaitable[web.Response]]


class Place(NamedTuple):
    """One address. `to_all` needs no session, `handler` does."""

    method: str
    path: str
    handler: _Known | None = None
    to_all: _Open | None = None


PLACES = (
    Place("GET", "/login", to_all=entering.login_page),
    Place("POST", "/login", to_all=entering.login),
    Place("GET", "/login/{secret}", to_all=entering.link_page),
    Place("POST", "/login/link", to_all=entering.redeem),
    Place("POST", "/logout", entering.logout),
    Place("GET", "/", flaws.queue),
    Place("GET", "/flaws/{id}", flaws.flaw),
    Place("GET", "/fixes/{id}", flaws.fix),
    Place("GET", "/fixes/{id}/patch", flaws.patch),
    Place("GET", "/ledger", records.ledger),
    Place("GET", "/leases", records.leases),
    Place("GET", "/opt-outs", records.opt_outs),
    Place("POST", "/opt-outs/withdraw", records.overrule),
    Place("GET", "/organisations", people.organisations),
    Place("POST", "/organisations", people.add_organisation),
    Place("POST", "/organisations/disable", people.disable_organisation),
    Place("POST", "/organisations/link", people.login_link),
    Place("GET", "/tokens", people.tokens),
    Place("POST", "/tokens", people.create_token),
    Place("POST", "/tokens/revoke", people.revoke_token),
    Place("GET", "/keys", people.keys),
    Place("POST", "/keys", people.add_key),
    Place("POST", "/keys/revoke", people.revoke_key),
)


def mount(app: web.Application, store: Store, config: ServerConfig) -> None:
    """Add the pages to the clearinghouse's application."""
    house = House(
        store=store,
        config=config,
        templates=environment(),
        refused=Buckets(config.refused_tokens_per_minute / 60, config.refused_tokens_per_minute, time.monotonic),
        visits=Buckets(config.requests_per_second, config.requests_burst, time.monotonic),
    )
    for place in PLACES:
        handler = _handler(place, house)
        app.router.add_route(place.method, place.path, handler)
        if place.method == "GET":
            app.router.add_route("HEAD", place.path, handler)
    style = (resources.files(__package__) / "static" / "page.css").read_bytes()

    async def static(request: web.Request) -> web.Response:
        return web.Response(body=style, content_type="text/css", charset="utf-8", headers={"Cache-Control": "public, max-age=3600"})

    app.router.add_get("/static/page.css", static)


def _handler(place: Place, house: House) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        visit: Visit | None = None
        try:
            async with asyncio.timeout(house.config.handler_seconds):
                if place.to_all is not None:
                    return await place.to_all(request, house)
                visit = await _visit(request, house)
                if visit is None:
                    return to("/login")
                assert place.handler is not None
                return await place.handler(visit)
        except Exception as error:
            return _wrong(request, house, visit, error)

    return handle


async def _visit(request: web.Request, house: House) -> Visit | None:
    secret = cookie(request, entering.SESSION)
    if not secret:
        return None
    try:
        caller = await house.store.session(secret)
    except RefusedError as error:
        if error.code is Problem.unauthorised:
            return None
        raise
    house.visits.take(form_token(secret))
    request[CALLER] = caller
    return Visit(request, house, caller, secret)


def _wrong(request: web.Request, house: House, visit: Visit | None, error: Exception) -> web.Response:
    """Return the page about an error. It tells no more than a code and a sentence of ours."""
    refusal, status = _refusal(error)
    request[PROBLEM] = refusal.code
    caller, csrf = (None, "") if visit is None else (visit.caller, form_token(visit.secret))
    response = page(house, "wrong.html", status=status, caller=caller, csrf=csrf, refusal=refusal)
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def _refusal(error: Exception) -> tuple[RefusedError, int]:
    if isinstance(error, RefusedError):
        return error, error.code.status
    if isinstance(error, UsageError):
        # What a form of the admin asked cannot be done: the store's own sentence says why.
        return RefusedError(Problem.bad_request, error.message), 400
    if isinstance(error, web.HTTPException):
        code = Problem.too_large if error.status == 413 else Problem.bad_request
        return RefusedError(code, "the request could not be read"), error.status
    if isinstance(error, TimeoutError):
        return RefusedError(Problem.unavailable, "the clearinghouse took too long", hint="try again"), 503
    # By kind only: the text of an error may hold a secret or what is under embargo.
    _log.error("page_failed", kind=type(error).__name__)
    if isinstance(error, RemediatorError):
        return RefusedError(Problem.unavailable, "the clearinghouse cannot answer now", hint="try again later"), 503
    return RefusedError(Problem.internal, "the clearinghouse made a mistake, and noted it"), 500
