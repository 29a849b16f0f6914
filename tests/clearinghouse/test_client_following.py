"""Following a feed over streams that lie, end, or say nothing: what there is comes all the same, and nobody is asked without a pause."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from remediator.clearinghouse.client.following import Pace, follow
from remediator.clearinghouse.client.http import Clearinghouse, Place
from remediator.clearinghouse.client.subscriber import Pulled, Subscriber
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState, Scope, Verb
from remediator.errors import AuthError
from remediator.records.patch import Patch
from remediator.testing.clearinghouse import FLAW, Clock, Party

from .operator_kit import DIFF
from .waiting import PATIENCE, until

PACE = Pace(interval=0.1, first_wait=0.1, most_wait=0.4, quiet=0.5, stream_again=60.0)
NEVER_QUIET = 600.0
"""For tests in which a stream that is silent for a while, as on a loaded machine, is not taken for dead."""
Stream = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


@pytest.fixture
def database_url() -> str:
    return "sqlite"


@pytest.fixture
def clock() -> Clock:
    found = Clock()
    found.now = datetime.now(UTC)
    return found


class Line:
    """The server behind a line with a stream of its own."""

    def __init__(self, url: str, stream: Stream) -> None:
        self._url, self._stream = url, stream
        self.asked: Counter[str] = Counter()
        self.begun: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        async with ClientSession() as http:

            async def passed(request: web.Request) -> web.StreamResponse:
                self.asked[request.path] += 1
                if request.path == "/v1/feed/stream":
                    self.begun.append(request.headers["Last-Event-ID"])
                    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                    await answer.prepare(request)
                    await self._stream(request, answer)
                    return answer
                headers = {k: v for k, v in request.headers.items() if k == "Authorization"}
                async with http.request(request.method, self._url + request.path_qs, headers=headers) as told:
                    return web.Response(body=await told.read(), status=told.status, content_type=told.content_type)

            app = web.Application()
            app.router.add_route("*", "/{rest:.*}", passed)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()


class Followed:
    """A hospital that follows, what that brought, and what was said of it."""

    def __init__(self, store: Store, url: str, team: Party, hospital: Party, state: Path) -> None:
        self.store, self.url, self.team, self.hospital = store, url, team, hospital
        self.subscriber = Subscriber(state, "default")
        self.pulled: list[Pulled] = []
        self.said: list[str] = []

    async def fix(self, name: str) -> str:
        digest = await self.team.put(name.encode())
        patch_id = Patch.of(finding_id="", fixer="", title="", diff=DIFF).id
        body = {"flaw": {**FLAW, "snippet": name, "aliases": []}, "submission_id": name, "patch_id": patch_id, "bundle": digest}
        answer = await self.team.ask(Verb.submit_fix, {**body, "bundle_bytes": len(name), "claimed_level": 4})
        job = await self.store.take_job("v", 60)
        assert job is not None
        assert await self.store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch=DIFF, lines_changed=2)
        return answer.id

    @asynccontextmanager
    async def following(self, url: str, **changed: Any) -> AsyncIterator[asyncio.Task[None]]:
        self.subscriber.begin(url, "env:TOKEN", self.store.audience)
        place = Place("default", url, self.hospital.token, self.store.audience, first_wait=0.01)

        async def brought(pulled: Pulled, _: Clearinghouse) -> None:
            self.pulled.append(pulled)

        work = follow(self.subscriber, lambda: Clearinghouse.connect(place), brought, self.said.append, PACE._replace(**changed))
        task = asyncio.ensure_future(work)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def has(self, fix_id: str, seconds: float = PATIENCE) -> None:
        await until(lambda: self.subscriber.has(fix_id), seconds)


@pytest.fixture
async def followed(store: Store, joins: Callable[..., Awaitable[Party]], tmp_path: Path) -> AsyncIterator[Followed]:
    async with serving(make_app(store, ServerConfig(tick_seconds=0, heartbeat_seconds=0.1))) as url:
        yield Followed(store, url, await joins("Team"), await joins("Hospital", scopes=(Scope.pull,)), tmp_path / "state")


async def test_by_the_stream_it_comes_at_once(followed: Followed) -> None:
    async with followed.following(followed.url, interval=600.0, quiet=NEVER_QUIET):
        await followed.has(await followed.fix("one"))
        await followed.has(await followed.fix("two"))
    assert followed.said == []
    assert len(followed.pulled) <= 5


async def test_it_goes_on_behind_what_it_has(followed: Followed) -> None:
    async def silent(_: web.Request, answer: web.StreamResponse) -> None:
        await answer.write(b"retry: 3000\n\n")
        await asyncio.sleep(30)

    await followed.fix("one")
    line = Line(followed.url, silent)
    async with line.open() as url, followed.following(url, quiet=NEVER_QUIET):
        await until(lambda: line.begun)
    assert line.begun == [str(followed.subscriber.read().cursor)] != ["0"]


async def wolf(_: web.Request, answer: web.StreamResponse) -> None:
    await answer.write(b"id: 99\nevent: published\ndata: {}\n\n")
    await asyncio.sleep(30)


async def ends(_: web.Request, answer: web.StreamResponse) -> None:
    await answer.write(b": heartbeat\n\n")


async def empty(_: web.Request, answer: web.StreamResponse) -> None:
    await answer.write_eof()


async def breaks(request: web.Request, answer: web.StreamResponse) -> None:
    await answer.write(b": heart")
    assert request.transport is not None
    request.transport.abort()


async def endless(_: web.Request, answer: web.StreamResponse) -> None:
    while True:
        await answer.write(b"data" * 16_000)


async def silent_from_the_start(_: web.Request, answer: web.StreamResponse) -> None:
    await asyncio.sleep(30)


@pytest.mark.parametrize("stream", [wolf, ends, empty, breaks, endless, silent_from_the_start])
async def test_what_there_is_comes_over_a_bad_stream_and_nobody_is_asked_without_a_pause(stream: Stream, followed: Followed) -> None:
    line = Line(followed.url, stream)
    async with line.open() as url, followed.following(url):
        begun = time.monotonic()
        await until(lambda: followed.said and time.monotonic() - begun >= 1)
        # A pull each tenth of a second, and those few before it was given up on.
        assert 1 <= line.asked["/v1/feed"] <= 4 + 10 * (time.monotonic() - begun), line.asked
        assert line.asked["/v1/feed/stream"] <= 8, line.asked
        await followed.has(await followed.fix("one"))


async def test_a_stream_that_ends_is_begun_again(followed: Followed) -> None:
    gone = [False]

    async def cut(request: web.Request, answer: web.StreamResponse) -> None:
        await answer.write(b": heartbeat\n\n")
        while not gone[0]:
            await asyncio.sleep(0.05)

    line = Line(followed.url, cut)
    async with line.open() as url, followed.following(url):
        await until(lambda: line.begun)
        gone[0] = True
        await followed.has(await followed.fix("one"))


async def test_a_stream_that_was_not_there_is_asked_for_again(followed: Followed) -> None:
    there = [False]

    async def late(_: web.Request, answer: web.StreamResponse) -> None:
        if not there[0]:
            await empty(_, answer)
            return
        await answer.write(b": heartbeat\n\n")
        await asyncio.sleep(30)

    line = Line(followed.url, late)
    async with line.open() as url, followed.following(url, stream_again=0.4):
        await until(lambda: followed.said)
        assert "asking every 0.1 seconds instead" in followed.said[0]
        there[0], before = True, len(line.begun)
        await until(lambda: len(line.begun) > before)


async def test_a_token_that_is_revoked_ends_it(followed: Followed) -> None:
    async with followed.following(followed.url, quiet=NEVER_QUIET) as task:
        await until(lambda: followed.pulled)
        await followed.store.revoke_token(followed.hospital.token.split("_")[1])
        with pytest.raises(AuthError):
            async with asyncio.timeout(PATIENCE):
                await task
