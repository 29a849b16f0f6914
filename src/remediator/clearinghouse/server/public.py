"""What anybody may ask: what this is, how to speak with it, and whether it is well."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.metadata import version

from aiohttp import web

from remediator.clearinghouse.server.access import caller_of, check_scope
from remediator.clearinghouse.server.answering import said, tagged
from remediator.clearinghouse.server.asked import Desk
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.metrics import CONTENT_TYPE
from remediator.clearinghouse.server.problems import not_found
from remediator.clearinghouse.server.schemas import SCHEMAS, schema
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import (
    CLOCK_SKEW_SECONDS,
    MOST_PAGE,
    MOST_TTL_SECONDS,
    PAYLOAD_TYPE,
    PROTOCOL,
    Problem,
)
from remediator.records.record import canonical_json

READY_SECONDS = 2.0
_LOOPBACK = frozenset(("127.0.0.1", "::1"))


async def about(request: web.Request, desk: Desk) -> web.Response:
    """Tell what a client needs before its first word."""
    key = desk.store.ledger_key.public
    told = {
        "protocol": PROTOCOL,
        "payload_type": PAYLOAD_TYPE,
        "server": f"remediator {version('remediator')}",
        "audience": key.keyid,
        "ledger_key": key.line(),
        "limits": _limits(desk.config),
    }
    return said(request, told, public=True)


def _limits(config: ServerConfig) -> dict[str, object]:
    return {
        "envelope_bytes": config.envelope_bytes,
        "blob_bytes": config.blob_bytes,
        "page": MOST_PAGE,
        "ttl_seconds": MOST_TTL_SECONDS,
        "clock_skew_seconds": CLOCK_SKEW_SECONDS,
        "requests_per_second": config.requests_per_second,
        "requests_burst": config.requests_burst,
    }


async def openapi(request: web.Request, desk: Desk) -> web.Response:
    """Describe every address."""
    return tagged(request, _openapi(), "application/json", public=True)


@cache
def _openapi() -> bytes:
    from remediator.clearinghouse.server.openapi import document

    return canonical_json(document())


async def one_schema(request: web.Request, desk: Desk) -> web.Response:
    """Give the JSON Schema of one record."""
    model = SCHEMAS.get(request.match_info["name"])
    if model is None:
        raise not_found()
    return tagged(request, canonical_json(schema(model)), "application/schema+json", public=True)


async def healthy(request: web.Request, desk: Desk) -> web.Response:
    """Say that the process answers."""
    return said(request, {"status": "ok"}, public=True)


async def ready(request: web.Request, desk: Desk) -> web.Response:
    """Say whether the database answers and the server stays."""
    if desk.stopping.is_set():
        raise RefusedError(Problem.unavailable, "the server is going down")
    try:
        async with asyncio.timeout(READY_SECONDS):
            await desk.store.ready()
    except TimeoutError as error:
        raise RefusedError(Problem.unavailable, "the database does not answer") from error
    return said(request, {"status": "ok"}, public=True)


async def metrics(request: web.Request, desk: Desk) -> web.Response:
    """Give the numbers to Prometheus: to an admin, or to loopback where that was opened."""
    # Behind a proxy on this machine everybody would come from loopback.
    forwarded = "X-Forwarded-For" in request.headers
    if not (desk.config.open_metrics and request.remote in _LOOPBACK and not forwarded):
        check_scope(await caller_of(request, desk.store, desk.refused, request.remote or ""), frozenset())
    desk.metrics.note_stored(await desk.store.stats())
    return web.Response(body=desk.metrics.text(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})
