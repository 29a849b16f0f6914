"""Puts the application together, and runs it until it is asked to stop."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from remediator.clearinghouse.server.access import address_of, caller_of, check_body, check_host, check_origin, check_scope
from remediator.clearinghouse.server.answering import carry_headers
from remediator.clearinghouse.server.asked import DESK, Asked, Desk
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.connections import Guard, GuardedHandler, GuardedSite
from remediator.clearinghouse.server.log import CALLER, ROUTE, STARTED, noted, route_of
from remediator.clearinghouse.server.metrics import Metrics
from remediator.clearinghouse.server.problems import answer_of
from remediator.clearinghouse.server.rates import Buckets, Slots
from remediator.clearinghouse.server.routes import ROUTES, Route
from remediator.errors import RemediatorError

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store

GUARD = web.AppKey("guard", Guard)
_log = structlog.get_logger()
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(store: Store, config: ServerConfig) -> web.Application:
    """Return the application over a store that is open."""
    app = web.Application(middlewares=[_observed, _told, _gated], client_max_size=config.envelope_bytes)
    desk = Desk(
        store=store,
        config=config,
        metrics=Metrics(),
        tokens=Buckets(config.requests_per_second, config.requests_burst, time.monotonic),
        addresses=Buckets(config.address_requests_per_second, config.address_requests_burst, time.monotonic),
        refused=Buckets(config.refused_tokens_per_minute / 60, config.refused_tokens_per_minute, time.monotonic),
        uploads=Slots(config.uploads, config.uploads_per_token, "uploads"),
        streams=Slots(config.streams, config.streams_per_token, "streams"),
        stopping=asyncio.Event(),
    )
    app[DESK] = desk
    app[GUARD] = Guard(config, lambda request, answer: noted(desk.metrics, request, answer))
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _handler(route), expect_handler=_expected)
        if route.method == "GET" and not route.lasting:
            app.router.add_route("HEAD", route.path, _handler(route))
    app.on_response_prepare.append(carry_headers)
    app.on_shutdown.append(_stop_streams)
    return app


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        desk = request.app[DESK]
        async with asyncio.timeout(None if route.lasting else desk.config.handler_seconds):
            if route.open_to_all is not None:
                return await route.open_to_all(request, desk)
            assert route.handler is not None
            return await route.handler(await _known(request, desk, route))

    return handle


async def _known(request: web.Request, desk: Desk, route: Route) -> Asked:
    caller = await caller_of(request, desk.store, desk.refused, address_of(request, desk.config))
    request[CALLER] = caller
    desk.tokens.take(caller.token_id)
    check_scope(caller, route.scopes or frozenset())
    return Asked(request, desk, caller)


@web.middleware
async def _observed(request: web.Request, handler: _Next) -> web.StreamResponse:
    request[STARTED] = time.monotonic()
    request[ROUTE] = route_of(request)
    if isinstance(request.protocol, GuardedHandler):
        request.protocol.begun()
    with request.app[DESK].metrics.in_flight.track_inprogress():
        return await handler(request)


@web.middleware
async def _told(request: web.Request, handler: _Next) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:
        # What is under way cannot be answered anew: then only the end of the connection tells that it is not whole.
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already") from error
        return answer_of(request, error)


@web.middleware
async def _gated(request: web.Request, handler: _Next) -> web.StreamResponse:
    desk = request.app[DESK]
    check_host(request, desk.config)
    desk.addresses.take(address_of(request, desk.config))
    check_origin(request)
    check_body(request, _most_bytes(request, desk.config))
    return await handler(request)


def _most_bytes(request: web.Request, config: ServerConfig) -> int:
    return config.blob_bytes if request.method == "PUT" else config.envelope_bytes


async def _expected(request: web.Request) -> web.StreamResponse | None:
    """Let a client that asks first send its body only where it would be read."""
    desk = request.app[DESK]
    try:
        check_host(request, desk.config)
        check_body(request, _most_bytes(request, desk.config))
        await caller_of(request, desk.store, desk.refused, address_of(request, desk.config))
    except RemediatorError as error:
        return answer_of(request, error)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # What was written is no part of the answer; aiohttp counts it, and would take the answer for begun.
    request.writer.output_size = 0
    return None


async def _stop_streams(app: web.Application) -> None:
    app[DESK].stopping.set()


async def _clockwork(app: web.Application) -> None:
    desk, guard = app[DESK], app[GUARD]
    async with asyncio.TaskGroup() as group:
        group.create_task(guard.reap())
        group.create_task(_measured(desk, guard))
        if desk.config.tick_seconds:
            group.create_task(_each(desk.config.tick_seconds, lambda: desk.store.tick()))
        if desk.config.sweep_seconds:
            group.create_task(_each(desk.config.sweep_seconds, lambda: desk.store.sweep()))


async def _each(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception as error:
            # Whatever happened to the database: what is due stays due, and is tried again.
            _log.warning("tick_failed", kind=type(error).__name__)


async def _measured(desk: Desk, guard: Guard) -> None:
    while True:
        desk.metrics.connections.set(guard.held)
        desk.metrics.connections_refused.set(guard.refused)
        desk.metrics.connections_reaped.set(guard.reaped)
        desk.metrics.streams.set(desk.streams.held)
        await asyncio.sleep(1)


@asynccontextmanager
async def serving(
    app: web.Application, *, host: str = "127.0.0.1", port: int = 0, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve until the block ends, and give the URL. At the end no new request is taken, those under way are finished, streams closed."""
    config = app[DESK].config
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=config.shutdown_seconds)
    await runner.setup()
    clockwork = asyncio.create_task(_clockwork(app))
    try:
        site = GuardedSite(runner, app[GUARD], host, port, ssl_context)
        await site.start()
        yield site.name
    finally:
        await runner.cleanup()
        clockwork.cancel()
        with suppress(asyncio.CancelledError):
            await clockwork
