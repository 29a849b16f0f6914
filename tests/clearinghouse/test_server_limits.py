"""The server's limits, over real connections: each control is seen to hold, and a weak twin without it is seen to fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from remediator.clearinghouse.server.app import GUARD, make_app, serving
from remediator.clearinghouse.server.asked import DESK
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.rates import Buckets, Slots, address_name
from remediator.clearinghouse.wire.answers import Answer, FeedEntry, FeedPage, SignedHead, TreeHead
from remediator.clearinghouse.wire.envelope import RefusedError, sign_head
from remediator.clearinghouse.wire.terms import Problem, Scope
from remediator.evidence.keys import SigningKey

from .waiting import PATIENCE, until

AT = datetime(2026, 11, 25, tzinfo=UTC)
TOKEN = "rch_good_" + "a" * 43
PULLER = "rch_pull_" + "b" * 43


class _Caller:
    def __init__(self, token_id: str, *scopes: Scope) -> None:
        self.organisation, self.token_id, self.scopes = "org", token_id, frozenset(scopes)


class SlowStore:
    """Stands for a store whose answers a test decides: for what HTTP does with them, not for what is in them."""

    def __init__(self) -> None:
        self.ledger_key = SigningKey.generate()
        self.revoked: set[str] = set()
        self.entries: list[FeedEntry] = []
        self.news = asyncio.Event()
        self.fails: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.performed = 0
        self.ticks = 0

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def authenticate(self, secret: str) -> _Caller:
        if secret in self.revoked or secret not in (TOKEN, PULLER):
            raise RefusedError(Problem.unauthorised, "no such token")
        return _Caller("t1", Scope.submit, Scope.pull) if secret == TOKEN else _Caller("t2", Scope.pull)

    async def perform(self, caller: _Caller, envelope: bytes) -> Answer:
        self.under_way += 1
        await self.gate.wait()
        self.under_way -= 1
        if self.fails is not None:
            raise self.fails
        self.performed += 1
        return Answer(verb="lease", id="lease-1", state="granted")

    async def put_blob(self, caller: _Caller, digest: str, pieces: AsyncIterator[bytes]) -> bool:
        async for _ in pieces:
            pass
        return True

    async def feed(self, caller: _Caller, cursor: int, limit: int) -> FeedPage:
        found = [entry for entry in self.entries if entry.cursor > cursor][:limit]
        return FeedPage(entries=tuple(found), next=found[-1].cursor if found else cursor, more=False, head=await self.head())

    async def feed_end(self) -> int:
        return max((entry.cursor for entry in self.entries), default=0)

    async def wait_for_feed(self, after: int, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self.news.wait()
            self.news.clear()
        except TimeoutError:
            pass

    async def head(self) -> SignedHead:
        if self.fails is not None:
            raise self.fails
        return sign_head(TreeHead(ledger=self.ledger_key.public.keyid, size=0, root="00", at=AT), self.ledger_key)

    async def fix(self, caller: _Caller, name: str) -> object:
        raise AssertionError(f"asked for {name!r}, which cannot be an id")

    flaws = fixes = epoch = fix

    async def ready(self) -> None:
        await self.head()

    async def stats(self) -> dict[str, int]:
        return {"fixes_verified": 2, "flaws": 3}

    async def tick(self) -> int:
        self.ticks += 1
        return 0


@asynccontextmanager
async def running(store: SlowStore, **changes: Any) -> AsyncIterator[tuple[str, web.Application]]:
    app = make_app(store, ServerConfig(**changes))  # type: ignore[arg-type]
    async with serving(app) as url:
        yield url, app


@asynccontextmanager
async def session(token: str = TOKEN) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as found:
        yield found


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


async def raw(url: str, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()


async def held_open_seconds(url: str, data: bytes, most: float) -> float:
    """How long the server lets a connection stand that sends this and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    begun = time.monotonic()
    writer.write(data)
    try:
        await asyncio.wait_for(reader.read(), most)
    except TimeoutError:
        return most
    finally:
        writer.close()
    return time.monotonic() - begun


async def problem_of(answer: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.content_type) == (status, "application/problem+json"), await answer.text()
    found = json.loads(await answer.read())
    assert (found["status"], found["code"]) == (status, code)
    return found


SOONER = 9.0
"""Less than the ten seconds that a head has by itself, so that it was the time of the test which ended it."""
HEADS = [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: loc", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: y\r\n"]


@pytest.mark.parametrize("head", HEADS)
async def test_a_head_that_does_not_come_ends_the_connection(head: bytes) -> None:
    async with running(SlowStore(), header_seconds=1.0) as (url, _):
        assert await held_open_seconds(url, head, SOONER) < SOONER
    # The weak twin: with a time that is far away the same connection stands, so it was our clock that ended it.
    async with running(SlowStore(), header_seconds=60.0) as (url, _):
        assert await held_open_seconds(url, head, 3) == 3


async def test_a_head_that_drips_ends_as_soon() -> None:
    async with running(SlowStore(), header_seconds=1.0) as (url, _):
        _reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < SOONER:
                writer.write(b"G")
                await writer.drain()
                await asyncio.sleep(0.1)


async def test_a_body_that_does_not_come_is_a_timeout() -> None:
    head = f"POST /v1/lease HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n{{".encode()
    async with running(SlowStore(), body_seconds=0.5) as (url, _):
        answer = await raw(url, head)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"timed-out" in answer
    async with running(SlowStore(), body_seconds=60.0) as (url, _):
        assert await held_open_seconds(url, head, 3) == 3


async def test_a_blob_that_drips_is_given_up() -> None:
    head = f"PUT /v1/blobs/sha256:{'0' * 64} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 9000\r\n\r\n"
    async with running(SlowStore(), body_seconds=0.5, blob_bytes_per_second=1000) as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        writer.write(head.encode())
        got = b""
        for _ in range(300):
            # Never silent for as long as body_seconds, and still far too slow.
            writer.write(b"x")
            await asyncio.sleep(0.1)
            if reader.at_eof() or (reader._buffer and not got):  # type: ignore[attr-defined]
                got = await reader.read(4096)
                break
        writer.close()
    assert b" 408 " in got


async def test_a_reader_that_does_not_read_is_cut() -> None:
    store = SlowStore()
    details = ("CVE-2026-" + "1" * 80,) * 50
    store.entries = [
        FeedEntry(cursor=n, kind="published", fix_id="f", flaw_id="f", project="p", at=AT, ledger_index=n, aliases=details)
        for n in range(1, 4000)
    ]
    async with running(store, write_seconds=1.0) as (url, app):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url), limit=1024)
        writer.write(f"GET /v1/feed/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        await reader.readline()
        await until(lambda: not app[GUARD].held)
        assert app[GUARD].reaped == 1
        writer.close()


async def test_a_hundred_megabytes_are_refused_by_their_head_alone() -> None:
    async with running(SlowStore()) as (url, _):
        for method, path in (("POST", "/v1/lease"), ("PUT", f"/v1/blobs/sha256:{'0' * 64}")):
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {100 * 1024 * 1024}\r\n"
            )
            begun = time.monotonic()
            answer = await raw(url, (head + "\r\n").encode())
            assert answer.startswith(b"HTTP/1.1 413 ") and b'"too-large"' in answer
            # Sooner than one that waits for the body would give up.
            assert time.monotonic() - begun < 15
            asked = await raw(url, (head + "Expect: 100-continue\r\n\r\n").encode())
            assert asked.startswith(b"HTTP/1.1 413 ")


async def test_a_body_without_a_length_is_counted() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 65536

    store = SlowStore()
    async with running(store) as (url, _), session() as http, http.post(f"{url}/v1/lease", data=endless()) as answer:
        await problem_of(answer, 413, "too-large")
    assert store.performed == 0
    async with (
        running(store, envelope_bytes=1 << 30) as (url, _),
        session() as http,
        http.post(f"{url}/v1/lease", data=endless()) as answer,
    ):
        assert answer.status == 201


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    store = SlowStore()
    async with running(store) as (url, _), session() as http, http.post(f"{url}/v1/lease", data=b"{}", expect100=True) as answer:
        assert answer.status == 201 and store.performed == 1


async def test_a_compressed_body_is_not_read() -> None:
    async with (
        running(SlowStore()) as (url, _),
        session() as http,
        http.post(f"{url}/v1/lease", data=b"{}", headers={"Content-Encoding": "gzip"}) as answer,
    ):
        await problem_of(answer, 400, "bad-request")


async def test_another_host_is_refused() -> None:
    async with running(SlowStore()) as (url, _):
        for host in ("attacker.example", f"attacker.example:{port_of(url)}", "localhost.attacker.example", "", "[::2]"):
            assert (await raw(url, f"GET /v1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())).startswith(b"HTTP/1.1 400 ")
        for host in ("localhost", f"127.0.0.1:{port_of(url)}", "LOCALHOST", "[::1]:80"):
            assert (await raw(url, f"GET /v1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())).startswith(b"HTTP/1.1 200 ")
    # The weak twin: the check alone refuses it.
    async with running(SlowStore(), hosts=frozenset(("attacker.example",))) as (url, _):
        assert (await raw(url, b"GET /v1 HTTP/1.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_another_origin_is_refused() -> None:
    async with running(SlowStore()) as (url, _), session() as http:
        for headers in ({"Origin": "http://attacker.example"}, {"Origin": "null"}, {"Cookie": "a=b"}):
            async with http.post(f"{url}/v1/lease", data=b"{}", headers=headers) as answer:
                await problem_of(answer, 403, "forbidden")
        async with http.post(f"{url}/v1/lease", data=b"{}", headers={"Origin": url, "Cookie": "a=b"}) as answer:
            assert answer.status == 201


async def test_a_token_that_asks_too_often_has_to_wait() -> None:
    store = SlowStore()
    async with running(store, requests_per_second=0.01, requests_burst=3) as (url, _), session() as http:
        seen = []
        for _ in range(5):
            async with http.post(f"{url}/v1/lease", data=b"{}") as answer:
                seen.append(answer.status)
                if answer.status == 429:
                    found = await problem_of(answer, 429, "too-many-requests")
                    assert int(answer.headers["Retry-After"]) == found["retry_after_seconds"] >= 1
        assert seen == [201, 201, 201, 429, 429]
        async with session(PULLER) as other, other.get(f"{url}/v1/feed") as answer:
            assert answer.status == 200


async def test_a_long_envelope_counts_as_many_requests() -> None:
    long = b"[" + b"{}," * 300_000 + b"1]"
    store = SlowStore()
    async with running(store, requests_per_second=1.0, requests_burst=200) as (url, _), session() as http:
        seen = [(await http.post(f"{url}/v1/lease", data=long)).status for _ in range(8)]
        assert seen[0] == 201 and seen.count(201) < 5 and seen[-1] == 429
    async with running(SlowStore(), requests_per_second=1.0, requests_burst=4) as (url, _), session() as http:
        assert (await http.post(f"{url}/v1/lease", data=long)).status == 201, "a small burst makes the longest no less possible"


async def test_an_address_that_asks_too_often_has_to_wait_without_a_token_too() -> None:
    async with (
        running(SlowStore(), address_requests_per_second=0.01, address_requests_burst=2) as (url, _),
        aiohttp.ClientSession() as http,
    ):
        assert [(await http.get(f"{url}/healthz")).status for _ in range(4)] == [200, 200, 429, 429]


async def test_guessing_tokens_is_slow() -> None:
    async with running(SlowStore(), refused_tokens_per_minute=3) as (url, _):
        seen = []
        for number in range(5):
            async with session(f"rch_guess_{number}") as http, http.get(f"{url}/v1/feed") as answer:
                seen.append(answer.status)
        assert seen == [401, 401, 401, 429, 429]
        async with session() as http, http.get(f"{url}/v1/feed") as answer:
            assert answer.status == 200, "a neighbour's right token is still taken"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", f"Bearer {TOKEN}x", "Bearer \u00e4", "Bearer " + "a" * 300])
async def test_what_is_no_token_is_unauthorised(header: str) -> None:
    async with (
        running(SlowStore()) as (url, _),
        aiohttp.ClientSession() as http,
        http.get(f"{url}/v1/feed", headers={"Authorization": header}) as answer,
    ):
        await problem_of(answer, 401, "unauthorised")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_scope_opens_only_its_own() -> None:
    store = SlowStore()
    async with running(store) as (url, _), session(PULLER) as http:
        for method, path in (("POST", "lease"), ("POST", "assess"), ("PUT", f"blobs/sha256:{'0' * 64}"), ("GET", "epoch")):
            async with http.request(method, f"{url}/v1/{path}", data=b"{}" if method != "GET" else None) as answer:
                await problem_of(answer, 403, "forbidden")
        async with http.get(f"{url}/metrics") as answer:
            await problem_of(answer, 403, "forbidden")
    assert store.performed == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/v1/../../etc/passwd", 404, "not-found"),
        ("GET", "/v1/fixes/..%2f..%2fetc%2fpasswd", 404, "not-found"),
        ("GET", "/v1/fixes/%00", 404, "not-found"),
        ("GET", "/v1/fixes/' OR 1=1 --", 404, "not-found"),
        ("GET", "/v1/schemas/..%2f..%2fx.json", 404, "not-found"),
        ("DELETE", "/v1/lease", 405, "method-not-allowed"),
        ("PATCH", "/v1/lease", 405, "method-not-allowed"),
        ("GET", "/v1/flaws?limit=1e9", 400, "bad-request"),
        ("GET", "/v1/flaws?limit=0", 400, "bad-request"),
        ("GET", "/v1/flaws?limit=201", 400, "bad-request"),
        ("GET", "/v1/feed?cursor=-1", 400, "bad-request"),
        ("GET", "/v1/feed?cursor=%D9%A1", 400, "bad-request"),
        ("GET", f"/v1/feed?cursor={'9' * 5000}", 400, "bad-request"),
        ("GET", "/v1/fixes?state=%27%3B--", 400, "bad-request"),
        ("GET", "/v1/flaws?project=%00", 400, "bad-request"),
        ("PUT", "/v1/blobs/..%2f..%2fx", 400, "bad-request"),
        ("PUT", "/v1/blobs/sha256:" + "A" * 64, 400, "bad-request"),
    ],
)
async def test_every_refusal_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    from yarl import URL

    async with (
        running(SlowStore()) as (url, _),
        session() as http,
        http.request(method, URL(url + path, encoded="'" not in path)) as answer,
    ):
        found = await problem_of(answer, status, code)
        assert "etc/passwd" not in json.dumps(found)
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(500)) + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /<script>alert(1)</script> JUNK\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_and_is_not_said_back(data: bytes) -> None:
    async with running(SlowStore()) as (url, _):
        answer = await raw(url, data)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer[:200]
    assert b"application/problem+json" in answer and b"script" not in answer and b"xxxx" not in answer and b"aaaa" not in answer


async def test_a_mistake_tells_nothing() -> None:
    store = SlowStore()
    store.fails = ValueError("SELECT secret FROM flaws WHERE title = 'embargoed'")
    with structlog.testing.capture_logs() as logs:
        async with running(store) as (url, _), session() as http, http.post(f"{url}/v1/lease", data=b"{}") as answer:
            found = await problem_of(answer, 500, "internal-error")
    assert "embargoed" not in json.dumps(found)
    assert [line["kind"] for line in logs if line["event"] == "handler_failed"] == ["ValueError"]
    assert "embargoed" not in json.dumps(logs)


async def test_what_takes_too_long_is_unavailable() -> None:
    store = SlowStore()
    store.gate.clear()
    async with (
        running(store, handler_seconds=0.3, shutdown_seconds=1) as (url, _),
        session() as http,
        http.post(f"{url}/v1/lease", data=b"{}") as answer,
    ):
        await problem_of(answer, 503, "unavailable")
        assert answer.headers["Retry-After"]


async def test_ready_is_not_the_same_as_healthy() -> None:
    store = SlowStore()
    async with running(store) as (url, _), aiohttp.ClientSession() as http:
        assert [(await http.get(f"{url}/{name}")).status for name in ("healthz", "readyz")] == [200, 200]
        store.fails = RefusedError(Problem.unavailable, "the database is away")
        assert [(await http.get(f"{url}/{name}")).status for name in ("healthz", "readyz")] == [200, 503]


async def test_one_address_cannot_take_every_connection() -> None:
    async with running(SlowStore(), connections_per_address=5) as (url, app):
        opened = [await asyncio.open_connection("127.0.0.1", port_of(url)) for _ in range(12)]
        await until(lambda: app[GUARD].reaped == 7)
        assert app[GUARD].held == 5
        for _, writer in opened:
            writer.close()


async def test_what_is_under_way_is_not_cut_for_whoever_comes_later() -> None:
    store = SlowStore()
    store.gate.clear()
    async with running(store, connections_per_address=5) as (url, app), session() as http:
        under_way = [asyncio.create_task(http.post(f"{url}/v1/lease", data=b"{}")) for _ in range(5)]
        await until(lambda: store.under_way == 5)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        told = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        assert b" 503 " in told and b"application/problem+json" in told and app[GUARD].refused == 1
        store.gate.set()
        assert [(await each).status for each in under_way] == [201] * 5


async def test_idle_connections_make_room_for_whoever_asks() -> None:
    async with running(SlowStore(), connections=5, header_seconds=60) as (url, app), aiohttp.ClientSession() as http:
        opened = [await asyncio.open_connection("127.0.0.1", port_of(url)) for _ in range(30)]
        assert (await http.get(f"{url}/healthz")).status == 200
        assert app[GUARD].held <= 5
        for _, writer in opened:
            writer.close()


async def test_shutdown_finishes_what_is_under_way() -> None:
    store = SlowStore()
    store.gate.clear()
    app = make_app(store, ServerConfig())  # type: ignore[arg-type]
    served = serving(app)
    url = await served.__aenter__()
    async with session() as http:
        pending = asyncio.create_task(http.post(f"{url}/v1/lease", data=b"{}"))
        await until(lambda: store.under_way == 1)
        ending = asyncio.create_task(served.__aexit__(None, None, None))
        # It says so once it listens no more.
        await until(app[DESK].stopping.is_set)
        with pytest.raises(aiohttp.ClientError):
            await http.get(f"{url}/healthz")
        store.gate.set()
        assert (await pending).status == 201
        await asyncio.wait_for(ending, PATIENCE)


async def test_the_clock_is_driven() -> None:
    store = SlowStore()
    async with running(store, tick_seconds=0.05):
        await until(lambda: store.ticks >= 2)


async def test_metrics_count_by_route_and_the_log_tells_no_id() -> None:
    store = SlowStore()
    with structlog.testing.capture_logs() as logs:
        async with running(store, open_metrics=True) as (url, _), session() as http:
            await http.get(f"{url}/v1/fixes/..secret-id?project=secret-query")
            await http.post(f"{url}/v1/lease", data=b"secret-body")
            text = await (await http.get(f"{url}/metrics")).text()
            assert (await http.get(f"{url}/metrics", headers={"X-Forwarded-For": "8.8.8.8"})).status == 403
    assert 'clearinghouse_requests_total{method="GET",route="/v1/fixes/{id}",status="404"} 1.0' in text
    assert 'clearinghouse_problems_total{code="not-found"} 1.0' in text
    assert 'clearinghouse_stored{what="fixes_verified"} 2.0' in text
    told = json.dumps([line for line in logs if line["event"] == "request"]) + text
    assert "secret" not in told and TOKEN not in told and '"organisation": "org"' in told


async def events_of(answer: aiohttp.ClientResponse, count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    event: dict[str, str] = {}
    while len(found) < count:
        line = (await asyncio.wait_for(answer.content.readline(), PATIENCE)).decode()
        if line == "\n":
            if "data" in event:
                found.append(event)
            event = {}
        elif line:
            name, _, value = line.rstrip("\n").partition(": ")
            event[name] = value
        else:
            break
    return found


def entry(cursor: int) -> FeedEntry:
    return FeedEntry(
        cursor=cursor, kind="published", fix_id=f"fix-{cursor}", flaw_id="flaw-1", project="a\nid: 7\n\nb", at=AT, ledger_index=cursor
    )


async def test_the_stream_goes_on_where_the_reader_left_off() -> None:
    store = SlowStore()
    store.entries = [entry(1), entry(2)]
    async with (
        running(store, heartbeat_seconds=0.1) as (url, _),
        session() as http,
        http.get(f"{url}/v1/feed/stream", headers={"Last-Event-ID": "1"}) as answer,
    ):
        assert answer.content_type == "text/event-stream"
        assert [event["id"] for event in await events_of(answer, 1)] == ["2"]
        store.entries.append(entry(3))
        store.news.set()
        (event,) = await events_of(answer, 1)
        assert event["id"] == "3" and json.loads(event["data"])["project"] == "a\nid: 7\n\nb"


async def test_a_revoked_token_ends_its_stream() -> None:
    store = SlowStore()
    async with running(store, heartbeat_seconds=0.1) as (url, _), session() as http, http.get(f"{url}/v1/feed/stream") as answer:
        for _ in range(5):
            assert b": heartbeat" in await asyncio.wait_for(answer.content.readuntil(b": heartbeat\n\n"), PATIENCE)
        store.revoked.add(TOKEN)
        await asyncio.wait_for(answer.content.read(), PATIENCE)


async def test_a_server_that_goes_ends_its_streams_whole() -> None:
    async with session() as http:
        async with running(SlowStore(), heartbeat_seconds=60) as (url, _):
            answer = await http.get(f"{url}/v1/feed/stream")
            assert (await answer.content.readuntil(b": heartbeat\n\n")).startswith(b"retry: ")
            ending = time.monotonic()
        # Read to its end without an error: the last chunk was sent.
        assert await asyncio.wait_for(answer.content.read(), PATIENCE) == b""
        # Sooner than the server would wait for what is under way.
        assert time.monotonic() - ending < 15


async def test_streams_of_one_token_are_counted() -> None:
    async with running(SlowStore(), streams_per_token=2) as (url, _), session() as http:
        first = [await http.get(f"{url}/v1/feed/stream") for _ in range(2)]
        async with http.get(f"{url}/v1/feed/stream") as answer:
            await problem_of(answer, 429, "too-many-requests")
        for each in first:
            each.close()


async def test_a_reader_that_is_gone_holds_no_place() -> None:
    async with running(SlowStore(), streams_per_token=2, heartbeat_seconds=60) as (url, app), session() as http:
        for _ in range(3):
            first = [await http.get(f"{url}/v1/feed/stream") for _ in range(2)]
            assert [answer.status for answer in first] == [200, 200]
            for each in first:
                each.close()
            # Long before a word would be written to nobody.
            await until(lambda: app[DESK].streams.held == 0, 30)


async def test_what_is_known_is_not_sent_again() -> None:
    async with running(SlowStore()) as (url, _), session() as http:
        async with http.get(f"{url}/v1") as answer:
            tag = answer.headers["ETag"]
        for known, status in ((tag, 304), (f'W/"x", {tag}', 304), ("*", 304), ('"other"', 200), ("broken", 200)):
            async with http.get(f"{url}/v1", headers={"If-None-Match": known}) as answer:
                assert answer.status == status, known


def test_a_bucket_fills_with_time_and_not_beyond() -> None:
    now = [0.0]
    bucket = Buckets(2, 4, lambda: now[0])
    for _ in range(4):
        bucket.take("a")
    with pytest.raises(RefusedError):
        bucket.take("a")
    now[0] = 0.5
    bucket.take("a")
    now[0] = 1000
    for _ in range(4):
        bucket.take("a")
    with pytest.raises(RefusedError):
        bucket.take("a")


def test_slots_are_given_back_when_the_work_fails() -> None:
    slots = Slots(2, 1, "uploads")
    with pytest.raises(KeyError), slots.hold("a"):
        raise KeyError
    with slots.hold("a"), pytest.raises(RefusedError), slots.hold("a"):
        pass
    assert slots.held == 0


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff%eth0", "2001:db8::/64"),
        ("x", "unknown"),
    ],
)
def test_an_ipv6_subscriber_is_one(address: str, name: str) -> None:
    assert address_name(address) == name
