"""Random `kill -9` of the server while it is asked: nothing acknowledged may be lost, nothing doubled, and the ledger must verify."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

from remediator.testing.clearinghouse_kills import killed_under_load
from remediator.testing.postgres import Postgres


async def measure(name: str, database: str, kills: int, seed: int) -> bool:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = await killed_under_load(database, Path(folder) / "data", kills, random.Random(seed))
    held = not (found.lost or found.doubled or found.ledger_problem)
    print(
        f"| {name} | {found.kills} | {found.acknowledged} | {found.broken} | {len(found.lost)} | {len(found.doubled)} "
        f"| {found.ledger_problem or 'verifies'} | {time.perf_counter() - began:.0f} s | {'held' if held else 'BROKEN'} |",
        flush=True,
    )
    for each in (*found.lost, *found.doubled)[:20]:
        print(f"  {each}")
    return held


async def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    asked.add_argument("--only", choices=("sqlite", "postgresql"))
    options = asked.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; seed {options.seed}")
    print("| database | kills | acknowledged | cut off and sent again | lost | doubled | ledger | time | |\n" + "|---" * 9 + "|")
    held = True
    if options.only != "postgresql":
        held &= await measure("sqlite", "sqlite", options.kills, options.seed)
    if options.only != "sqlite":
        with tempfile.TemporaryDirectory(prefix="pg-") as folder:
            cluster = Postgres(Path(folder))
            cluster.start()
            try:
                held &= await measure("postgresql", cluster.database(), options.kills, options.seed)
            finally:
                cluster.stop()
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
