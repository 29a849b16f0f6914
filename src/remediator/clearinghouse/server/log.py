"""The access log: route, outcome and time. Never a path, a query, a token or a body: an id alone can be under embargo."""

from __future__ import annotations

import time

import structlog
from aiohttp import web

from remediator.clearinghouse.server.metrics import Metrics
from remediator.clearinghouse.server.problems import PROBLEM

STARTED = web.RequestKey("started", float)
ROUTE = web.RequestKey("route", str)
CALLER = web.RequestKey("caller", tuple)
"""Who asked, once that is known."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_log = structlog.get_logger()


def noted(metrics: Metrics, request: web.BaseRequest, answer: web.StreamResponse) -> None:
    """Log and count one answered request."""
    seconds = time.monotonic() - request[STARTED] if STARTED in request else 0.0
    # A method or path of the client's own making would make a new series, or a new line in a log, each.
    method = request.method if request.method in _METHODS else "other"
    # What was no HTTP never came to a route.
    route = request.get(ROUTE, "none")
    code = request.get(PROBLEM, "")
    metrics.requests.labels(method, route, str(answer.status)).inc()
    metrics.seconds.labels(route).observe(seconds)
    if code:
        metrics.problems.labels(code).inc()
    caller = request.get(CALLER)
    who = {} if caller is None else {"organisation": caller.organisation, "token": caller.token_id}
    _log.info(
        "request",
        method=method,
        route=route,
        status=answer.status,
        code=code,
        ms=round(seconds * 1000, 1),
        bytes=answer.body_length,
        **who,
    )


def route_of(request: web.Request) -> str:
    """Return the route's template: `/v1/flaws/{id}`, never what stands in the place of the id."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"
