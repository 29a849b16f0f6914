"""What the sandbox adds to a command: the same work timed inside and from outside."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time

from remediator.contracts import SandboxSpec
from remediator.playbook import Use, make
from remediator.registry import Registry
from remediator.settings import load_settings

RUNS = 20
INSIDE = "import subprocess, time; b = time.perf_counter(); subprocess.run(['sh', '-c', ':']); print(time.perf_counter() - b)"


async def main() -> None:
    from remediator.contracts import SandboxProvider

    registry = Registry.load(builtin_only=True)
    with tempfile.TemporaryDirectory() as state:
        defaults = {**load_settings().defaults_for("docker"), "state": state}
        provider = make(Use(use="docker"), "sandbox", SandboxProvider, registry, defaults)
        async with provider, provider.open(SandboxSpec(image="python3.11")) as sandbox:
            inside = float((await sandbox.exec(["python3", "-c", INSIDE])).stdout)
            outside = []
            for _ in range(RUNS):
                began = time.perf_counter()
                await sandbox.exec(["sh", "-c", ":"])
                outside.append(time.perf_counter() - began)
    median = statistics.median(outside)
    print(
        f"warm exec: {median * 1000:.0f} ms outside, {inside * 1000:.0f} ms inside, {(median - inside) * 1000:.0f} ms over (budget 50 ms)"
    )


if __name__ == "__main__":
    asyncio.run(main())
