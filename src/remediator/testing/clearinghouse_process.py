"""A clearinghouse in a process of its own, which can be killed like one: for tests and benchmarks."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.settled import settle
from remediator.clearinghouse.store import Store
from remediator.errors import StateError

_START_SECONDS = 180.0
UNHINDERED = ServerConfig(
    requests_per_second=1e6,
    requests_burst=1_000_000,
    address_requests_per_second=1e6,
    address_requests_burst=1_000_000,
    connections_per_second=1e6,
)
"""What one client on one machine needs to put a server under the load of many: all limits but those on how often one may ask."""


class ServerProcess:
    """One running server."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.url = url

    @classmethod
    async def start(cls, data: Path, database: str = "sqlite", **changes: Any) -> ServerProcess:
        """Start it, and wait until it listens. `changes` are to its limits. Raises StateError."""
        log = await asyncio.to_thread((data.parent / f"{data.name}.log").open, "ab")
        with log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, str(data), database, json.dumps(changes), stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_SECONDS):
                url = (await process.stdout.readline()).decode().strip()
        except TimeoutError:
            url = ""
        if not url:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise StateError("the server did not start", hint=f"{log.name} says why")
        return cls(process, url)

    @classmethod
    @asynccontextmanager
    async def running(cls, data: Path, database: str = "sqlite", **changes: Any) -> AsyncIterator[ServerProcess]:
        """Run it meanwhile."""
        found = await cls.start(data, database, **changes)
        try:
            yield found
        finally:
            await found.stop()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    async def kill(self) -> None:
        """End it as a power cut would: it is told nothing."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> int:
        """Ask it to end; return its exit code."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        return await self._process.wait()


async def _serve(data: Path, database: str, config: ServerConfig) -> None:
    # As the served command does unless it is told more; on standard output they would fill a pipe that nobody reads.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Store.open(database, data) as store, serving(make_app(store, config)) as url:
        settle()
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2], UNHINDERED._replace(**json.loads(sys.argv[3]))))
