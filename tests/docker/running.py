"""What runs in a sandbox, looked at from beside it."""

from __future__ import annotations

import asyncio

from remediator.contracts import Sandbox


async def runs(sandbox: Sandbox, name: str) -> None:
    """Wait until a program of this name runs in it. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while name not in (await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/comm"], cwd="/")).stdout.decode().split():
            await asyncio.sleep(0.05)
