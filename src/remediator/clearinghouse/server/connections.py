"""Holds connections to their limits: aiohttp by itself waits for ever for a head, and for a reader, and takes any number of them."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from remediator.clearinghouse.server.accepting import Acceptor, Greeting
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.problems import of_status, problem
from remediator.clearinghouse.server.rates import address_name
from remediator.errors import ConfigError

_FILES_KEPT_BACK = 128
_SWEEP_SECONDS = 0.5
_LINGER_SECONDS = 2.0
_KEEPALIVE_SECONDS = 3600.0  # ours is shorter, and knows why

Answered = Callable[[web.BaseRequest, web.StreamResponse], None]


class Held(Protocol):
    """What has a place: a connection, or one that has not shaken hands yet."""

    address: str
    waiting_since: float | None

    def stands_still(self, now: float, config: ServerConfig) -> bool:
        """Return whether it was given time enough."""

    def cut(self) -> None:
        """Close at once."""


class Guard:
    """Every open connection of one server. Refuses those above the limits and closes those that stand still."""

    def __init__(self, config: ServerConfig, answered: Answered) -> None:
        self.config = config
        self.answered = answered
        self.refused = 0
        self.reaped = 0
        self.most = min(config.connections, _files(config.connections + _FILES_KEPT_BACK) - _FILES_KEPT_BACK)
        self._open: dict[Held, None] = {}
        self._of_address: dict[str, dict[Held, None]] = {}

    @property
    def held(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def is_crowded_by(self, address: str) -> bool:
        """Return whether all places are taken, and this address has its share of them or more."""
        return self.held >= self.most and len(self._of_address.get(address, ())) * len(self._of_address) >= self.most

    def admit(self, connection: Held) -> bool:
        """Take a connection in, or return False. Where all places are taken, the one that asked for nothing longest has to go.

        Where an address has all of its own places taken, it is one of its own; a proxy of ours has as many as there are, for all behind it.
        """
        own = self._of_address.get(connection.address, {})
        alone = connection.address not in self.config.trusted_proxies
        crowded = own if alone and len(own) >= self.config.connections_per_address else self._open if self.held >= self.most else None
        if crowded is not None and not self._made_room(crowded):
            self.refused += 1
            return False
        self._open[connection] = None
        self._of_address.setdefault(connection.address, {})[connection] = None
        return True

    def forget(self, connection: Held) -> None:
        """Drop a connection that is closed; one that was never taken in is no matter."""
        if connection not in self._open:
            return
        del self._open[connection]
        own = self._of_address[connection.address]
        del own[connection]
        if not own:
            del self._of_address[connection.address]

    def waits(self, connection: Held) -> None:
        """Put a connection that finished its request behind all others, so that room is made at the cost of the idle."""
        if connection in self._open:
            for order in (self._open, self._of_address[connection.address]):
                del order[connection]
                order[connection] = None

    async def reap(self) -> None:
        """Close what stands still, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            for connection in [each for each in self._open if each.stands_still(now, self.config)]:
                self._close(connection)

    def _made_room(self, crowded: dict[Held, None]) -> bool:
        idle = next((each for each in crowded if each.waiting_since is not None), None)
        if idle is None:
            return False
        self._close(idle)
        return True

    def _close(self, connection: Held) -> None:
        self.reaped += 1
        self.forget(connection)
        connection.cut()


class GuardedHandler(RequestHandler):
    """aiohttp's connection, which also knows since when it waits, and answers what is no HTTP with a problem."""

    __slots__ = ("_gone", "address", "greeting", "guard", "stuck_since", "waiting_since")

    def __init__(
        self, guard: Guard, manager: web.Server, loop: asyncio.AbstractEventLoop, greeting: Greeting | None = None, **options: Any
    ) -> None:
        super().__init__(manager, loop=loop, access_log=None, **options)  # type: ignore[arg-type]
        self.guard = guard
        self.greeting = greeting
        self._gone: asyncio.Event | None = None
        self.address = "unknown"
        self.waiting_since: float | None = loop.time()
        self.stuck_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or say that there are too many and close it."""
        peer = transport.get_extra_info("peername")
        self.address = address_name(str(peer[0])) if isinstance(peer, tuple) else "unknown"
        super().connection_made(transport)
        if self.greeting is not None:
            # The place that it had while it shook hands is its own now: it must not push itself out.
            self.guard.forget(self.greeting)
        if not self.guard.admit(self):
            assert isinstance(transport, asyncio.Transport)
            transport.write(_FULL)
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place free."""
        self.guard.forget(self)
        if self._gone is not None:
            self._gone.set()
        super().connection_lost(exc)

    async def gone(self) -> None:
        """Wait until nobody is there any more."""
        if self.transport is None:
            return
        self._gone = self._gone or asyncio.Event()
        await self._gone.wait()

    def pause_writing(self) -> None:
        """Note since when nobody reads what we send."""
        self.stuck_since = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that somebody reads again."""
        self.stuck_since = None
        super().resume_writing()

    def begun(self) -> None:
        """Note that a request is being answered: from here on its handler keeps the time."""
        self.waiting_since = None

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """Note that a request was answered; aiohttp calls this for every one of them."""
        self.waiting_since = self._loop.time()
        self.guard.waits(self)
        self.guard.answered(request, response)

    def stands_still(self, now: float, config: ServerConfig) -> bool:
        """Return whether neither a head nor a reader came in time."""
        waits = self.waiting_since is not None and now - self.waiting_since > config.header_seconds
        return waits or (self.stuck_since is not None and now - self.stuck_since > config.write_seconds)

    def cut(self) -> None:
        """Close at once; what was not read yet is lost."""
        transport = self.transport
        self.force_close()
        if isinstance(transport, asyncio.Transport):
            transport.abort()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what could not be read as HTTP. The library's own text would say the bytes back, and log them."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        answer = problem(of_status(status), status=status)
        answer.force_close()
        return answer


class GuardedSite(web.BaseSite):
    """A listening address whose connections are guarded."""

    def __init__(self, runner: web.AppRunner, guard: Guard, host: str, port: int, ssl_context: ssl.SSLContext | None = None) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=4096)
        self._guard = guard
        self._host = host
        self._port = port
        self._acceptor: Acceptor | None = None

    @property
    def name(self) -> str:
        """Return the address as a URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl_context else 'http'}://{host}:{self._port}"

    async def start(self) -> None:
        """Listen. Port 0 becomes the port that was found free. Raises ConfigError where that address cannot be had."""
        await super().start()
        loop = asyncio.get_running_loop()
        manager = self._runner.server
        assert manager is not None

        def connection(greeting: Greeting | None) -> GuardedHandler:
            return GuardedHandler(
                self._guard,
                manager,
                loop,
                greeting,
                keepalive_timeout=_KEEPALIVE_SECONDS,
                lingering_time=_LINGER_SECONDS,
                auto_decompress=False,
                max_headers=64,
            )

        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family, backlog=self._backlog)
        except OSError as error:
            told = f"cannot listen on {self._host}:{self._port}: {error.strerror or error}"
            raise ConfigError(told, hint="another address or port; port 0 takes a free one") from error
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        self._acceptor = Acceptor(listener, self._ssl_context, self._guard, connection)
        self._acceptor.start()

    async def stop(self) -> None:
        """Listen no more; what is connected goes on."""
        if self._acceptor is not None:
            await self._acceptor.close()
        await super().stop()


def _files(wanted: int) -> int:
    """Return how many files this process may have open, after asking for as many as are wanted: a shell's own limit is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _written(answer: web.Response) -> bytes:
    body = answer.body
    assert isinstance(body, bytes)
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {answer.content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Retry-After: 2\r\nConnection: close\r\n\r\n".encode() + body


_FULL = _written(problem(of_status(503)))
