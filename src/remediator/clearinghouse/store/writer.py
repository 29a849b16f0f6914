"""One writer: what many ask within a few milliseconds is one transaction, and nobody is answered before it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import structlog

from remediator.clearinghouse.store.batch import Batch
from remediator.clearinghouse.store.clock_watch import ClockWatch
from remediator.clearinghouse.store.database import Database
from remediator.clearinghouse.store.ledger import Ledger
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem
from remediator.errors import RemediatorError

_log = structlog.get_logger()
_MOST = 256
_WAIT_SECONDS = 0.002
_MOST_WAITING = 10_000

Work = Callable[[Batch], Awaitable[Any]]


class _Asked(NamedTuple):
    work: Work
    prepare: Callable[[Batch], None] | None
    done: asyncio.Future[Any]


class Writer:
    """Takes work, and does it in the order in which it came.

    Work may be done again where it fell with others: it must not act elsewhere.
    """

    def __init__(self, database: Database, ledger: Ledger, watch: ClockWatch) -> None:
        self._database = database
        self._ledger = ledger
        self._watch = watch
        self._waiting: asyncio.Queue[_Asked] = asyncio.Queue(_MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.on_feed: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._run(), name="clearinghouse-writer")

    async def close(self) -> None:
        """Finish what was asked, take no more."""
        self._closing = True
        if self._task is not None:
            await self._waiting.join()
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def do(self, work: Work, *, prepare: Callable[[Batch], None] | None = None) -> Any:
        """Return what the work returned, once it is committed. Raises RefusedError; `unavailable` where the database is gone or full."""
        if self._closing:
            raise RefusedError(Problem.unavailable, "the server is stopping", retry_after_seconds=5)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait(_Asked(work, prepare, done))
        except asyncio.QueueFull:
            raise RefusedError(Problem.unavailable, "more is asked than can be written", retry_after_seconds=2) from None
        return await asyncio.shield(done)

    async def _run(self) -> None:
        while True:
            asked = [await self._waiting.get()]
            if self._waiting.empty():
                await asyncio.sleep(_WAIT_SECONDS)
            while len(asked) < _MOST and not self._waiting.empty():
                asked.append(self._waiting.get_nowait())
            try:
                await self._together(asked)
            finally:
                for _ in asked:
                    self._waiting.task_done()

    async def _together(self, asked: list[_Asked]) -> None:
        try:
            answers = await self._transaction(asked)
        except RefusedError as error:
            for each in asked:
                _fail(each, error)
            return
        except Exception as error:
            if len(asked) == 1:
                _log.exception("work failed")
                _fail(asked[0], error)
                return
            # One of them cannot be done: it must not take the others with it.
            for each in asked:
                await self._together([each])
            return
        for each, (answer, refused) in zip(asked, answers, strict=True):
            if refused is not None:
                _fail(each, refused)
            elif not each.done.done():
                each.done.set_result(answer)

    async def _transaction(self, asked: list[_Asked]) -> list[tuple[Any, RemediatorError | None]]:
        answers: list[tuple[Any, RemediatorError | None]] = []
        async with self._database.writing() as connection:
            batch = Batch(connection, self._watch.read(), is_postgres=self._database.is_postgres)
            for each in asked:
                if each.prepare is not None:
                    each.prepare(batch)
            await batch.prefetch()
            for each in asked:
                try:
                    answers.append((await each.work(batch), None))
                except RemediatorError as refused:
                    answers.append((None, refused))
            await batch.finish(self._ledger)
        if batch.fed:
            self.on_feed()
        return answers


def _fail(asked: _Asked, error: Exception) -> None:
    if not asked.done.done():
        asked.done.set_exception(error)
        asked.done.exception()  # whoever asked may be gone: then nobody looks, and that is no fault
