"""A disk that is really full, under the database and under the bundles: 503 meanwhile, nothing acknowledged is lost, and then it goes on."""

from __future__ import annotations

import asyncio
import pwd
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier
from remediator.records.record import digest_of
from remediator.testing.clearinghouse import FLAW, Clock, Party, party
from remediator.testing.postgres import Postgres

from .full_disks import Disk, disk
from .waiting import PATIENCE

MEGABYTE = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path / "small", 24) as found:
        yield found


class Online(NamedTuple):
    """A clearinghouse that is served, and one that takes part."""

    url: str
    store: Store
    member: Party
    http: aiohttp.ClientSession

    async def report(self, number: int, size: int = 15_000) -> tuple[int, dict[str, Any]]:
        """Report a flaw with so many bytes of words."""
        self.member.clock.now = datetime.now(UTC)
        flaw = {**FLAW, "project": f"pkg:pypi/p{number}", "aliases": [f"TEST-{number}"], "details": "x" * size}
        sealed = self.member.sealed("submit-finding", {"flaw": flaw, "scanner": "semgrep"}, key=f"full-disk-{number:08d}")
        async with self.http.post(f"{self.url}/v1/submit-finding", data=sealed) as answer:
            return await told(answer)

    async def bring(self, data: bytes) -> tuple[int, dict[str, Any]]:
        async with self.http.put(f"{self.url}/v1/blobs/{digest_of(data)}", data=data) as answer:
            return await told(answer)

    async def statuses(self, *paths: str) -> list[int]:
        return [(await self.http.get(self.url + path)).status for path in paths]


async def told(answer: aiohttp.ClientResponse) -> tuple[int, dict[str, Any]]:
    found = await answer.json(content_type=None)
    if answer.status >= 400:
        assert answer.content_type == "application/problem+json"
        assert int(answer.headers["Retry-After"]) == found["retry_after_seconds"] > 0
    return answer.status, found


@asynccontextmanager
async def online(database: str, data: Path) -> AsyncIterator[Online]:
    async with Store.open(database, data) as store, serving(make_app(store, ServerConfig(tick_seconds=0.2))) as url:
        member = await party(store, Clock(), "Member", Tier.operator, (Scope.submit, Scope.pull))
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {member.token}"}) as http:
            yield Online(url, store, member, http)


async def filled(found: Online, room: Disk, *gone: str) -> dict[int, dict[str, Any]]:
    """Report until no room is left, and then a little more; return what was acknowledged."""
    acknowledged, said = {}, set()
    for number in range(5):
        status, answer = await found.report(number)
        assert status == 201
        acknowledged[number] = answer
    room.fill(leave=300_000)
    refused = 0
    for number in range(5, 400):
        status, answer = await found.report(number)
        if status == 503:
            assert answer["code"] == "unavailable", answer
            said.add(answer["detail"])
            refused += 1
            if refused == 3:
                break
        else:
            assert status == 201, answer
            acknowledged[number] = answer
    assert refused == 3, "the disk was never full"
    assert said & {"no room is left where the database lies", *gone}
    return acknowledged


async def holds(found: Online, acknowledged: dict[int, dict[str, Any]]) -> None:
    """All that was acknowledged is there, once; what was refused can be sent again, and the ledger fits."""
    for number, answer in acknowledged.items():
        status, again = await found.report(number)
        assert (status, again["duplicate"], again["id"], again["ledger_index"]) == (200, True, answer["id"], answer["ledger_index"])
    last = max(acknowledged)
    for number in range(last + 1, last + 4):
        status, again = await found.report(number)
        assert (status, again["duplicate"]) == (201, False)
    numbers = await found.store.stats()
    assert numbers["findings"] == len(acknowledged) + 3
    assert (await found.store.verify()).problem == ""


async def test_a_full_disk_under_sqlite(small: Disk) -> None:
    async with online("sqlite", small.folder / "data") as found:
        acknowledged = await filled(found, small)
        # What was acknowledged can still be read: only writing needs room.
        assert await found.statuses("/healthz", "/readyz", "/v1/flaws", "/v1/ledger/head") == [200, 200, 200, 200]
        small.free()
        await holds(found, acknowledged)
    # And a server that is started anew finds the same.
    async with Store.open("sqlite", small.folder / "data") as store:
        assert (await store.verify()).problem == ""


async def test_a_server_that_starts_on_a_full_disk_says_so_and_starts_once_there_is_room(small: Disk) -> None:
    from remediator.errors import StateError

    small.fill()
    with pytest.raises(StateError, match="no room|full|space"):
        async with Store.open("sqlite", small.folder / "data"):
            raise AssertionError("it opened")
    small.free()
    async with Store.open("sqlite", small.folder / "data") as store:
        assert (await store.verify()).problem == ""


async def test_a_full_disk_under_the_bundles(small: Disk, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (small.folder / "blobs").mkdir(mode=0o700)
    (data / "blobs").symlink_to(small.folder / "blobs")
    async with online("sqlite", data) as found:
        assert (await found.bring(b"a" * 1000))[0] == 201
        small.fill(leave=MEGABYTE)
        for _ in range(2):
            status, answer = await found.bring(b"b" * 3 * MEGABYTE)
            assert (status, answer["code"]) == (503, "unavailable") and "room" in answer["detail"]
        # Nothing of what did not fit is left, so that what is smaller fits; and findings need no room there.
        assert not list((small.folder / "blobs").glob(".part-*"))
        assert (await found.bring(b"c" * 1000))[0] == 201
        assert (await found.report(1))[0] == 201
        small.free()
        assert (await found.bring(b"b" * 3 * MEGABYTE))[0] == 201
        assert (await found.bring(b"a" * 1000))[0] == 200


async def test_a_full_disk_under_postgresql(tmp_path: Path) -> None:
    # Its log of what is to be written alone takes 2 x 16 MB, and it stops by itself where that cannot grow: a segment of 1 MB each.
    nobody = pwd.getpwnam("nobody").pw_uid
    tmp_path.chmod(0o755)
    with disk(tmp_path / "cluster", 90, owner=nobody) as room:
        cluster = Postgres(room.folder, "--wal-segsize=1")
        cluster.start()
        try:
            async with online(cluster.database(), tmp_path / "data") as found:
                acknowledged = await filled(found, room, "the database does not answer")
                room.free()
                await again_ready(found, cluster)
                await holds(found, acknowledged)
        finally:
            cluster.stop("immediate")


async def again_ready(found: Online, cluster: Postgres) -> None:
    """PostgreSQL goes down by itself where its log cannot be written (its own rule): then whoever keeps it starts it again."""
    async with asyncio.timeout(PATIENCE):
        while (await found.statuses("/readyz")) != [200]:
            # It may be on its way down still when it is looked at first.
            if not cluster.is_running():
                cluster.start()
            await asyncio.sleep(0.2)
