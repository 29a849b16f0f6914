"""The outbox before a real server over a bad line: what is put in arrives once, whatever is lost on the way, and nothing is given up."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from remediator.clearinghouse.client.http import Clearinghouse, Place
from remediator.clearinghouse.client.outbox import Item, Outbox, idempotency_key
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier, Verb
from remediator.errors import AuthError, ConfigError, SinkError
from remediator.evidence.keys import SigningKey
from remediator.testing.clearinghouse import FLAW, Clock, Party, party

FINDING = {"flaw": FLAW, "scanner": "semgrep"}
ALWAYS = 100


@pytest.fixture
def database_url() -> str:
    return "sqlite"


@pytest.fixture
def clock() -> Clock:
    # The client signs by the real time.
    found = Clock()
    found.now = datetime.now(UTC)
    return found


@pytest.fixture
async def url(store: Store) -> AsyncIterator[str]:
    async with serving(make_app(store, ServerConfig(tick_seconds=0))) as found:
        yield found


@pytest.fixture
async def team(joins: Callable[..., Awaitable[Party]]) -> Party:
    return await joins("Team")


@pytest.fixture
def outbox(tmp_path: Path) -> Any:
    found = Outbox(tmp_path / "state")
    yield found
    found.close()


@asynccontextmanager
async def line(url: str, *faults: str) -> AsyncIterator[str]:
    """The server behind a line on which each verb meets the next fault: `503`, `cut` before it arrives, `lost` after it did, `elsewhere`."""
    left = list(faults)

    async with aiohttp.ClientSession() as http:

        async def passed(request: web.Request) -> web.StreamResponse:
            fault = left.pop(0) if request.method == "POST" and left else ""
            assert request.transport is not None
            if fault == "503":
                return web.Response(status=503, headers={"Retry-After": "0"})
            if fault == "elsewhere":
                return web.Response(status=307, headers={"Location": url + request.path})
            if fault == "cut":
                request.transport.abort()
                return web.Response()
            headers = {k: v for k, v in request.headers.items() if k in ("Authorization", "Content-Type")}
            async with http.request(request.method, url + request.path_qs, data=await request.read(), headers=headers) as answer:
                body, status, kind = await answer.read(), answer.status, answer.content_type
            if fault == "lost":
                request.transport.abort()
            return web.Response(body=body, status=status, content_type=kind)

        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", passed)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def put(outbox: Outbox, **changed: Any) -> Item:
    told = {"place": "ours", "verb": Verb.submit_finding, "body": FINDING, "key": idempotency_key("one"), "subject": "one", **changed}
    return outbox.put(told.pop("place"), told.pop("verb"), told.pop("body"), **told)


async def delivered(outbox: Outbox, item: Item, team: Party, url: str, *, key: SigningKey | None = None, token: str = "") -> Item:
    place = Place("ours", url, token or team.token, team.store.audience, first_wait=0.01)
    async with Clearinghouse.connect(place, key or team.key) as clearinghouse:
        return await outbox.deliver(item, clearinghouse)


async def findings(team: Party) -> int:
    return (await team.store.stats())["findings"]


@pytest.mark.parametrize("faults", [("503",), ("cut",), ("lost",), ("503", "cut", "lost"), ("lost", "lost", "lost")])
async def test_what_is_lost_on_the_way_arrives_once(outbox: Outbox, team: Party, url: str, faults: tuple[str, ...]) -> None:
    async with line(url, *faults) as address:
        item = await delivered(outbox, put(outbox), team, address)
    assert item.state == "delivered" and item.answer is not None and item.answer.duplicate == (faults.count("lost") > 0)
    assert await findings(team) == 1


@pytest.mark.parametrize("fault", ["503", "cut", "lost"])
async def test_what_does_not_get_through_waits_and_arrives_later(outbox: Outbox, team: Party, url: str, fault: str) -> None:
    item = put(outbox)
    async with line(url, *[fault] * ALWAYS) as address:
        with pytest.raises(SinkError):
            await delivered(outbox, item, team, address)
    (waiting,) = outbox.items()
    assert (waiting.state, waiting.tries) == ("waiting", 1)
    assert (await delivered(outbox, waiting, team, url)).state == "delivered"
    assert await findings(team) == 1


async def test_what_nothing_but_its_key_tells_apart_is_done_once(outbox: Outbox, team: Party, url: str) -> None:
    item = put(outbox, verb=Verb.lease, body={"project": "pkg:pypi/a"})
    async with line(url, *["lost"] * ALWAYS) as address:
        with pytest.raises(SinkError):
            await delivered(outbox, item, team, address)
    assert (await delivered(outbox, outbox.items()[0], team, url)).state == "delivered"
    assert len((await team.store.leases(team.caller)).items) == 1


async def test_who_is_told_to_come_back_much_later_does_not_sit_there(outbox: Outbox, team: Party) -> None:
    asked = []

    async def full(request: web.Request) -> web.Response:
        asked.append(request.path)
        body = {"code": "too-many-requests", "detail": "no room", "hint": "ask the operator"}
        return web.json_response(body, status=429, headers={"Retry-After": "3600"})

    app = web.Application()
    app.router.add_get("/v1", full)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with pytest.raises(SinkError, match="429 no room; ask the operator"):
            await delivered(outbox, put(outbox), team, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
    assert asked == ["/v1"]


async def test_what_nobody_answers_waits(outbox: Outbox, team: Party) -> None:
    with pytest.raises(SinkError):
        await delivered(outbox, put(outbox), team, "http://127.0.0.1:9")
    assert [item.state for item in outbox.items()] == ["waiting"]


async def test_with_a_wrong_clock_it_waits_until_that_is_mended(outbox: Outbox, team: Party, url: str, clock: Clock) -> None:
    clock.forward(hours=2)
    with pytest.raises(SinkError, match="clock-skew"):
        await delivered(outbox, put(outbox), team, url)
    clock.forward(hours=-2)
    assert (await delivered(outbox, outbox.items()[0], team, url)).state == "delivered"


async def test_what_is_put_in_twice_is_there_once_and_what_is_delivered_is_not_sent_again(outbox: Outbox, team: Party, url: str) -> None:
    assert put(outbox).number == put(outbox).number
    item = await delivered(outbox, put(outbox), team, url)
    async with line(url, *["503"] * ALWAYS) as address:
        assert (await delivered(outbox, item, team, address)).answer == item.answer


async def test_a_token_or_key_that_is_to_be_mended_loses_nothing(outbox: Outbox, team: Party, url: str) -> None:
    item = put(outbox)
    with pytest.raises(AuthError):
        await delivered(outbox, item, team, url, token="rch_wrong_token")
    with pytest.raises(AuthError):
        await delivered(outbox, item, team, url, key=SigningKey.generate())
    assert (await delivered(outbox, outbox.items()[0], team, url)).state == "delivered"


async def test_what_is_refused_for_good_says_why_and_is_tried_again_when_asked(outbox: Outbox, team: Party, url: str) -> None:
    wrong = put(outbox, body={**FINDING, "lease_id": "lease-x", "fencing": 1})
    refused = await delivered(outbox, wrong, team, url)
    assert refused.state == "refused" and "not-found" in refused.problem
    outbox.again("ours")
    assert [item.state for item in outbox.items()] == ["waiting"]


async def test_a_token_is_not_sent_after_a_redirect(outbox: Outbox, team: Party, url: str) -> None:
    async with line(url, "elsewhere") as address:
        with pytest.raises(ConfigError, match="elsewhere"):
            await delivered(outbox, put(outbox), team, address)
    assert await findings(team) == 0


async def test_several_clearinghouses_at_once(outbox: Outbox, team: Party, url: str) -> None:
    first, second = put(outbox, place="one"), put(outbox, place="two")
    assert first.number != second.number
    await delivered(outbox, first, team, url)
    assert {item.place: item.state for item in outbox.items()} == {"one": "delivered", "two": "waiting"}


async def test_a_bundle_goes_before_the_fix_that_names_it(outbox: Outbox, team: Party, url: str) -> None:
    from remediator.records.record import digest_of

    body = {"flaw": FLAW, "submission_id": "s-1", "patch_id": "p-1", "bundle": digest_of(b"bytes"), "bundle_bytes": 5, "claimed_level": 3}
    async with line(url, "lost", "cut") as address:
        item = await delivered(outbox, put(outbox, verb=Verb.submit_fix, body=body, blob=b"bytes"), team, address)
    assert item.answer is not None and item.answer.state == "received"
    assert (await team.store.stats())["fixes_received"] == 1


_SENDER = """
import asyncio, sys
from pathlib import Path
from remediator.clearinghouse.client.http import Clearinghouse, Place
from remediator.clearinghouse.client.outbox import Outbox
from remediator.evidence.keys import signing_key

async def main(state, url, token, trust):
    outbox = Outbox(Path(state))
    real = outbox._note
    def note(item, **values):
        if values.get("state") == "delivered":
            print("arrived", flush=True)
            sys.stdin.readline()  # killed in here: it arrived, and nothing says so
        return real(item, **values)
    outbox._note = note
    async with Clearinghouse.connect(Place("ours", url, token, trust), signing_key(Path(state) / "keys")) as clearinghouse:
        await outbox.deliver(outbox.items()[0], clearinghouse)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_between_the_effect_and_its_note_it_is_delivered_once(tmp_path: Path, team: Party, url: str) -> None:
    from remediator.evidence.keys import signing_key

    state = tmp_path / "sender"
    outbox = Outbox(state)
    put(outbox)
    key = signing_key(state / "keys")
    await team.store.add_key(team.id, key.public.line())
    process = subprocess.Popen(
        [sys.executable, "-c", _SENDER, str(state), url, team.token, team.store.audience],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "arrived\n"
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.communicate)
    (item,) = outbox.items()
    assert item.state == "waiting" and await findings(team) == 1
    again = await delivered(outbox, item, team, url, key=key)
    assert again.state == "delivered" and again.answer is not None and again.answer.duplicate
    assert await findings(team) == 1
    outbox.close()


async def test_a_reader_needs_no_key_and_can_change_nothing(team: Party, url: str, joins: Callable[..., Awaitable[Party]]) -> None:
    reader = await joins("Reader", scopes=(Scope.pull,))
    async with Clearinghouse.connect(Place("ours", url, reader.token, team.store.audience)) as clearinghouse:
        assert await clearinghouse.me() == reader.id
        with pytest.raises(ConfigError):
            await clearinghouse.ask(Verb.submit_finding, FINDING, key=idempotency_key("x"))


async def test_what_another_clearinghouse_got_under_this_name_is_sent_to_the_one_that_has_it_now(
    outbox: Outbox, team: Party, url: str, tmp_path: Path, clock: Clock
) -> None:
    first = await delivered(outbox, put(outbox, ledger=team.store.audience), team, url)
    assert (first.state, first.ledger) == ("delivered", team.store.audience)
    assert put(outbox, ledger=team.store.audience).state == "delivered"

    async with Store.open("sqlite", tmp_path / "anew", clock=clock, elapsed=clock.elapsed) as store:
        again = await party(store, clock, "Team", Tier.member, (Scope.submit,))
        async with serving(make_app(store, ServerConfig(tick_seconds=0))) as other:
            item = put(outbox, ledger=store.audience)
            assert item.state == "waiting"
            second = await delivered(outbox, item, again, other)
        assert (second.state, second.ledger) == ("delivered", store.audience)
        assert (await store.stats())["findings"] == 1


def test_an_outbox_of_before_keeps_what_it_holds(tmp_path: Path) -> None:
    before = Outbox(tmp_path)
    put(before)
    before._db.execute("ALTER TABLE items DROP COLUMN ledger")
    before.close()

    after = Outbox(tmp_path)
    assert [(item.subject, item.ledger) for item in after.items()] == [("one", "")]
    after.close()
