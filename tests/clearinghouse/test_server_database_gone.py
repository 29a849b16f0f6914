"""PostgreSQL loses its power in the middle of the load, and comes back: 503 meanwhile, and nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from remediator.clearinghouse.server import public
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState, Scope, Tier, Verb
from remediator.testing.clearinghouse import FLAW, Clock, Party
from remediator.testing.clearinghouse_process import UNHINDERED
from remediator.testing.postgres import Postgres

from .waiting import until

Joins = Callable[..., Awaitable[Party]]
WORKERS = 6


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
async def url(store: Store) -> AsyncIterator[str]:
    async with serving(make_app(store, UNHINDERED._replace(tick_seconds=0.1, heartbeat_seconds=0.2))) as found:
        yield found


class Load:
    """Reports one flaw after the other, each until it is acknowledged, as the outbox would."""

    def __init__(self, url: str, party: Party) -> None:
        self.url, self.party = url, party
        self.acknowledged: dict[int, dict[str, Any]] = {}
        self.refused: list[dict[str, Any]] = []
        self.stopping = False
        self._next = 0

    async def work(self) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.party.token}"}) as http:
            while not self.stopping:
                number, self._next = self._next, self._next + 1
                while number not in self.acknowledged:
                    await self.ask(http, number)

    async def ask(self, http: aiohttp.ClientSession, number: int) -> dict[str, Any]:
        self.party.clock.now = datetime.now(UTC)
        body = {"flaw": {**FLAW, "project": f"pkg:pypi/p{number}", "aliases": [f"TEST-{number}"]}, "scanner": "semgrep"}
        sealed = self.party.sealed(Verb.submit_finding, body, key=f"database-gone-{number:06d}")
        async with http.post(f"{self.url}/v1/submit-finding", data=sealed) as answer:
            told: dict[str, Any] = await answer.json(content_type=None)
        if answer.status in (200, 201):
            self.acknowledged.setdefault(number, told)
            return told
        assert (answer.status, answer.content_type, told["code"]) == (503, "application/problem+json", "unavailable"), told
        assert int(answer.headers["Retry-After"]) > 0
        self.refused.append(told)
        await asyncio.sleep(0.05)
        return told


async def published(store: Store, who: Party, name: str) -> str:
    answer = await who.submit_fix(name, data=name.encode(), flaw={**FLAW, "aliases": [f"FIX-{name}"], "snippet": name})
    job = await store.take_job("v", 60)
    assert job is not None and await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch="diff")
    return answer.id


class Reader:
    """Follows the stream as a subscriber does: where it breaks off, it asks again for what comes after the last id that it has."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.got: list[str] = []
        self.ids: list[str] = []
        self.connections = 0

    async def follow(self) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.token}"}) as http:
            while True:
                last = {"Last-Event-ID": self.ids[-1]} if self.ids else {}
                async with http.get(f"{self.url}/v1/feed/stream", headers=last) as answer:
                    self.connections += answer.status == 200
                    while answer.status == 200 and (line := await answer.content.readline()):
                        name, _, value = line.decode().rstrip("\n").partition(": ")
                        if name == "id":
                            self.ids.append(value)
                        elif name == "data":
                            self.got.append(value)
                await asyncio.sleep(0.1)


async def test_a_database_that_goes_and_comes_back_loses_and_doubles_nothing(
    url: str, store: Store, joins: Joins, clock: Clock, postgres: Postgres
) -> None:
    clock.now = datetime.now(UTC)
    member, hospital = await joins("Member"), await joins("Hospital", Tier.operator, (Scope.pull,))
    fixes = [await published(store, member, "before")]
    load, reader, ready = Load(url, member), Reader(url, hospital.token), [0]

    async def watch() -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                begun = time.monotonic()
                status = (await http.get(f"{url}/readyz")).status
                took = time.monotonic() - begun
                assert took < 15
                # A database that is gone says so at once: what took all the time that it may is of a machine that is busy.
                if status != ready[-1] and (status == 200 or took < public.READY_SECONDS):
                    ready.append(status)
                assert (await http.get(f"{url}/healthz")).status == 200
                await asyncio.sleep(0.05)

    beside = [asyncio.create_task(each) for each in (watch(), reader.follow())]
    workers = [asyncio.create_task(load.work()) for _ in range(WORKERS)]
    await until(lambda: len(load.acknowledged) > 20 and len(reader.got) == len(fixes))
    await asyncio.to_thread(postgres.stop, "immediate")
    await until(lambda: len(load.refused) > 10 and ready[-1] == 503)
    await asyncio.to_thread(postgres.start)
    already = len(load.acknowledged)
    await until(lambda: len(load.acknowledged) > already + 20 and ready[-1] == 200)
    fixes.append(await published(store, member, "after"))
    await until(lambda: len(reader.got) == len(fixes))
    load.stopping = True
    await asyncio.wait(workers)
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    assert all(task.cancelled() for task in beside)
    for task in workers:
        task.result()

    assert ready == [0, 200, 503, 200]
    # Without a gap, without a repeat, and it did break off.
    assert [each for fix in fixes for each in reader.got if fix in each] == reader.got and reader.ids == ["1", "2"]
    assert reader.connections >= 2
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {member.token}"}) as http:
        for number, first in sorted(load.acknowledged.items()):
            again = await load.ask(http, number)
            assert (again["id"], again["ledger_index"], again["duplicate"]) == (first["id"], first["ledger_index"], True)
    assert (await store.stats())["findings"] == len(load.acknowledged) + len(fixes)
    assert (await store.verify()).problem == ""
