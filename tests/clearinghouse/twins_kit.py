"""Weak twins: the real server, with one rule broken between it and whoever asks."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from yarl import URL


class Passing(NamedTuple):
    """A request on its way, and the answer to it."""

    method: str
    path: str
    query: str
    sent: bytes
    headers: dict[str, str]
    status: int
    body: bytes
    answer_headers: dict[str, str]
    registered: Collection[str] = ()
    """The ids of the keys that organisations registered."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json.get("code", "")) if self.status >= 400 and self.body[:1] == b"{" else ""

    @property
    def verb(self) -> str:
        return self.path.removeprefix("/v1/") if self.method == "POST" else ""

    @property
    def done(self) -> bool:
        return self.status < 300

    @property
    def request(self) -> dict[str, Any]:
        """What was signed, or nothing where that cannot be read."""
        try:
            value = json.loads(base64.b64decode(json.loads(self.sent)["payload"]))
        except (ValueError, KeyError, TypeError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def asked(self) -> dict[str, Any]:
        """The verb's body that was signed."""
        return dict(self.request.get("body", {}))

    @property
    def flaw(self) -> dict[str, Any]:
        return dict(self.asked.get("flaw", {}))

    @property
    def keyid(self) -> str:
        return str(json.loads(self.sent)["signatures"][0]["keyid"]) if self.sent else ""

    def telling(self, value: Any, status: int | None = None) -> Passing:
        return self._replace(body=json.dumps(value).encode(), status=status or self.status)


Weakness = Callable[[Passing], Passing]
Way = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
TAKEN = {
    "verb": "lease",
    "id": "lease-" + "1" * 24,
    "state": "granted",
    "duplicate": False,
    "ledger_index": 1,
    "detail": {"flaw": "flaw-1"},
}


class Twin(NamedTuple):
    """What is weak. A weakness that remembers is a class: each server gets its own. `also` are statements that cannot hold either."""

    weak: Weakness | type[Weakness] = lambda passing: passing
    way: Way = lambda headers, sent: (headers, sent)
    also: frozenset[str] = frozenset()


def takes(code: str, path: str = "", when: Callable[[Passing], object] = lambda passing: True) -> Weakness:
    """Answer what was refused with a code as if it had been done."""

    def weak(passing: Passing) -> Passing:
        fits = passing.code == code and passing.path.startswith(path) and when(passing)
        return passing.telling(TAKEN, 201) if fits else passing

    return weak


def tells(path: str, change: Callable[[Any, Passing], Any], when: Callable[[Passing], object] = lambda passing: True) -> Weakness:
    """Change what a `GET` of exactly this address, or of what is below it where it ends with a slash, is answered."""

    def weak(passing: Passing) -> Passing:
        named = passing.path.startswith(path) if path.endswith("/") else passing.path == path
        fits = passing.method == "GET" and named and passing.status == 200 and when(passing)
        return passing.telling(change(passing.json, passing)) if fits else passing

    return weak


def answers(verb: str, change: Callable[[Any, Passing], Any], when: Callable[[Passing], object] = lambda passing: True) -> Weakness:
    """Change what a verb that was done is answered."""

    def weak(passing: Passing) -> Passing:
        fits = passing.verb == verb and passing.done and when(passing)
        return passing.telling(change(passing.json, passing)) if fits else passing

    return weak


def put(*names: str, value: Any) -> Callable[[Any, Passing], Any]:
    def change(told: Any, _passing: Passing) -> Any:
        place = told
        for name in names[:-1]:
            place = place[name]
        place[names[-1]] = value
        return told

    return change


def without(*names: str) -> Callable[[Any, Passing], Any]:
    def change(told: Any, _passing: Passing) -> Any:
        place = told
        for name in names[:-1]:
            place = place[name]
        del place[names[-1]]
        return told

    return change


def hides(name: str) -> Way:
    return lambda headers, body: ({key: value for key, value in headers.items() if key != name}, body)


@asynccontextmanager
async def twin(url: str, weak: Twin = Twin(), registered: Collection[str] = ()) -> AsyncIterator[str]:  # noqa: B008
    """The server at the URL, with one weakness between it and whoever asks."""
    crashed: list[str] = []
    weakness: Weakness = weak.weak() if isinstance(weak.weak, type) else weak.weak
    async with aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=60)) as http:

        async def passed(request: web.Request) -> web.StreamResponse:
            kept = {k: v for k, v in request.headers.items() if k.title() in _PASSED}
            headers, sent = weak.way(kept, await request.read())
            if headers.get("Host") == request.url.authority:
                del headers["Host"]
            target = URL(url + request.raw_path, encoded=True)
            async with http.request(request.method, target, data=sent or None, headers=headers, allow_redirects=False) as answer:
                if answer.content_type == "text/event-stream":
                    return await _streamed(request, answer, weakness)
                told = {k: v for k, v in answer.headers.items() if k.lower() in _RETURNED}
                given = await answer.read()
            asked = (request.method, request.path, request.query_string, sent, kept)
            try:
                found = weakness(Passing(*asked, answer.status, given, told, registered))
            except Exception as error:
                crashed.append(f"{request.method} {request.path}: {type(error).__name__}: {error}")
                raise
            return web.Response(status=found.status, body=found.body, headers=found.answer_headers)

        app = web.Application(client_max_size=100 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", passed)
        runner = web.AppRunner(app, auto_decompress=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
        # What breaks by an accident of the twin says nothing of the statement.
        assert crashed == []


_RETURNED = frozenset(("content-type", "etag", "allow", "retry-after"))
_PASSED = frozenset(("Host", "Origin", "Authorization", "Content-Type", "Content-Encoding", "If-None-Match", "Accept", "Last-Event-ID"))


async def _streamed(request: web.Request, answer: aiohttp.ClientResponse, weak: Weakness) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    # The one who asked may leave whenever it likes.
    with suppress(ConnectionError):
        async for line in answer.content:
            found = weak(Passing("GET", request.path, request.query_string, b"", {}, 200, line, {}))
            if found.status != 200:
                # One that falls silent, without the wait for it.
                break
            await response.write(found.body)
    return response
