"""What can go wrong between a model's server and its client, done on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from remediator.contracts import Reply
from remediator.records.record import Record, canonical_json
from remediator.testing.llm_wire import Wire

if TYPE_CHECKING:
    from aiohttp import web

_CHARGED = frozenset({"slow", "hang", "stall", "cut", "no-stop"})
_CHUNK = b" " * 65536


class Fault(Record):
    """One thing that goes wrong.

    status: an error with `status`, `retry_after` and `message` · error-body: the same inside of a 200 · slow: `seconds` of silence,
    then the answer · hang: no answer at all · stall: half an answer, then silence · cut: half an answer, then the connection is closed ·
    reset: the connection is reset at once · bad-json: an answer that is no JSON · content-type: an HTML page · huge: `size` bytes ·
    redirect: to `location` · no-stop: the answer, whole but for its stop reason.
    `reply` is the answer that was on its way; `charged` says whether it was charged, by default where a model would have worked.
    """

    kind: Literal[
        "status", "error-body", "slow", "hang", "stall", "cut", "reset", "bad-json", "content-type", "huge", "redirect", "no-stop"
    ]
    status: int = 500
    retry_after: str = ""
    message: str = "something went wrong"
    seconds: float = 0.3
    size: int = 64 * 2**20
    location: str = ""
    reply: Reply = Reply(text="an answer that is long enough to be cut in the middle")
    charged: bool | None = None

    @property
    def is_charged(self) -> bool:
        """Return whether the server takes money for it."""
        return self.kind in _CHARGED if self.charged is None else self.charged


async def send(
    request: web.Request, wire: Wire, outcome: Reply | Fault, document: dict[str, Any], *, streamed: bool, closing: asyncio.Event
) -> web.StreamResponse:
    """Send an answer, or do what the fault says."""
    from aiohttp import web

    if isinstance(outcome, Reply):
        return await _whole(request, wire, document, streamed=streamed)
    match outcome.kind:
        case "status":
            headers = {"Retry-After": outcome.retry_after} if outcome.retry_after else {}
            return web.json_response(wire.error(outcome.status, outcome.message), status=outcome.status, headers=headers)
        case "redirect":
            return web.Response(status=307, headers={"Location": outcome.location})
        case "error-body":
            return web.json_response(wire.error(outcome.status, outcome.message))
        case "content-type":
            return web.Response(text="<html>please log in</html>", content_type="text/html")
        case "bad-json":
            return await _pieces(request, [b'data: {"type": oops}\n\n'] if streamed else [b'{"a": '], streamed=streamed)
        case "slow":
            await _silence(closing, outcome.seconds)
            return await _whole(request, wire, document, streamed=streamed)
        case "no-stop":
            return await _whole(request, wire, wire.unfinished(document), streamed=streamed)
        case _:
            return await _broken(request, wire, outcome, document, streamed=streamed, closing=closing)


async def _broken(
    request: web.Request, wire: Wire, fault: Fault, document: dict[str, Any], *, streamed: bool, closing: asyncio.Event
) -> web.StreamResponse:
    from aiohttp import web

    if fault.kind == "hang":
        await _silence(closing, 3600)
    if fault.kind in ("hang", "reset"):
        _drop(request)
        return web.Response()
    response = await _begun(request, streamed=streamed)
    if fault.kind == "huge":
        for _ in range(fault.size // len(_CHUNK)):
            await response.write(_CHUNK)
        return response
    whole = b"".join(wire.events(document)) if streamed else canonical_json(document)
    await response.write(whole[: len(whole) // 2])
    if fault.kind == "stall":
        await _silence(closing, 3600)
    _drop(request)
    return response


async def _whole(request: web.Request, wire: Wire, document: Mapping[str, Any], *, streamed: bool) -> web.StreamResponse:
    return await _pieces(request, wire.events(document) if streamed else [canonical_json(document)], streamed=streamed)


async def _pieces(request: web.Request, pieces: list[bytes], *, streamed: bool) -> web.StreamResponse:
    response = await _begun(request, streamed=streamed)
    for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def _begun(request: web.Request, *, streamed: bool) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": "text/event-stream" if streamed else "application/json"})
    await response.prepare(request)
    return response


async def _silence(closing: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await closing.wait()
    except TimeoutError:
        return


def _drop(request: web.Request) -> None:
    if request.transport:
        request.transport.abort()
