"""Follows a feed without an end: by its stream where there is one, else by asking every so often; after trouble, ever later.

The stream only says that there is something. What there is comes by `Subscriber.pull`, which checks it, so a stream that lies or goes
missing costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from remediator.clearinghouse.client.http import Clearinghouse
from remediator.clearinghouse.client.subscriber import Pulled, Subscriber
from remediator.errors import SinkError, StateError
from remediator.llm.waiting import wait_seconds

QUIET_SECONDS = 45.0
"""A comment comes at least every 15 seconds: a stream that is silent for longer is dead."""
_MOST_LINE_BYTES = 64 * 1024
_STREAM_SECONDS = 3900.0
"""Longer than a server keeps one open."""
_FIRST_WAIT, _MOST_WAIT = 1.0, 300.0
_STREAM_AGAIN_SECONDS = 600.0
_MOST_EARLY_ENDS = 3


class Pace(NamedTuple):
    """How often is asked; in seconds."""

    interval: float = 60.0
    """Between two pulls, where there is no stream."""
    first_wait: float = _FIRST_WAIT
    most_wait: float = _MOST_WAIT
    quiet: float = QUIET_SECONDS
    stream_again: float = _STREAM_AGAIN_SECONDS
    """Until a stream that was not there is asked for again."""


class _News(NamedTuple):
    """How a wait ended."""

    promised: int = -1
    """The cursor behind which the stream said that there is more."""
    early: bool = False
    """The stream ended before anything, or sooner than one that works."""


class _NoStreamError(Exception):
    """There is no stream here, or something between holds it back."""


async def follow(
    subscriber: Subscriber,
    connect: Callable[[], AbstractAsyncContextManager[Clearinghouse]],
    brought: Callable[[Pulled, Clearinghouse], Awaitable[None]],
    said: Callable[[str], None],
    pace: Pace,
) -> None:
    """Pull again and again until it is cancelled. `brought` is awaited after each pull, `said` gets what went wrong, for people.

    Raises what asking later cannot mend: EvidenceError where the ledger was rewritten, AuthError, ConfigError.
    """
    failed = 0
    no_stream_before = 0.0

    async def one_connection() -> None:
        nonlocal failed
        news, early = _News(), 0
        async with connect() as clearinghouse:
            while True:
                pulled = await subscriber.pull(clearinghouse)
                await brought(pulled, clearinghouse)
                if pulled.cursor == news.promised:
                    raise _NoStreamError(f"the stream of {clearinghouse.place.url} tells of what is not in the feed")
                failed = 0
                if time.monotonic() < no_stream_before:
                    await asyncio.sleep(pace.interval)
                    continue
                news = await _waited(clearinghouse, pulled.cursor, pace)
                early = early + 1 if news.early else 0
                if early > _MOST_EARLY_ENDS:
                    raise _NoStreamError(f"the stream of {clearinghouse.place.url} ends again and again")
                if early:
                    await asyncio.sleep(_wait(early, pace))

    while True:
        try:
            await one_connection()
        except _NoStreamError as trouble:
            no_stream_before = time.monotonic() + pace.stream_again
            said(f"{trouble}; asking every {pace.interval:g} seconds instead")
        except (SinkError, StateError) as trouble:
            failed += 1
            wait = _wait(failed, pace)
            said(f"{trouble.message}; trying again in {wait:.0f} seconds")
            await asyncio.sleep(wait)


def _wait(failed: int, pace: Pace) -> float:
    # Clients that failed together must not come back together.
    chance = random.random()  # noqa: S311 - keeps no secret
    return wait_seconds(failed, None, first=pace.first_wait, most=pace.most_wait, chance=chance)


async def _waited(clearinghouse: Clearinghouse, cursor: int, pace: Pace) -> _News:
    """Wait on the stream until it says that there is more behind the cursor, or ends. Raises _NoStreamError, AuthError, ConfigError."""
    heard = False
    began = time.monotonic()
    try:
        async with asyncio.timeout(_STREAM_SECONDS), clearinghouse.stream(cursor, quiet_seconds=pace.quiet) as pieces:
            async for line in _lines(pieces):
                heard = True
                if line.startswith(b"data:"):
                    return _News(promised=cursor)
    except TimeoutError:
        return _News()
    except SinkError as trouble:
        if not heard:
            raise _NoStreamError(trouble.message) from None
    # What came meanwhile is pulled at once. Whether the server is still there is found out by that, too.
    return _News(early=time.monotonic() - began < pace.quiet)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    left = b""
    async for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            yield line
        if len(left) > _MOST_LINE_BYTES:
            raise SinkError("a line of the stream is too long")
