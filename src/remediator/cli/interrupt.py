"""Ctrl-C: once, the work in flight is finished and kept; twice (or SIGTERM), it is cancelled; then the clean-up may be abandoned.

From the first one on, no signal reaches the default handlers any more: one that came while the last words are said, or while the
interpreter ends, would end the process by signal, without the exit code and the words that a user is promised.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from remediator.errors import RemediatorError

A = TypeVar("A")
T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_interruptible(opened: AbstractAsyncContextManager[A], work: Callable[[A], Awaitable[T]], talk: Callable[[str], None]) -> T:
    """Open, work, close, and return the result.

    Raises KeyboardInterrupt where it was stopped before there was one. The application is asked to stop by its `stop` method; one
    without it, or where that returns False, is cancelled at once.
    """
    return asyncio.run(_watched(opened, work, talk))


async def _watched(opened: AbstractAsyncContextManager[A], work: Callable[[A], Awaitable[T]], talk: Callable[[str], None]) -> T:
    loop = asyncio.get_running_loop()
    stops: list[Callable[[], bool]] = []
    task = asyncio.ensure_future(_worked(opened, work, stops))
    asked: list[str] = []

    def pressed(number: int) -> None:
        # Who ends a process by SIGTERM does not wait for a step that may take minutes.
        if number == signal.SIGINT and stops and not asked and stops[0]():
            asked.append("stop")
            talk("stopping: what is in flight is finished and kept; Ctrl-C again stops at once")
        elif "cancel" not in asked:
            asked.append("cancel")
            talk("stopping now; cleaning up")
            task.cancel()
        else:
            # A second cancel would cut the clean-up short; whoever wants that must insist once more.
            asked.append("insist")
            if asked.count("insist") > 1:
                os._exit(130)
            talk("still cleaning up; Ctrl-C once more leaves containers behind")

    for number in _SIGNALS:
        loop.add_signal_handler(number, pressed, number)
    try:
        return await task
    except asyncio.CancelledError:
        if asked:
            raise KeyboardInterrupt from None
        raise
    except RemediatorError as error:
        # What was cut short may complain of it, such as of a container that went away.
        if "cancel" in asked:
            raise KeyboardInterrupt from error
        raise
    finally:
        _let_go(loop, ignore=bool(asked))


def _let_go(loop: asyncio.AbstractEventLoop, *, ignore: bool) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
        if ignore:
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


async def _worked(opened: AbstractAsyncContextManager[A], work: Callable[[A], Awaitable[T]], stops: list[Callable[[], bool]]) -> T:
    async with opened as app:
        if stop := getattr(app, "stop", None):
            stops.append(stop)
        return await work(app)
