"""Sees a clock that jumps. What an embargo holds back must not get out because a machine's clock was set wrong for a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from remediator.clearinghouse.wire.terms import CLOCK_SKEW_SECONDS


def elapsed_seconds() -> float:
    """Return seconds that nobody sets, and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class ClockWatch:
    """Compares a clock with the time that passed since the watch was made. The clock that it was made with is believed."""

    def __init__(self, clock: Callable[[], datetime], elapsed: Callable[[], float] = elapsed_seconds) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self._began, self._from = clock(), elapsed()

    def ahead_seconds(self) -> float:
        """Return by how much the clock went on beyond what passed; less than nothing where it was set back."""
        return (self._clock() - self._began).total_seconds() - (self._elapsed() - self._from)

    def is_ahead(self) -> bool:
        """Return whether that is more than what a clearinghouse puts up with in anybody's clock."""
        return self.ahead_seconds() > CLOCK_SKEW_SECONDS
