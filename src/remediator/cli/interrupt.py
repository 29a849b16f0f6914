"""Ctrl-C: once, the work in flight is finished and kept; twice, it is cancelled; then the clean-up may be abandoned."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

A = TypeVar("A")
T = TypeVar("T")


def run_interruptible(opened: AbstractAsyncContextManager[A], work: Callable[[A], Awaitable[T]], talk: Callable[[str], None]) -> T:
    """Open, work, close, and return the result.

    Raises KeyboardInterrupt where it was stopped before there was one. The application is asked to stop by its `stop` method; one
    without is cancelled at once.
    """
    return asyncio.run(_watched(opened, work, talk))


async def _watched(opened: AbstractAsyncContextManager[A], work: Callable[[A], Awaitable[T]], talk: Callable[[str], None]) -> T:
    loop = asyncio.get_running_loop()
    stops: list[Callable[[], Any]] = []
    task = asyncio.ensure_future(_worked(opened, work, stops))
    asked: list[str] = []

    def pressed() -> None:
        if stops and not asked:
            asked.append("stop")
            talk("stopping: what is in flight is finished and kept; Ctrl-C again stops at once")
            stops[0]()
        elif "cancel" not in asked:
            asked.append("cancel")
            talk("stopping now; cleaning up")
            task.cancel()
        else:
            # A second cancel would cut the clean-up short; whoever wants that must insist once more.
            loop.remove_signal_handler(signal.SIGINT)
            talk("still cleaning up; Ctrl-C once more leaves containers behind")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, pressed)
    try:
        return await task
    except asyncio.CancelledError:
        if asked:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _worked(opened: AbstractAsyncContextManager[A], work: Callable[[A], Awaitable[T]], stops: list[Callable[[], Any]]) -> T:
    async with opened as app:
        if stop := getattr(app, "stop", None):
            stops.append(stop)
        return await work(app)
