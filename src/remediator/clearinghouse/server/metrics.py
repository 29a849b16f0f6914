"""What Prometheus is told: counts and times by route, never by path, token or organisation."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The counters of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("clearinghouse_requests", "Answered requests.", ("method", "route", "status"), registry=self._registry)
        self.problems = Counter("clearinghouse_problems", "Refused requests by code.", ("code",), registry=self._registry)
        self.seconds = Histogram(
            "clearinghouse_request_seconds", "Time to the answer.", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self.in_flight = Gauge("clearinghouse_requests_in_flight", "Requests being answered.", registry=self._registry)
        self.streams = Gauge("clearinghouse_feed_streams", "Open streams of the feed.", registry=self._registry)
        self.connections = Gauge("clearinghouse_connections", "Open connections.", registry=self._registry)
        self.connections_refused = Gauge("clearinghouse_connections_refused", "Connections above a limit.", registry=self._registry)
        self.connections_reaped = Gauge("clearinghouse_connections_reaped", "Connections that stood still.", registry=self._registry)
        self._stored = Gauge("clearinghouse_stored", "What the store holds.", ("what",), registry=self._registry)

    def note_stored(self, stats: Mapping[str, int]) -> None:
        """Take over the store's numbers."""
        self._stored.clear()
        for what, count in stats.items():
            self._stored.labels(what).set(count)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self._registry)
