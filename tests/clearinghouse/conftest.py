"""A clearinghouse's store on both databases, and organisations that take part."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier
from remediator.testing.clearinghouse import Clock, Party, party
from remediator.testing.postgres import Postgres


def _in_memory() -> str | None:
    """Return where files need no disk: hundreds of databases are made here, and each of their commits waits for one."""
    place = Path("/dev/shm")
    return str(place) if place.is_dir() and shutil.disk_usage(place).free > 2 * 1024**3 else None


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ch-", dir=_in_memory(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not pytest's own folder: its path is too long for a socket, and closed to other users.
    with tempfile.TemporaryDirectory(prefix="pg-", dir=_in_memory()) as folder:
        cluster = Postgres(Path(folder))
        cluster.start()
        yield cluster
        cluster.stop("immediate")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    return "sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres").database()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(database_url: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with Store.open(database_url, tmp_path / "data", clock=clock, elapsed=clock.elapsed) as made:
        yield made


@pytest.fixture
def joins(store: Store, clock: Clock) -> Callable[..., Awaitable[Party]]:
    """Makes an organisation take part."""
    everything = (Scope.submit, Scope.assess, Scope.pull)

    async def join(name: str, tier: Tier = Tier.operator, scopes: tuple[Any, ...] = everything) -> Party:
        return await party(store, clock, name, tier, scopes)

    return join
