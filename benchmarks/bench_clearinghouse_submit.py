"""Verified-signature submissions a second, and how long one takes, on SQLite and on PostgreSQL, over HTTP on loopback.

The client runs on the same cores as server and database. Envelopes are signed before the clock starts; the server verifies each one.
`closed`: 64 connections, each asks again as soon as it was answered. `open`: requests leave on a timetable at the budget's rate, and
their time counts from there, so that a server that falls behind is not spared.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier, Verb
from remediator.records.record import digest_of
from remediator.testing.clearinghouse import Clock, Party, party
from remediator.testing.clearinghouse_process import ServerProcess
from remediator.testing.postgres import Postgres

BUDGET = {"sqlite": 200, "postgresql": 500}
BUDGET_P99_MS = 250
CONNECTIONS = 64
BUNDLE = b"a bundle that many fixes share: its bytes are not what is measured"


class Sent(NamedTuple):
    """A request that is ready to leave."""

    path: str
    token: str
    body: bytes


class Took(NamedTuple):
    """What was measured."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


class WallClock(Clock):
    """The time as it is, since the server's clock is."""

    def __call__(self):
        from remediator.clearinghouse.store.store import utc_now

        return utc_now()


def finding(who: Party, number: int) -> Sent:
    body = {"flaw": flaw(number), "scanner": "semgrep", "rule_id": "yaml-load"}
    return Sent("/v1/submit-finding", who.token, who.sealed(Verb.submit_finding, body))


def fix(who: Party, number: int) -> Sent:
    named = {"submission_id": f"sub-{number}", "patch_id": f"patch-{number}", "bundle": digest_of(BUNDLE), "bundle_bytes": len(BUNDLE)}
    return Sent("/v1/submit-fix", who.token, who.sealed(Verb.submit_fix, {"flaw": flaw(number), **named, "claimed_level": 4}))


def flaw(number: int) -> dict:
    return {
        "project": f"pkg:pypi/project-{number % 997}",
        "version": "1.2.3",
        "path": f"src/part_{number % 89}/module.py",
        "cwe": [502],
        "snippet": f"config = yaml.load(stream_{number}, Loader=yaml.Loader)",
        "aliases": [f"GHSA-{number:012d}"],
        "severity": "high",
        "title": "yaml.load on what a client sends",
        "details": "What a client sends is read by a loader that can call any function. " * 6,
        "line": 10 + number % 400,
    }


async def sent(http: aiohttp.ClientSession, url: str, each: Sent) -> bool:
    try:
        async with http.post(url + each.path, data=each.body, headers={"Authorization": f"Bearer {each.token}"}) as answer:
            await answer.read()
            return answer.status == 201
    except aiohttp.ClientError:
        return False


async def closed(http: aiohttp.ClientSession, url: str, requests: list[Sent]) -> Took:
    left, times, failed = iter(requests), [], 0

    async def ask() -> None:
        nonlocal failed
        for each in left:
            began = time.perf_counter()
            failed += not await sent(http, url, each)
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(ask())
    return took(times, time.perf_counter() - began, failed)


async def opened(http: aiohttp.ClientSession, url: str, requests: list[Sent], rate: float) -> Took:
    times, failed, began = [], 0, time.perf_counter()

    async def ask(each: Sent, due: float) -> None:
        nonlocal failed
        failed += not await sent(http, url, each)
        times.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for number, each in enumerate(requests):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            group.create_task(ask(each, due))
    return took(times, time.perf_counter() - began, failed)


def took(times: list[float], seconds: float, failed: int) -> Took:
    ordered = sorted(times)
    return Took(len(times) / seconds, 1000 * ordered[len(ordered) // 2], 1000 * ordered[int(len(ordered) * 0.99)], failed)


async def measure(name: str, database: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        async with Store.open(database, data) as store:
            clock = WallClock()
            who = [await party(store, clock, f"Organisation {n}", Tier.operator, (Scope.submit,)) for n in range(4)]
            for each in who:
                await each.put(BUNDLE)
        rate = BUDGET[name]
        count = int(seconds * rate * 1.4)
        async with ServerProcess.running(data, database) as server, session() as http:
            base = 0
            for label, made in (("submit-finding", finding), ("submit-fix", fix)):
                base = await part(http, server.url, name, label, made, who, base, count, rate, seconds)
        async with Store.open(database, data) as store:
            found = await store.verify()
        # Nothing counts where what was acknowledged cannot be shown to be there.
        assert not found.problem, found.problem
        print(f"| {name} | ledger verified | {found.size} entries | | | | |")


async def part(http, url, name, label, made, who, base, count, rate, seconds) -> int:
    # The client's own garbage collection would count as the server's time: it shares the cores and holds every envelope.
    gc.collect()
    gc.freeze()
    gc.disable()
    warm = [made(who[n % len(who)], base + n) for n in range(200)]
    await closed(http, url, warm)
    base += len(warm)
    burst = [made(who[n % len(who)], base + n) for n in range(count)]
    told(name, label, "closed, 64 connections", await closed(http, url, burst), rate)
    base += len(burst)
    steady = [made(who[n % len(who)], base + n) for n in range(int(seconds * rate))]
    told(name, label, f"open, {rate} a second", await opened(http, url, steady, rate), rate)
    return base + len(steady)


def told(name: str, label: str, how: str, found: Took, rate: float) -> None:
    verdict = "met" if not found.failed and found.p99_ms < BUDGET_P99_MS and found.per_second >= rate * 0.99 else "MISSED"
    print(
        f"| {name} | {label} | {how} | {found.per_second:.0f} ({found.per_second / rate:.2f} ×) | {found.p50_ms:.0f} ms "
        f"| {found.p99_ms:.0f} ms ({found.p99_ms / BUDGET_P99_MS:.2f} ×) | {verdict}{f', {found.failed} failed' if found.failed else ''} |",
        flush=True,
    )


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS * 4)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as http:
        yield http


async def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=15)
    asked.add_argument("--only", choices=sorted(BUDGET))
    options = asked.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; budget {BUDGET}, p99 under {BUDGET_P99_MS} ms")
    print("| database | verb | load | a second (of budget) | p50 | p99 (of budget) | |\n|---|---|---|---|---|---|---|")
    if options.only != "postgresql":
        await measure("sqlite", "sqlite", options.seconds)
    if options.only != "sqlite":
        with tempfile.TemporaryDirectory(prefix="pg-") as folder:
            cluster = Postgres(Path(folder))
            cluster.start()
            try:
                await measure("postgresql", cluster.database(), options.seconds)
            finally:
                cluster.stop()


if __name__ == "__main__":
    asyncio.run(main())
