"""Clocks that are wrong: the submitter's, the database's, and the server's own that jumps forth and back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from sqlalchemy import event, text

from remediator.clearinghouse.client.http import Clearinghouse, Place
from remediator.clearinghouse.client.outbox import Outbox, idempotency_key
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.store.clock_watch import ClockWatch
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.envelope import RefusedError, head_is_signed
from remediator.clearinghouse.wire.terms import FixState, Problem, Scope, Tier, Verb
from remediator.cli.clearinghouse_store import in_store
from remediator.errors import SinkError
from remediator.testing.clearinghouse import FLAW, Clock, Party, party

Joins = Callable[..., Awaitable[Party]]
FINDING = {"flaw": FLAW, "scanner": "semgrep"}
LEASE = {"project": "pkg:pypi/a", "ttl_seconds": 3600}
OWN_TIME = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|unixepoch|julianday|strftime|datetime|date|time)\s*\("
    r"|\b(current_(timestamp|date|time)|localtime(stamp)?)\b",
    re.IGNORECASE,
)
"""What asks a database for its time, in PostgreSQL's words and SQLite's."""


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """One that is some days off from the start, where a test names them."""
    clock = Clock()
    clock.jump(days=getattr(request, "param", 0))
    return clock


@asynccontextmanager
async def served(store: Store, **changes: Any) -> AsyncIterator[str]:
    async with serving(make_app(store, ServerConfig(**{"tick_seconds": 0, **changes}))) as url:
        yield url


async def code_of(asking: Awaitable[Any]) -> Problem | None:
    try:
        await asking
    except RefusedError as error:
        return error.code
    return None


async def published(store: Store, who: Party, name: str, **facts: Any) -> str:
    """Submit a fix and decide it, as a validator would."""
    answer = await who.submit_fix(name, data=name.encode(), flaw={**FLAW, "aliases": [f"TEST-{name}"], "snippet": name}, **facts)
    job = await store.take_job("v", 60)
    assert job is not None and await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch="diff")
    return answer.id


async def outsiders_see(who: Party) -> list[str]:
    return [entry.fix_id for entry in (await who.store.feed(who.caller, 0)).entries]


# -- the submitter's ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["sqlite"])
@pytest.mark.parametrize(("seconds", "taken"), [(-601, False), (-599, True), (0, True), (599, True), (601, False)])
async def test_a_submitters_clock_may_be_ten_minutes_off_either_way_and_moves_nothing_here(
    store: Store, joins: Joins, clock: Clock, seconds: int, taken: bool
) -> None:
    one = await joins("One")
    sealed = one.sealed(Verb.lease, LEASE, at=clock.now + timedelta(seconds=seconds))
    async with (
        served(store) as url,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {one.token}"}) as http,
        http.post(f"{url}/v1/lease", data=sealed) as answer,
    ):
        told = await answer.json(content_type=None)
    if taken:
        # Its hour is an hour of the server's.
        assert told["detail"]["lease"]["expires_at"] == "2026-11-25T13:00:00Z"
    else:
        assert (answer.status, told["code"]) == (403, "clock-skew")
        assert "2026-11-25T12:00:00Z" in told["detail"] and "clock" in told["hint"]


@pytest.mark.parametrize("database_url", ["sqlite"])
@pytest.mark.parametrize("hours", [-2, 2])
async def test_what_was_put_in_the_outbox_under_a_wrong_clock_is_delivered_once_it_is_right(
    store: Store, joins: Joins, clock: Clock, tmp_path: Any, hours: int
) -> None:
    clock.now = datetime.now(UTC) + timedelta(hours=hours)
    one, outbox = await joins("One"), Outbox(tmp_path / "state")
    item = outbox.put("ours", Verb.submit_finding, FINDING, key=idempotency_key("one"), subject="one")
    async with served(store) as url, Clearinghouse.connect(Place("ours", url, one.token, store.audience), one.key) as clearinghouse:
        with pytest.raises(SinkError, match="clock-skew"):
            await outbox.deliver(item, clearinghouse)
        assert [each.state for each in outbox.items()] == ["waiting"]
        clock.now = datetime.now(UTC)
        assert (await outbox.deliver(outbox.items()[0], clearinghouse)).state == "delivered"
    outbox.close()


# -- the database's ----------------------------------------------------------------------------------------------------


def test_what_asks_for_a_databases_time_is_recognised() -> None:
    asking = (
        "SELECT now()",
        "select CURRENT_TIMESTAMP",
        "UPDATE x SET at = clock_timestamp ()",
        "SELECT datetime('now')",
        "x > unixepoch()",
    )
    assert all(OWN_TIME.search(each) for each in asking)
    assert not OWN_TIME.search("SELECT until, at, created_at FROM flaws WHERE embargo_until <= %(x)s")


async def everything(store: Store, joins: Joins, clock: Clock) -> None:
    """Do one of each thing that time has a say in, and look that it is the server's."""
    one, two = await joins("One"), await joins("Two")
    lease = (await one.ask(Verb.lease, LEASE)).detail["lease"]
    assert await code_of(two.ask(Verb.lease, LEASE)) is Problem.lease_held
    _, secret = await store.create_token(one.id, [Scope.pull], expires=clock.now + timedelta(hours=2))
    hidden = await published(store, one, "hidden", embargo_until=clock.now + timedelta(hours=3))
    shown = await published(store, one, "shown")
    await two.ask(Verb.opt_out, {"project": "pkg:pypi/b", "contact": "c", "until": (clock.now + timedelta(hours=1)).isoformat()})
    await store.tick()
    assert await outsiders_see(two) == [shown] and len((await store.leases(two.caller)).items) == 1
    clock.forward(minutes=61)
    assert not (await store.leases(two.caller)).items and not (await store.opt_outs(two.caller)).items
    assert await code_of(one.ask(Verb.renew, {"lease_id": lease["id"], "fencing": lease["fencing"]})) is Problem.lease_stale
    await store.authenticate(secret)
    clock.forward(minutes=60)
    assert await code_of(store.authenticate(secret)) is Problem.unauthorised
    assert await outsiders_see(two) == [shown]
    clock.forward(minutes=60)
    await store.tick()
    assert await outsiders_see(two) == [shown, hidden]
    head = await store.head()
    assert head.head.at == clock.now and head_is_signed(head, store.ledger_key.public)
    assert (await store.verify()).problem == ""


@pytest.mark.parametrize("clock", [-4000, 4000], indirect=True)
async def test_a_databases_clock_that_is_years_off_has_no_say(store: Store, joins: Joins, clock: Clock) -> None:
    # The database runs by this machine's clock, and the server by one that is years away from it.
    async with store._database.reading() as connection:
        theirs = (await connection.execute(text("SELECT CAST(CURRENT_TIMESTAMP AS TEXT)"))).scalar_one()
    assert str(clock.now.year) not in theirs
    await everything(store, joins, clock)


async def test_no_statement_asks_the_database_for_its_time(store: Store, joins: Joins, clock: Clock) -> None:
    said: list[str] = []
    for engine in (store._database._writer, store._database._reader):
        event.listen(engine.sync_engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: said.append(statement))
    await everything(store, joins, clock)
    await store.stats()
    async with store._database.reading() as connection:
        if store._database.is_postgres:
            defaults = text(
                "SELECT column_default FROM information_schema.columns WHERE table_schema = 'public' AND column_default IS NOT NULL"
            )
        else:
            defaults = text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        made = list((await connection.execute(defaults)).scalars())
    assert len(said) > 100
    assert not [each for each in (*said, *made) if OWN_TIME.search(each)]


# -- the server's own --------------------------------------------------------------------------------------------------


async def test_an_embargo_that_ended_does_not_begin_anew_when_the_clock_goes_back(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    fix = await published(store, one, "a", embargo_until=clock.now + timedelta(hours=1))
    clock.forward(hours=1)
    await store.tick()
    clock.jump(hours=-5)
    await store.tick()
    assert await outsiders_see(two) == [fix] and (await store.fix(two.caller, fix)).state == "verified"
    flaw = {**FLAW, "aliases": ["TEST-a"], "snippet": "a"}
    late = await two.ask(Verb.submit_finding, {"flaw": flaw, "scanner": "x"}, embargo_until=clock.now + timedelta(days=5))
    assert "was released" in late.detail["embargo"]
    assert [each.fix_id for each in (await store.feed(two.caller, 0)).entries] == [fix]
    assert (await store.verify()).problem == ""


async def test_a_lease_that_another_took_over_does_not_come_back_with_the_clock(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    first = (await one.ask(Verb.lease, LEASE)).detail["lease"]
    clock.forward(minutes=61)
    second = (await two.ask(Verb.lease, LEASE)).detail["lease"]
    clock.jump(minutes=-30)
    own = {"lease_id": first["id"], "fencing": first["fencing"]}
    assert await code_of(one.ask(Verb.renew, own)) is Problem.lease_stale
    late = {"flaw": {**FLAW, "project": "pkg:pypi/a"}, "scanner": "x", **own}
    assert await code_of(one.ask(Verb.submit_finding, late)) is Problem.lease_stale
    assert [each.id for each in (await store.leases(one.caller)).items] == [second["id"]]
    assert await code_of(one.ask(Verb.lease, LEASE)) is Problem.lease_held
    await two.ask(Verb.release, {"lease_id": second["id"], "fencing": second["fencing"]})
    third = (await one.ask(Verb.lease, LEASE)).detail["lease"]
    assert first["fencing"] < second["fencing"] < third["fencing"]


async def test_a_job_that_another_validator_took_is_not_finished_by_the_first_when_the_clock_goes_back(
    store: Store, joins: Joins, clock: Clock
) -> None:
    one = await joins("One")
    await one.submit_fix("a")
    first = await store.take_job("first", 60)
    clock.forward(seconds=61)
    second = await store.take_job("second", 60)
    clock.jump(seconds=-61)
    assert first is not None and second is not None and second.fencing > first.fencing
    agreed = Validation(outcome="agreed", level=4)
    assert not await store.renew_job(first, 60)
    assert not await store.finish_job(first, agreed, FixState.verified, patch="first")
    assert await store.finish_job(second, agreed, FixState.verified, patch="second")


async def test_the_ledger_goes_on_in_its_order_whatever_the_clock_says(store: Store, joins: Joins, clock: Clock) -> None:
    one, heads = await joins("One"), []
    for hours in (0, 3, -7, 2):
        clock.jump(hours=hours)
        await one.ask(Verb.lease, {"project": f"pkg:pypi/p{hours}"})
        heads.append(await store.head())
    entries = await store.ledger_entries(0, 100)
    assert [each.index for each in entries] == list(range(len(entries)))
    assert [head.head.size for head in heads] == sorted(head.head.size for head in heads)
    for before, after in pairwise(heads):
        assert await store.consistency(before.head.size, after.head.size)
    assert (await store.verify()).problem == ""


async def test_a_clock_that_jumps_ahead_ends_no_embargo_before_its_time_passed(
    store: Store, joins: Joins, clock: Clock, database_url: str, tmp_path: Path
) -> None:
    one, two = await joins("One"), await joins("Two")
    flaw = await published(store, one, "a", embargo_until=clock.now + timedelta(days=2))
    # Its flaw is known already, so that only the fix is held.
    await two.ask(Verb.submit_finding, {"flaw": {**FLAW, "aliases": ["TEST-b"], "snippet": "b"}, "scanner": "x"})
    own = await published(store, one, "b", embargo_until=clock.now + timedelta(days=3))
    late = await one.submit_fix(
        "c", data=b"c", flaw={**FLAW, "aliases": ["TEST-c"], "snippet": "c"}, embargo_until=clock.now + timedelta(days=4)
    )
    job = await store.take_job("v", 60)
    assert job is not None
    with structlog.testing.capture_logs() as logs:
        clock.jump(days=30)
        await store.tick()
        assert await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch="diff")
        await store.tick()
        assert await outsiders_see(two) == []
        clock.forward(days=2)
        await store.tick()
        assert await outsiders_see(two) == [flaw]
        clock.forward(days=1)
        await store.tick()
        assert await outsiders_see(two) == [flaw, own]
        clock.jump(days=-30)
        await store.tick()
        assert await outsiders_see(two) == [flaw, own]
    assert [line["log_level"] for line in logs if line["event"] == "clock_jumped"] == ["error"]
    clock.jump(days=30)
    # A server that begins with the clock as it is believes it.
    async with Store.open(database_url, tmp_path / "data", clock=clock, elapsed=clock.elapsed) as anew:
        await anew.tick()
        assert await outsiders_see(two) == [flaw, own, late.id]


async def test_what_an_embargo_holds_and_a_jump_proves_stays_held(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    known = {**FLAW, "aliases": ["TEST-a"], "snippet": "a"}
    await two.ask(Verb.submit_finding, {"flaw": known, "scanner": "x"})
    fix = await one.submit_fix("a", data=b"a", flaw=known, embargo_until=clock.now + timedelta(days=2))
    clock.jump(days=30)
    job = await store.take_job("v", 60)
    assert job is not None and await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch="diff")
    assert await outsiders_see(two) == []
    clock.forward(days=2)
    await store.tick()
    assert await outsiders_see(two) == [fix.id]


async def test_nobody_gets_an_embargo_of_a_year_while_the_clock_is_a_year_ahead(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    clock.jump(days=365)
    assert await code_of(one.ask(Verb.submit_finding, FINDING, embargo_until=clock.now + timedelta(days=100))) is Problem.bad_request
    begun = clock.now - timedelta(days=365)
    flaw = await one.ask(Verb.submit_finding, FINDING, embargo_until=begun + timedelta(days=100))
    clock.jump(days=-365)
    # Nor is the longest that guesses can make of one counted from that year on.
    clock.forward(days=90)
    await two.ask(Verb.submit_finding, {**FINDING, "scanner": "x"}, embargo_until=clock.now + timedelta(days=180))
    clock.forward(days=91)
    await store.tick()
    assert not (await store.flaw(one.caller, flaw.detail["flaw"])).embargoed


@pytest.mark.parametrize("database_url", ["sqlite"])
def test_a_command_beside_the_server_does_not_end_embargoes_by_a_clock_that_is_wrong(
    tmp_path: Path, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"

    async def begin() -> tuple[Party, str]:
        async with Store.open(database_url, data, clock=clock, elapsed=clock.elapsed) as store:
            one = await party(store, clock, "One", Tier.operator, (Scope.submit,))
            answer = await one.ask(Verb.submit_finding, FINDING, embargo_until=clock.now + timedelta(days=2))
            return one, answer.detail["flaw"]

    one, flaw = asyncio.run(begin())
    clock.jump(days=30)
    opening = Store.open
    monkeypatch.setattr(Store, "open", lambda *given, **more: opening(*given, clock=clock, elapsed=clock.elapsed, **more))
    assert asyncio.run(_embargoed(data, one, flaw)), "it was over before"
    in_store(data, database_url, lambda store: store.tokens())
    assert asyncio.run(_embargoed(data, one, flaw))


async def _embargoed(data: Path, one: Party, flaw: str) -> bool:
    async with Store.open("sqlite", data, ticks=False) as store:
        return (await store.flaw(one.caller, flaw)).embargoed


async def test_a_served_clearinghouse_does_what_is_due(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    fix = await published(store, one, "a", embargo_until=clock.now + timedelta(days=2))
    async with served(store, tick_seconds=0.02):
        clock.jump(days=30)
        await asyncio.sleep(0.2)
        assert await outsiders_see(two) == [], "it leaked"
        clock.forward(days=2)
        async with asyncio.timeout(20):
            while await outsiders_see(two) != [fix]:
                await asyncio.sleep(0.02)


def test_a_watch_knows_time_that_passed_from_a_clock_that_was_set(clock: Clock) -> None:
    watch, began = ClockWatch(clock, clock.elapsed), clock.now
    # Days: what passed, what it was set ahead by, and by when things are due after that.
    for passed, jumped, due in ((3, 0, 3), (0, 0, 3), (0, 1, 3), (0, -2, 2), (0, 1, 3), (1, 0, 4), (0, 5, 4)):
        clock.forward(days=passed)
        clock.jump(days=jumped)
        assert watch.read() == (clock.now, began + timedelta(days=due)), (passed, jumped)
    watch = ClockWatch(clock, clock.elapsed)
    clock.jump(seconds=600)
    assert watch.read().due == clock.now
    clock.jump(seconds=1)
    assert watch.read().due == clock.now - timedelta(seconds=601)
