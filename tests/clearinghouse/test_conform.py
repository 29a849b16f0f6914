"""The conformance suite against the real server, and against weak twins: the same server with one rule broken on the way."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from remediator.clearinghouse.conform.ground import Member
from remediator.clearinghouse.conform.running import STATEMENTS, Conformance, conform
from remediator.clearinghouse.conform.statement import Outcome
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier
from remediator.errors import ConfigError
from remediator.evidence.keys import SigningKey
from remediator.testing.clearinghouse_process import UNHINDERED

ROOT = Path(__file__).parents[2]


class Members(NamedTuple):
    one: Member
    two: Member
    pull: Member


async def joined(store: Store) -> Members:
    found = []
    for name, scopes in (
        ("One", (Scope.submit, Scope.assess, Scope.pull)),
        ("Two", (Scope.submit, Scope.assess, Scope.pull)),
        ("R", (Scope.pull,)),
    ):
        organisation, key = await store.add_organisation(name, Tier.operator), SigningKey.generate()
        await store.add_key(organisation.id, key.public.line())
        _, token = await store.create_token(organisation.id, scopes)
        found.append(Member(token, key))
    return Members(*found)


# -- the weak twins ----------------------------------------------------------------------------------------------------


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

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json.get("code", "")) if self.status >= 400 and self.body[:1] == b"{" else ""

    @property
    def asked(self) -> Any:
        """The verb's body that was signed."""
        return json.loads(base64.b64decode(json.loads(self.sent)["payload"]))["body"]

    def telling(self, value: Any, status: int | None = None) -> Passing:
        return self._replace(body=json.dumps(value).encode(), status=status or self.status)


Weakness = Callable[[Passing], Passing]
Way = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
TAKEN = {"verb": "lease", "id": "lease-" + "1" * 24, "state": "granted", "duplicate": False, "ledger_index": 1, "detail": {}}


def takes(code: str, path: str = "", having: bytes = b"") -> Weakness:
    """Answer what was refused with a code as if it had been done."""

    def weak(passing: Passing) -> Passing:
        fits = passing.code == code and passing.path.startswith(path) and having in passing.sent
        return passing.telling(TAKEN, 201) if fits else passing

    return weak


def changes(path: str, change: Callable[[Any], Any], *, method: str = "GET") -> Weakness:
    """Change what a request that was done is answered."""

    def weak(passing: Passing) -> Passing:
        fits = passing.method == method and passing.path.startswith(path) and passing.status < 300
        return passing.telling(change(passing.json)) if fits else passing

    return weak


def put(*names: str, value: Any) -> Callable[[Any], Any]:
    def change(told: Any) -> Any:
        place = told
        for name in names[:-1]:
            place = place[name]
        place[names[-1]] = value
        return told

    return change


def without_header(name: str) -> Weakness:
    return lambda passing: passing._replace(answer_headers={k: v for k, v in passing.answer_headers.items() if k != name})


def same(passing: Passing) -> Passing:
    return passing


def hides(name: str) -> Way:
    return lambda headers, body: ({key: value for key, value in headers.items() if key != name}, body)


@asynccontextmanager
async def twin(url: str, weak: Weakness = same, way: Way = lambda headers, body: (headers, body)) -> AsyncIterator[str]:
    """The server at the URL, with one weakness between it and whoever asks."""
    async with aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=60)) as http:

        async def passed(request: web.Request) -> web.StreamResponse:
            kept = {k: v for k, v in request.headers.items() if k.title() in _PASSED}
            headers, sent = way(kept, await request.read())
            if headers.get("Host") == request.url.authority:
                del headers["Host"]
            target = URL(url + request.raw_path, encoded=True)
            async with http.request(request.method, target, data=sent or None, headers=headers, allow_redirects=False) as answer:
                if answer.content_type == "text/event-stream":
                    return await _streamed(request, answer, weak)
                told = {k: v for k, v in answer.headers.items() if k.lower() in _RETURNED}
                found = weak(
                    Passing(request.method, request.path, request.query_string, sent, kept, answer.status, await answer.read(), told)
                )
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


_RETURNED = frozenset(("content-type", "etag", "allow", "retry-after"))
_PASSED = frozenset(("Host", "Origin", "Authorization", "Content-Type", "Content-Encoding", "If-None-Match", "Accept", "Last-Event-ID"))


async def _streamed(request: web.Request, answer: aiohttp.ClientResponse, weak: Weakness) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async for line in answer.content:
        found = weak(Passing("GET", request.path, request.query_string, b"", {}, 200, line, {}))
        await response.write(found.body)
    return response


# -- what each of them breaks ------------------------------------------------------------------------------------------


def _no_not_modified(passing: Passing) -> Passing:
    return passing._replace(status=200, body=b"{}") if passing.status == 304 else passing


def _repeats(passing: Passing) -> Passing:
    if passing.path == "/v1/flaws" and passing.status == 200 and "cursor=" in passing.query:
        return passing.telling({"items": passing.json["items"], "next": ""})
    return passing


def _always_201(passing: Passing) -> Passing:
    return passing._replace(status=201) if passing.method == "POST" and passing.status == 200 else passing


def _not_told_as_duplicate(passing: Passing) -> Passing:
    told = passing.path == "/v1/lease" and passing.status == 200
    return passing.telling({**passing.json, "duplicate": False}) if told else passing


def _plain_errors(passing: Passing) -> Passing:
    return passing._replace(answer_headers={"Content-Type": "application/json"}) if passing.code == "method-not-allowed" else passing


def _hidden_from_others(told: Any) -> Any:
    return {**told, "items": []}


def _no_wait(passing: Passing) -> Passing:
    return passing.telling({**passing.json, "retry_after_seconds": None}) if passing.code == "lease-held" else passing


def _one_fence(told: Any) -> Any:
    told["detail"]["lease"]["fencing"] = 1
    return told


def _tells_more(passing: Passing) -> Passing:
    if passing.code == "not-found" and passing.path.startswith("/v1/flaws/flaw-000"):
        return passing.telling({**passing.json, "detail": "there is no such flaw"})
    return passing


def _all_match(told: Any) -> Any:
    told["detail"]["matches"] = dict.fromkeys(told["detail"]["matches"], True)
    return told


def _tests_failed(told: Any) -> Any:
    for each in told.get("assessments", []):
        each["tests_passed"] = False
    return told


def _event(passing: Passing) -> Passing:
    return passing._replace(body=b"data: {}\n") if passing.path.endswith("/stream") and passing.body.startswith(b":") else passing


def _forged(told: Any) -> Any:
    told["signature"] = base64.b64encode(b"\0" * 64).decode()
    return told


def _path(told: Any) -> Any:
    return {**told, "path": ["00" * 32, *told["path"][1:]]}


def _takes_colours(passing: Passing) -> Passing:
    return takes("bad-request")(passing) if passing.code == "bad-request" and "colour:" in passing.json["detail"] else passing


def _renewed_shorter(told: Any) -> Any:
    told["detail"]["lease"]["expires_at"] = datetime.now(UTC).isoformat()
    return told


def _late_fencing(passing: Passing) -> Passing:
    wrong = passing.code == "lease-stale" and passing.path == "/v1/submit-finding"
    return passing.telling({**TAKEN, "detail": {"flaw": "flaw-1"}}, 201) if wrong else passing


def _rewritten(told: Any) -> Any:
    for each in told["items"]:
        each["kind"] = "x"
    return told


TWINS: dict[str, Weakness | tuple[Weakness, Way]] = {
    "2.2": _no_not_modified,
    "2.3": lambda p: p.telling({"items": [], "next": ""}, 200) if p.code == "bad-request" and p.path == "/v1/flaws" else p,
    "2.4": _repeats,
    "2.5": _takes_colours,
    "2.6": takes("too-large"),
    "2.7": (same, hides("Content-Encoding")),
    "2.8": (same, hides("Origin")),
    "2.9": (same, hides("Host")),
    "3.1": lambda p: p.telling({"items": [], "next": ""}, 200) if p.code == "unauthorised" and p.path == "/v1/flaws" else p,
    "3.2": lambda p: p.telling({"organisation": {}}, 200) if p.code == "unauthorised" and "Authorization" in p.headers else p,
    "3.3": takes("forbidden", "/v1/lease"),
    "4.2": _always_201,
    "4.3": _not_told_as_duplicate,
    "4.4": takes("idempotency-key-reused"),
    "4.8": takes("bad-signature"),
    "4.9": takes("wrong-audience"),
    "4.10": takes("wrong-submitter"),
    "4.11": takes("clock-skew"),
    "4.12": takes("bad-request", "/v1/opt-out"),
    "4.13": takes("bad-envelope"),
    "5.1": changes("/v1/leases", _hidden_from_others),
    "5.2": _no_wait,
    "5.4": changes("/v1/lease", _one_fence, method="POST"),
    "5.6": _late_fencing,
    "5.8": changes("/v1/renew", _renewed_shorter, method="POST"),
    "5.9": lambda p: takes("not-found")(p) if p.path in ("/v1/renew", "/v1/release") else p,
    "5.12": takes("opted-out"),
    "5.15": changes("/v1/flaws/", _tests_failed),
    "5.16": takes("blob-missing"),
    "5.17": takes("state-conflict"),
    "5.18": lambda p: p.telling({"fix": {}}, 200) if p.code == "not-found" and p.path.endswith("/published") else p,
    "5.19": lambda p: takes("not-found")(p) if p.path == "/v1/revoke" else p,
    "6.1": changes("/v1/claim-check", _all_match, method="POST"),
    "7.1": changes("/v1/openapi.json", put("paths", value={})),
    "7.2": lambda p: p._replace(status=500) if p.path == "/readyz" else p,
    "7.3": _tells_more,
    "7.7": lambda p: p.telling(TAKEN, 200) if p.code == "not-found" and p.path.startswith("/v1/status/") else p,
    "7.8": changes("/v1/feed", put("next", value=7)),
    "7.9": _event,
    "8.1": lambda p: p.telling(TAKEN, 201) if p.code == "blob-mismatch" else p,
    "9.1": changes("/v1/ledger/head", _forged),
    "9.3": changes("/v1/ledger/inclusion", _path),
    "9.5": lambda p: p.telling({"path": []}, 200) if p.code == "bad-request" and p.path.startswith("/v1/ledger/") else p,
    "9.7": changes(
        "/v1/fixes/", lambda told: {**told, "items": [{**each, "nonce": "00" * 32} for each in told["items"]]} if "items" in told else told
    ),
    "10.1": _plain_errors,
    "10.2": lambda p: p._replace(status=307) if p.path == "/v1/flaws/" else p,
}


async def test_the_real_server_keeps_every_statement(database_url: str, tmp_path: Path) -> None:
    async with Store.open(database_url, tmp_path / "data") as store, serving(make_app(store, ServerConfig())) as url:
        members = await joined(store)
        found = await conform(url, members.one, members.two, members.pull)

    assert [each for each in found.found if each.outcome is not Outcome.holds] == []
    assert found.exit_code == 0 and len(found.found) == len(STATEMENTS)


# Each asks a whole server over HTTP: a few always, all of them with REMEDIATOR_TEST_ALL=1.
_TRIED = list(TWINS) if os.environ.get("REMEDIATOR_TEST_ALL") == "1" else list(TWINS)[::6]


@pytest.mark.parametrize("number", _TRIED)
async def test_a_weak_twin_breaks_its_statement_and_no_other(number: str, tmp_path: Path) -> None:
    weakness = TWINS[number]
    weak, way = weakness if isinstance(weakness, tuple) else (weakness, lambda headers, body: (headers, body))
    async with (
        Store.open("sqlite", tmp_path / "data") as store,
        serving(make_app(store, UNHINDERED)) as url,
        twin(url, weak, way) as weak_url,
    ):
        members = await joined(store)
        found = await conform(weak_url, members.one, members.two, members.pull)

    assert {each.number: each.reason for each in found.found if each.outcome is Outcome.broken}.keys() == {number}, _broken(found)
    assert found.exit_code == 1


async def test_a_twin_without_a_weakness_keeps_them_all(tmp_path: Path) -> None:
    async with Store.open("sqlite", tmp_path / "data") as store, serving(make_app(store, UNHINDERED)) as url, twin(url) as same_url:
        members = await joined(store)
        found = await conform(same_url, members.one, members.two, members.pull)

    assert _broken(found) == []


async def test_reading_alone_changes_nothing_and_says_what_was_not_run(tmp_path: Path) -> None:
    async with Store.open("sqlite", tmp_path / "data") as store, serving(make_app(store, UNHINDERED)) as url:
        members = await joined(store)
        before = (await store.head()).head.size
        found = await conform(url, members.pull)

        assert (await store.head()).head.size == before
    assert {each.number for each in found.found if each.outcome is Outcome.not_run} == {each.number for each in STATEMENTS if each.writes}
    assert (found.count(Outcome.broken), found.exit_code) == (0, 3)


async def test_what_is_no_clearinghouse_is_told_in_a_sentence() -> None:
    async def anything(_request: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", anything)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with pytest.raises(ConfigError, match="cannot be tried"):
        await conform(f"http://127.0.0.1:{runner.addresses[0][1]}", Member("t"))
    await runner.cleanup()


async def test_no_token_goes_over_plain_http_to_another_machine() -> None:
    with pytest.raises(ConfigError, match="plain http"):
        await conform("http://clearinghouse.example", Member("t"))


def test_every_statement_stands_on_the_page_with_its_number_and_no_other_does() -> None:
    page = (ROOT / "docs/reference/protocol.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (\d+\.\d+) \| (.+?) \|", page.split("\n## 11. ")[1], re.MULTILINE))
    assert rows == {each.number: each.text for each in STATEMENTS}


def _broken(found: Conformance) -> list[tuple[str, str]]:
    return [(each.number, each.reason) for each in found.found if each.outcome is not Outcome.holds]
