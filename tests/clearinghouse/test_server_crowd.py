"""Ten thousand connections at once, idle and dripping, from other processes: an honest client is answered, and memory has a bound."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from remediator.clearinghouse.server.accepting import Acceptor
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier
from remediator.testing.clearinghouse import FLAW, Clock, Party, party
from remediator.testing.clearinghouse_process import ServerProcess

from .waiting import PATIENCE, until

# Ten thousand need a machine that has as many files. Those that come again and again are tried with REMEDIATOR_TEST_ALL=1.
ALL = os.environ.get("REMEDIATOR_TEST_ALL") == "1"
WHOLE = pytest.mark.skipif(not ALL, reason="the worse half of ten thousand, some ten seconds: REMEDIATOR_TEST_ALL=1")
OFTEN = {"address_requests_per_second": 1e6, "address_requests_burst": 1_000_000, "connections_per_second": 50.0, "open_metrics": True}
PROCESSES = 4


@asynccontextmanager
async def crowd(url: str, wanted: int) -> AsyncIterator[Callable[[], int]]:
    """Come with so many, in four processes; give how many of them are connected."""
    port, each = url.rsplit(":", 1)[1], wanted // PROCESSES
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "remediator.testing.crowd", port, str(each), str(10 + number), stdout=asyncio.subprocess.PIPE
        )
        for number in range(PROCESSES)
    ]
    held = [0] * PROCESSES

    async def listen(number: int) -> None:
        stream = processes[number].stdout
        assert stream is not None
        while line := await stream.readline():
            held[number] = int(line)

    listening = [asyncio.create_task(listen(number)) for number in range(PROCESSES)]
    try:
        yield lambda: sum(held)
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.wait(listening)


class Answered(NamedTuple):
    """What an honest client met: seconds of each answer, and the server's own numbers at the end."""

    seconds: list[float]
    connections: int
    resident: int

    @property
    def slowest(self) -> float:
        return max(self.seconds)


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


async def honest(url: str, pid: int, member: Party, count: int) -> Answered:
    """Hand in findings, each over a connection of its own, from an address that nobody of the crowd has."""
    seconds = []
    timeout = aiohttp.ClientTimeout(total=60)
    for number in range(count):
        member.clock.now = datetime.now(UTC)
        body = {"flaw": {**FLAW, "project": f"pkg:pypi/p{number}", "aliases": [f"TEST-{time.time_ns()}"]}, "scanner": "semgrep"}
        sealed = member.sealed("submit-finding", body)
        begun = time.monotonic()
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0)), timeout=timeout) as http,
            http.post(f"{url}/v1/submit-finding", data=sealed, headers={"Authorization": f"Bearer {member.token}"}) as answer,
        ):
            assert answer.status == 201, await answer.text()
        seconds.append(time.monotonic() - begun)
    return Answered(seconds, await connections(url), resident(pid))


async def connections(url: str) -> int:
    """How many the server says that it holds; its number is up to a second old."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        found = re.search(r"^clearinghouse_connections (\d+)", await answer.text(), re.MULTILINE)
    assert found
    return int(found[1])


def bearable(before: Answered) -> float:
    """How long an answer may take, in seconds: on a machine that has other work too, all of them take longer, also without a crowd."""
    return max(5.0, 30 * before.slowest)


async def member_of(data: Path) -> Party:
    async with Store.open("sqlite", data) as store:
        return await party(store, Clock(), "Honest", Tier.operator, (Scope.submit, Scope.pull))


async def counted(url: str, least: int, most: int, seconds: float = PATIENCE) -> None:
    """Wait until the server says that it holds about so many."""
    async with asyncio.timeout(seconds):
        while not least <= await connections(url) <= most:
            await asyncio.sleep(0.2)


async def test_a_crowd_beyond_all_places_keeps_nobody_out(tmp_path: Path) -> None:
    member = await member_of(tmp_path / "data")
    async with ServerProcess.running(tmp_path / "data", connections=200, **OFTEN) as server:
        before = await honest(server.url, server.pid, member, 8)
        async with crowd(server.url, 800):
            await counted(server.url, 150, 200)
            found = await honest(server.url, server.pid, member, 8)
    assert found.connections <= 200
    assert found.slowest < bearable(before)


async def test_ten_thousand_are_held_and_an_honest_client_is_answered(tmp_path: Path) -> None:
    member = await member_of(tmp_path / "data")
    async with ServerProcess.running(tmp_path / "data", header_seconds=3600.0, **OFTEN) as server:
        before = await honest(server.url, server.pid, member, 50)
        async with crowd(server.url, 10_000) as held:
            await until(lambda: held() == 10_000, 300)
            await counted(server.url, 10_000, 11_000)
            found = await honest(server.url, server.pid, member, 60)
            print(
                f"before {before.slowest:.3f} s, {before.resident >> 20} MB; with {found.connections}: "
                f"median {sorted(found.seconds)[30]:.3f} s, slowest {found.slowest:.3f} s, {found.resident >> 20} MB"
            )
            assert found.connections >= 10_000 and held() == 10_000
        assert found.slowest < bearable(before)
        # Some 30 KB for each connection.
        assert found.resident - before.resident < 400 * 1024 * 1024
        await counted(server.url, 0, 9)
        await honest(server.url, server.pid, member, 1)


@WHOLE
async def test_ten_thousand_before_a_server_with_fewer_places(tmp_path: Path) -> None:
    member = await member_of(tmp_path / "data")
    async with ServerProcess.running(tmp_path / "data", connections=4000, **OFTEN) as server:
        before = await honest(server.url, server.pid, member, 50)
        async with crowd(server.url, 10_000):
            await counted(server.url, 3500, 4000)
            found = await honest(server.url, server.pid, member, 20)
            print(
                f"with {found.connections} of 10000: median {sorted(found.seconds)[10]:.3f} s, slowest {found.slowest:.3f} s, "
                f"{(found.resident - before.resident) >> 20} MB more"
            )
    assert found.connections <= 4000
    # Two thirds of the crowd come anew each second: on two cores that four processes of theirs share, that is what it costs.
    assert found.slowest < 20
    assert found.resident - before.resident < 300 * 1024 * 1024


async def test_a_connection_that_cannot_be_taken_in_ends_no_listening(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    honest_way, failed = Acceptor._come, []

    def broken_once(self: Acceptor, accepted: socket.socket, address: str) -> bool:
        if failed:
            return honest_way(self, accepted, address)
        failed.append(address)
        accepted.close()
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Acceptor, "_come", broken_once)
    async with serving(make_app(store, ServerConfig(tick_seconds=0))) as url, aiohttp.ClientSession() as http:
        async with asyncio.timeout(PATIENCE):
            # The client itself may try again where a connection was closed before it was answered.
            with suppress(aiohttp.ClientError):
                await http.get(f"{url}/healthz")
            async with http.get(f"{url}/healthz") as answer:
                assert answer.status == 200
    assert failed
