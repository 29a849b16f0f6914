"""Connections that want nothing: thousands of them, from a process and addresses of its own, for a test of who is answered meanwhile."""

from __future__ import annotations

import asyncio
import resource
import sys
from contextlib import suppress

_DRIP_SECONDS = 2.0
_AT_ONCE = 200
_GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Crowd:
    """Holds as many connections as it is told; what is closed is opened again. A third says nothing, a third drips, a third asked once."""

    def __init__(self, port: int, wanted: int, network: int) -> None:
        self._port = port
        self._wanted = wanted
        self._network = network
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self.held = 0

    async def gather(self) -> None:
        """Come, and stay until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._wanted):
                group.create_task(self._stay(number))
            group.create_task(self._tell())

    async def _stay(self, number: int) -> None:
        while True:
            writer = None
            with suppress(OSError):
                async with self._gate:
                    source = (f"127.0.{self._network}.{1 + number // 500}", 0)
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=source, limit=2048)
                self.held += 1
                try:
                    await self._wait(number % 3, reader, writer)
                finally:
                    self.held -= 1
                    writer.close()
            # The lot of whoever is refused: else this would be a test of how fast connections are made.
            await asyncio.sleep(1)

    async def _wait(self, kind: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == 2:
            writer.write(_GET)
        if kind != 1:
            while await reader.read(2048):
                pass
            return
        writer.write(b"GET /healthz HTTP/1.1\r\nX: ")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(_DRIP_SECONDS)

    async def _tell(self) -> None:
        while True:
            sys.stdout.write(f"{self.held}\n")
            sys.stdout.flush()
            await asyncio.sleep(0.5)


def raised_files(wanted: int) -> int:
    """Ask for so many open files in this process; return how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    found, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if found == resource.RLIM_INFINITY else found


if __name__ == "__main__":
    port, wanted, network = (int(each) for each in sys.argv[1:4])
    raised_files(wanted + 100)
    with suppress(KeyboardInterrupt):
        asyncio.run(Crowd(port, wanted, network).gather())
