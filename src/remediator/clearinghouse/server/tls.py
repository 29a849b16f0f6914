"""Listens for https. A connection has its place and its time from the moment it is accepted, not only once it shook hands."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from remediator.clearinghouse.server.rates import address_name

if TYPE_CHECKING:
    from remediator.clearinghouse.server.config import ServerConfig
    from remediator.clearinghouse.server.connections import Guard, GuardedHandler

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


class TlsServer:
    """One listening address. What it accepts goes through the guard twice: when it comes, and when it shook hands."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext, guard: Guard, handler: Callable[[Greeting], GuardedHandler]
    ) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._context = context
        self._guard = guard
        self._handler = handler
        self._greetings: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Accept no more; what has shaken hands goes on."""
        ending = (self._accepting, *self._greetings)
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(self._listener)
            except OSError:
                # No file is left for it, or it is gone again: the next one may be taken.
                await asyncio.sleep(_NO_FILES_SECONDS)
                continue
            greeting = Greeting(address_name(str(peer[0])), accepted, loop.time())
            if not self._guard.admit(greeting):
                accepted.close()
                continue
            greeting.task = asyncio.create_task(self._greet(greeting, accepted))
            self._greetings.add(greeting.task)
            greeting.task.add_done_callback(self._greetings.discard)

    async def _greet(self, greeting: Greeting, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            # It is cut by the guard, which knows more than a time: the one here only has to be longer.
            await loop.connect_accepted_socket(
                lambda: self._handler(greeting),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=2 * self._guard.config.header_seconds,
                ssl_shutdown_timeout=_GOODBYE_SECONDS,
            )
        except (OSError, asyncio.CancelledError):
            # Whoever speaks no TLS, or trusts us not, is gone: that is no fault of ours. A transport that took the socket closes it itself.
            accepted.close()
        finally:
            self._guard.forget(greeting)
