"""What a whole run spends on itself: its wall time without checkout, scan and checks, against that wall time."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from remediator.app import Remediator
from remediator.engine.request import FixRequest
from remediator.records import RunProgress
from remediator.settings import load_settings

TARGET, ONLY = (sys.argv[1], sys.argv[2]) if len(sys.argv) > 2 else ("pypi:pyanyapi==0.6.0", "CWE-502")


async def main() -> None:
    with tempfile.TemporaryDirectory() as state:
        async with Remediator.open(load_settings(state=Path(state))) as remediator:
            began = time.perf_counter()
            report = await remediator.fix(FixRequest(target=TARGET, only=(ONLY,)))
            total = time.perf_counter() - began
            events = remediator.journal.events(report.run_id)
    (case,) = report.cases  # cases side by side would count their checks twice
    work = {phase: seconds(events, phase) for phase in ("checkout", "scan")}
    work["checks"] = sum(check.seconds for verdict in case.verdicts for check in verdict.checks)
    own = total - sum(work.values())
    print(f"orchestration: {own:.2f} s of {total:.1f} s, ratio {own / total:.3f} (budget 0.05)")
    print(
        "  work: " + ", ".join(f"{name} {spent:.1f} s" for name, spent in work.items()) + "; fixing, sealing and handing over count as ours"
    )


def seconds(events, phase: str) -> float:
    at = {event.state: event.at for event in events if isinstance(event, RunProgress) and event.phase == phase}
    return (at["finished"] - at["started"]).total_seconds()


if __name__ == "__main__":
    asyncio.run(main())
