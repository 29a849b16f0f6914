"""Whose X-Forwarded-For is believed: of a proxy that the operator named, and of nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from remediator.clearinghouse.server.app import GUARD, make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store

from .commands_kit import assert_told, program
from .waiting import until

PROXY = frozenset(("127.0.0.1",))


@pytest.fixture
def database_url() -> str:
    return "sqlite"


@asynccontextmanager
async def running(store: Store, **changes: Any) -> AsyncIterator[tuple[str, web.Application]]:
    app = make_app(store, ServerConfig(tick_seconds=0, **changes))
    async with serving(app) as url:
        yield url, app


async def statuses(url: str, *forwarded: str, source: str = "127.0.0.1") -> list[int]:
    connector = aiohttp.TCPConnector(local_addr=(source, 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        return [(await http.get(f"{url}/healthz", headers={"X-Forwarded-For": each} if each else {})).status for each in forwarded]


SLOW = {"address_requests_per_second": 0.001, "address_requests_burst": 2}


async def test_behind_a_proxy_each_client_has_its_own_rate(store: Store) -> None:
    async with running(store, trusted_proxies=PROXY, **SLOW) as (url, _):
        assert await statuses(url, "8.8.8.1", "8.8.8.1", "8.8.8.1", "8.8.8.2", "8.8.8.2", "8.8.8.2") == [200, 200, 429, 200, 200, 429]


async def test_nobody_else_is_believed(store: Store) -> None:
    # Without a proxy, and from another address than the proxy's: whoever makes up addresses is counted as what he is.
    for trusted, source in ((frozenset(), "127.0.0.1"), (PROXY, "127.0.0.2")):
        async with running(store, trusted_proxies=trusted, **SLOW) as (url, _):
            assert await statuses(url, "8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4", source=source) == [200, 200, 429, 429], (trusted, source)


async def test_what_a_client_wrote_before_the_proxy_counts_for_nothing(store: Store) -> None:
    async with running(store, trusted_proxies=PROXY, **SLOW) as (url, _):
        assert await statuses(url, "1.1.1.1, 8.8.8.1", "2.2.2.2, 8.8.8.1", "3.3.3.3, 8.8.8.1") == [200, 200, 429]


async def test_proxies_of_ours_in_a_row_are_gone_through(store: Store) -> None:
    async with running(store, trusted_proxies=PROXY | {"10.0.0.1"}, **SLOW) as (url, _):
        assert await statuses(url, "8.8.8.1, 10.0.0.1", "8.8.8.1, 10.0.0.1", "8.8.8.1, 10.0.0.1", "8.8.8.2, 10.0.0.1") == [
            200,
            200,
            429,
            200,
        ]


async def test_all_clients_of_a_proxy_come_from_one_address_and_have_their_places(store: Store) -> None:
    for trusted, held in ((PROXY, 12), (frozenset(), 5)):
        async with running(store, trusted_proxies=trusted, connections_per_address=5) as (url, app):
            opened = [await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1])) for _ in range(12)]
            await until(lambda app=app, held=held: (app[GUARD].held, app[GUARD].reaped) == (held, 12 - held))
            for _, writer in opened:
                writer.close()


def test_a_proxy_is_named_by_its_address(tmp_path: Path) -> None:
    done = program(tmp_path, "clearinghouse", "serve", "--trusted-proxy", "proxy.example", "--listen", "127.0.0.1:0")
    assert_told(done, 2, "--trusted-proxy proxy.example", "IP address")
