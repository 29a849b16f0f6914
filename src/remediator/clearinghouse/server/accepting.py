"""Takes connections from a listening socket: a few at a time, so that a flood of them holds up nobody who is being answered.

Over TLS a connection has its place and its time from the moment it is accepted, not only once it shook hands.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from remediator.clearinghouse.server.rates import Buckets, address_name
from remediator.clearinghouse.wire.envelope import RefusedError

if TYPE_CHECKING:
    from remediator.clearinghouse.server.config import ServerConfig
    from remediator.clearinghouse.server.connections import Guard, GuardedHandler

_log = structlog.get_logger()
_AT_ONCE, _LOOKED_AT = 16, 512
"""Taken in, and looked at, before others have their turn. asyncio's own server takes in as many as wait: in a flood, a second's work."""
_SLOWER = 10
"""By how much fewer an address may bring anew that has more than its share while all places are taken: each pushes another out."""
_NO_FILES_SECONDS = 0.1
_GOODBYE_SECONDS = 5.0


class Greeting:
    """A connection that has not shaken hands yet. asyncio by itself tells nobody of it, and waits a minute for it."""

    def __init__(self, address: str, accepted: socket.socket, now: float) -> None:
        self.address = address
        self.waiting_since: float | None = now
        self.task: asyncio.Task[None] | None = None
        self._accepted = accepted

    def stands_still(self, now: float, config: ServerConfig) -> bool:
        """Return whether it took as long as a head may."""
        return self.waiting_since is not None and now - self.waiting_since > config.header_seconds

    def cut(self) -> None:
        """Close at once."""
        if self.task is not None:
            self.task.cancel()
        with suppress(OSError):
            self._accepted.shutdown(socket.SHUT_RDWR)


class Acceptor:
    """One listening address, from `start` until `close`."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext | None, guard: Guard, handler: Callable[[Greeting | None], GuardedHandler]
    ) -> None:
        config = guard.config
        self._listener = listener
        self._context = context
        self._guard = guard
        self._handler = handler
        self._rate = Buckets(config.connections_per_second, config.connections_burst, time.monotonic)
        self._slow_rate = Buckets(config.connections_per_second / _SLOWER, max(1, config.connections_burst / _SLOWER), time.monotonic)
        self._coming: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to accept."""
        self._accepting = asyncio.create_task(self._accept(), name="clearinghouse-acceptor")

    async def close(self) -> None:
        """Accept no more; who is in goes on."""
        ending = (*self._coming, *([self._accepting] if self._accepting else []))
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                taken = 0
                for _ in range(_LOOKED_AT):
                    accepted, peer = await loop.sock_accept(self._listener)
                    taken += self._come(accepted, address_name(str(peer[0])))
                    if taken == _AT_ONCE:
                        break
            except OSError:
                # No file is left for it, or it is gone again: the next one may be taken.
                await asyncio.sleep(_NO_FILES_SECONDS)
            except Exception:
                # Whatever one connection does, the listening goes on for all others.
                _log.exception("a connection could not be taken in")
                await asyncio.sleep(_NO_FILES_SECONDS)
            # What waits already is accepted without one: the others' turn has to be given to them.
            await asyncio.sleep(0)

    def _come(self, accepted: socket.socket, address: str) -> bool:
        """Take a connection in, or close it; return which."""
        if address not in self._guard.config.trusted_proxies:
            try:
                (self._slow_rate if self._guard.is_crowded_by(address) else self._rate).take(address)
            except RefusedError:
                self._guard.refused += 1
                accepted.close()
                return False
        greeting = None
        if self._context is not None:
            greeting = Greeting(address, accepted, asyncio.get_running_loop().time())
            if not self._guard.admit(greeting):
                accepted.close()
                return False
        task = asyncio.create_task(self._connect(accepted, greeting))
        if greeting is not None:
            greeting.task = task
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        return True

    async def _connect(self, accepted: socket.socket, greeting: Greeting | None) -> None:
        times = {}
        if self._context is not None:
            # It is cut by the guard, which knows more than a time: the one here only has to be longer.
            times = {"ssl_handshake_timeout": 2 * self._guard.config.header_seconds, "ssl_shutdown_timeout": _GOODBYE_SECONDS}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self._handler(greeting), accepted, ssl=self._context, **times)
        except (OSError, asyncio.CancelledError):
            # Whoever speaks no TLS, or trusts us not, is gone: that is no fault of ours. A transport that took the socket closes it itself.
            accepted.close()
        finally:
            if greeting is not None:
                self._guard.forget(greeting)
