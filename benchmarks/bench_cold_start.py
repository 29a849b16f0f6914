"""How long a command takes that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
PROGRAM = [str(Path(sys.executable).parent / "remediator"), "--help"]
BARE = [sys.executable, "-c", "pass"]


def seconds(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    pairs = [(seconds(PROGRAM), seconds(BARE)) for _ in range(RUNS)]
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"cold start: remediator --help {ours * 1000:.0f} ms, python -c pass {bare * 1000:.0f} ms, ratio {ours / bare:.1f} (budget 150 ms)"
    )


if __name__ == "__main__":
    main()
