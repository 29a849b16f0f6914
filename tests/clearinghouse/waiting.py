"""Waiting for what a test expects instead of for a time: on a loaded machine it comes later, and on an idle one nobody waits for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds. Reached only where something does not happen at all, so it costs nothing to be generous."""


async def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return once it is true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
