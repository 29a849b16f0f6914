"""Sees a clock that jumps. What an embargo holds back must not get out because a machine's clock was set wrong for a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from remediator.clearinghouse.wire.terms import CLOCK_SKEW_SECONDS

_log = structlog.get_logger()


def elapsed_seconds() -> float:
    """Return seconds that nobody sets, and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Reading(NamedTuple):
    """What time it is."""

    now: datetime
    """What the clock says."""
    due: datetime
    """By when something must have been due to be let out or removed, which cannot be taken back: never later than `now`."""


class ClockWatch:
    """Compares a clock with the time that passed since the watch was made. The clock that it was made with is believed."""

    def __init__(self, clock: Callable[[], datetime], elapsed: Callable[[], float] = elapsed_seconds) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self._began, self._from = clock(), elapsed()
        self._jumped = False

    def read(self) -> Reading:
        """Look at the clock once. Where it is further ahead than what is put up with in anybody's, nothing is due but what passed."""
        now = self._clock()
        passed = self._began + timedelta(seconds=self._elapsed() - self._from)
        ahead = (now - passed).total_seconds()
        jumped = ahead > CLOCK_SKEW_SECONDS
        if jumped and not self._jumped:
            _log.error(
                "clock_jumped",
                seconds=round(ahead),
                hint="embargoes end by the time that passed, until the clock is set right or the process started again",
            )
        self._jumped = jumped
        return Reading(now, passed if jumped else now)
