"""The feed: page by page, and as server-sent events that go on where the reader left off."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from remediator.clearinghouse.server.access import secret_of
from remediator.clearinghouse.server.answering import feed_page_of, said, whole
from remediator.clearinghouse.server.asked import Asked
from remediator.clearinghouse.server.connections import GuardedHandler
from remediator.clearinghouse.wire.answers import FeedEntry
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import MOST_PAGE
from remediator.records.record import canonical_json

STREAM_TYPE = "text/event-stream"
_BIGGEST_CURSOR = 2**63 - 1
_RETRY_MS = 3000


async def page(asked: Asked) -> web.Response:
    """Give the entries after a cursor."""
    cursor, limit = feed_page_of(asked.request)
    return said(asked.request, await asked.store.feed(asked.caller, cursor, limit))


async def stream(asked: Asked) -> web.StreamResponse:
    """Send the entries after a cursor as they come, until the reader, the token or the server goes."""
    request, desk = asked.request, asked.desk
    cursor = _begin(request)
    with desk.streams.hold(asked.caller.token_id):
        answer = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        answer.content_type = STREAM_TYPE
        answer.charset = "utf-8"
        # The end of the stream is the end of the connection: a proxy must not keep it for others.
        answer.force_close()
        await answer.prepare(request)
        await answer.write(b"retry: %d\n\n" % _RETRY_MS)
        with suppress(ConnectionError, RefusedError, TimeoutError):
            async with asyncio.timeout(desk.config.stream_seconds):
                await _followed(asked, answer, cursor)
        with suppress(ConnectionError):
            await answer.write_eof()
    return answer


async def _followed(asked: Asked, answer: web.StreamResponse, cursor: int) -> None:
    desk, loop = asked.desk, asyncio.get_running_loop()
    secret, comment_at = secret_of(asked.request), 0.0
    # A reader that is gone must not hold its place until the next word is written to nobody.
    while not desk.stopping.is_set() and asked.request.transport is not None:
        # A token that was revoked meanwhile ends the stream: that is why it is asked for anew.
        caller = await desk.store.authenticate(secret)
        # What others alone may see moves no cursor of this reader's: else it would be looked at again and again.
        end = await desk.store.feed_end()
        found = await desk.store.feed(caller, cursor, MOST_PAGE)
        for entry in found.entries:
            await answer.write(event_of(entry))
        moved, cursor = found.next != cursor, found.next
        if found.entries or moved:
            continue
        if loop.time() >= comment_at:
            # By the clock alone: a comment out of turn would tell that something was let out to others.
            await answer.write(b": heartbeat\n\n")
            comment_at = loop.time() + desk.config.heartbeat_seconds
        await _news(asked, max(end, cursor), comment_at - loop.time())


async def _news(asked: Asked, cursor: int, seconds: float) -> None:
    desk = asked.desk
    waits = {
        asyncio.ensure_future(desk.store.wait_for_feed(cursor, seconds)),
        asyncio.ensure_future(desk.stopping.wait()),
    }
    if isinstance(asked.request.protocol, GuardedHandler):
        waits.add(asyncio.ensure_future(asked.request.protocol.gone()))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.wait(waits)


def event_of(entry: FeedEntry) -> bytes:
    """Return one entry as a server-sent event. Canonical JSON has no line break, so nothing in it can end the event."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (entry.cursor, entry.kind.encode(), canonical_json(entry.as_json()))


def _begin(request: web.Request) -> int:
    last = request.headers.get("Last-Event-ID")
    return whole(last if last is not None else request.query.get("cursor"), "cursor", 0, 0, _BIGGEST_CURSOR)
