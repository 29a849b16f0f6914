"""Who asks too often, and who has too much under way."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem

_MOST_NAMES = 20_000


class Buckets:
    """A token bucket for each name: `burst` at once, then `rate` a second."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, cost: float = 1.0) -> None:
        """Count a request. Raises RefusedError (too-many-requests), which then costs nothing."""
        level = self._level(name)
        if level < cost:
            wait = math.ceil((cost - level) / self._rate)
            raise RefusedError(
                Problem.too_many, "too many requests", hint="wait as long as Retry-After says", retry_after_seconds=max(1, wait)
            )
        self._keep(name, level - cost)

    def check(self, name: str) -> None:
        """Raise RefusedError where nothing is left; counts nothing."""
        if self._level(name) < 1:
            raise RefusedError(
                Problem.too_many,
                "too many requests were refused",
                hint="look at the token",
                retry_after_seconds=max(1, math.ceil(1 / self._rate)),
            )

    def _level(self, name: str) -> float:
        level, at = self._levels.get(name, (self._burst, 0.0))
        return min(self._burst, level + (self._clock() - at) * self._rate)

    def _keep(self, name: str, level: float) -> None:
        self._levels[name] = (level, self._clock())
        self._levels.move_to_end(name)
        # Whoever was silent longest has the fullest bucket, so that forgetting him gives nothing away.
        if len(self._levels) > _MOST_NAMES:
            self._levels.popitem(last=False)


class Slots:
    """A bound on what is under way at once, as a whole and for each name."""

    def __init__(self, most: int, most_each: int, what: str) -> None:
        self._most = most
        self._most_each = most_each
        self._what = what
        self._held: dict[str, int] = {}

    @property
    def held(self) -> int:
        """Return how many are under way."""
        return sum(self._held.values())

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold one slot meanwhile. Raises RefusedError (too-many-requests)."""
        if self._held.get(name, 0) >= self._most_each or self.held >= self._most:
            raise RefusedError(Problem.too_many, f"too many {self._what} at once", hint="end one first", retry_after_seconds=5)
        self._held[name] = self._held.get(name, 0) + 1
        try:
            yield
        finally:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]


@lru_cache(maxsize=4096)
def address_name(address: str) -> str:
    """Return what an address is counted as: itself, or the /64 that one IPv6 subscriber has all of."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
