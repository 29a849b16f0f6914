"""How long to wait before another try. No clock and no chance of its own."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRIED = frozenset({408, 409, 425, 429, 529})


def is_retried(status: int) -> bool:
    """Return whether an answer with this status may be mended by asking again."""
    return status in RETRIED or 500 <= status <= 599


def retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, as a number or as an HTTP date; None where it says neither."""
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, now)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def wait_seconds(tried: int, asked: float | None, *, first: float, most: float, chance: float) -> float:
    """Return the wait after the try number `tried`. `chance` is between 0 and 1.

    What the server asks for counts, but never more than `most`. Else twice as long each time, with jitter, so that clients that failed
    together do not come back together.
    """
    if asked is not None:
        return min(asked + chance * first, most)
    return min(first * 2.0 ** min(tried - 1, 30), most) * (0.5 + chance / 2)


def _until(value: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max((then - now).total_seconds(), 0.0)
