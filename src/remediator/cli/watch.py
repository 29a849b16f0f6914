"""`remediator pull --watch` and `--exec`: follows a feed until it is told to end, and calls a program for each new patch."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.calling import Calls
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.client.subscriber import Pulled, Subscriber
    from remediator.cli.match import Planned

_PATIENCE_SECONDS = 30.0
"""How long a program that runs may go on after SIGTERM."""


class Wanted(NamedTuple):
    """What the command line asked for."""

    name: str
    sboms: tuple[Path, ...]
    out: Path
    feeds: Path | None
    exposed: bool | None
    program: list[str]
    interval: int


def called(session: Session, wanted: Wanted, found: Planned | None, code: int) -> int:
    """Call the program for what it was not called for yet; return `code`, or 3 where a call failed. `found` is what matches, if asked."""
    from remediator.clearinghouse.client.calling import Calls
    from remediator.clearinghouse.client.subscriber import Subscriber

    calls = Calls(Subscriber(session.settings.state, wanted.name), wanted.program)
    with calls.locked():
        watch = _Watch(session, wanted, calls)
        if found is not None:
            watch.matches(found)
        asyncio.run(_interruptible(watch.stop, watch.call()))
        if watch.left():
            session.talk("the program is called again by the next pull with --exec")
            return 3
    return code


def watched(session: Session, wanted: Wanted) -> int:
    """Follow the feed until SIGINT or SIGTERM; return 0. Raises what asking later cannot mend."""
    from remediator.clearinghouse.client.calling import Calls
    from remediator.clearinghouse.client.subscriber import Subscriber

    subscriber = Subscriber(session.settings.state, wanted.name)
    subscriber.read()
    calls = Calls(subscriber, wanted.program) if wanted.program else None
    with ExitStack() as stack:
        if calls is not None:
            stack.enter_context(calls.locked())
        watch = _Watch(session, wanted, calls)
        asyncio.run(_interruptible(watch.stop, watch.run(subscriber)))
    return 0


async def _interruptible(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> None:
    """Do the work. A signal asks it to stop, a second one does not let it finish; either way that is how it ends in order."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)

    def pressed(number: int) -> None:
        if stop.is_set():
            task.cancel()
        elif number == signal.SIGTERM:
            # Who ends a service does not wait for a program that may take minutes.
            loop.call_later(_PATIENCE_SECONDS, task.cancel)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, pressed, number)
    try:
        await task
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


class _Watch:
    def __init__(self, session: Session, wanted: Wanted, calls: Calls | None) -> None:
        self.stop = asyncio.Event()
        self._session, self._wanted, self._calls = session, wanted, calls
        self._news = asyncio.Event()
        self._matches: dict[str, list[dict[str, Any]]] = {}
        self._seen: object = None

    async def run(self, subscriber: Subscriber) -> None:
        """Follow and call until `stop` is set. What is being called then comes to its end."""
        following = asyncio.ensure_future(self._follow(subscriber))
        calling = asyncio.ensure_future(self._call_on())
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            done, _ = await asyncio.wait((following, calling, stopped), return_when=asyncio.FIRST_COMPLETED)
            if stopped in done:
                self._session.talk("stopping" if self._calls is None else "stopping: a program that was called comes to its end")
                self._news.set()
                await calling
            for each in done - {stopped}:
                each.result()
        finally:
            for each in (following, calling, stopped):
                each.cancel()
            await asyncio.wait((following, calling, stopped))

    def matches(self, found: Planned) -> None:
        """Take what matches: only that is called for."""
        made: dict[str, list[dict[str, Any]]] = {}
        for row in found.rows:
            made.setdefault(str(row.facts["fix_id"]), []).append(dict(row.facts))
        self._matches = made

    def left(self) -> bool:
        """Return whether the program has still to be called."""
        return self._calls is not None and bool(self._calls.left(self._relevant()))

    async def call(self) -> float | None:
        """Make the calls that are due; return the seconds until the next is, or None."""
        if self._calls is None:
            return None
        return await self._calls.make(self._calls.left(self._relevant()), self._matches, self._say, self.stop)

    def _relevant(self) -> frozenset[str] | None:
        return frozenset(self._matches) if self._wanted.sboms else None

    async def _call_on(self) -> None:
        # Not before the first pull: what to call for is known then.
        await self._news.wait()
        while not self.stop.is_set():
            self._news.clear()
            wait = await self.call()
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _follow(self, subscriber: Subscriber) -> None:
        from remediator.clearinghouse.client.following import Pace, follow

        await follow(subscriber, self._connected(subscriber), self._brought, self._say, Pace(interval=float(self._wanted.interval)))

    def _connected(self, subscriber: Subscriber) -> Any:
        from remediator.clearinghouse.client.http import Clearinghouse
        from remediator.cli.pull import place_of

        @asynccontextmanager
        async def connect() -> AsyncIterator[Clearinghouse]:
            # The token is read anew with each connection: it may have been replaced.
            place = await asyncio.to_thread(place_of, self._session, subscriber)
            async with Clearinghouse.connect(place) as clearinghouse:
                yield clearinghouse

        return connect

    async def _brought(self, pulled: Pulled, _: Clearinghouse) -> None:
        from remediator.clearinghouse.client.subscriber import Subscriber
        from remediator.cli.receipts import hand_over_beside

        seen = (pulled.cursor, *(_stamp(path) for path in self._wanted.sboms))
        if seen != self._seen:
            self._tell(pulled)
            await asyncio.to_thread(self._match)
            self._seen = seen
            self._news.set()
        await hand_over_beside(self._session, Subscriber(self._session.settings.state, self._wanted.name))

    def _match(self) -> None:
        """Match anew where that was asked for, and write the plan. Raises SinkError where a file cannot be read: that is tried again."""
        from remediator.clearinghouse.priority.feeds import FeedError
        from remediator.clearinghouse.sbom import SbomError
        from remediator.cli.match import planned
        from remediator.errors import SinkError

        told = self._wanted
        if not told.sboms:
            return
        try:
            found = planned(self._session, told.name, told.sboms, told.out, feeds=told.feeds, exposed=told.exposed)
        except (SbomError, FeedError) as error:
            # Such as one that is being written anew just now.
            raise SinkError(error.message) from error
        self.matches(found)
        self._say(f"{len(found.rows)} hit{'s' * (len(found.rows) != 1)}; wrote {told.out}")

    def _tell(self, pulled: Pulled) -> None:
        from remediator.cli.documents import selected
        from remediator.cli.pull import tell_pulled

        if self._session.json is None:
            tell_pulled(self._session, pulled)
            return
        import click

        click.echo(json.dumps(selected(pulled.as_json(), self._session.json)))

    def _say(self, text: str) -> None:
        from remediator.cli.console import safe

        self._session.talk(safe(text))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
