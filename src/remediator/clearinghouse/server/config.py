"""What an operator decides about the HTTP server."""

from __future__ import annotations

from typing import NamedTuple

from remediator.clearinghouse.wire.terms import MOST_BLOB_BYTES, MOST_ENVELOPE_BYTES


class ServerConfig(NamedTuple):
    """Limits and names. The defaults suit one machine behind no proxy."""

    hosts: frozenset[str] = frozenset(("localhost", "127.0.0.1", "[::1]"))
    """The names under which clients reach us, lower case, without port; any other Host is refused (DNS rebinding)."""
    trusted_proxies: frozenset[str] = frozenset()
    """Addresses whose X-Forwarded-For is believed."""
    publisher: str = "clearinghouse"
    """Who exports say that they come from."""
    open_metrics: bool = False
    """Lets loopback read /metrics without a token."""
    envelope_bytes: int = MOST_ENVELOPE_BYTES
    blob_bytes: int = MOST_BLOB_BYTES
    connections: int = 12_000
    connections_per_address: int = 1000
    connections_per_second: float = 50.0
    """New ones of one address; what comes faster is closed unanswered."""
    connections_burst: int = 1000
    """As many at once as an address may hold: whoever is behind one address comes back together after an outage."""
    header_seconds: float = 10.0
    """How long a connection may stay without a complete request head."""
    body_seconds: float = 20.0
    """How long the body of an envelope may take, and the longest silence in the body of a blob."""
    blob_bytes_per_second: int = 32 * 1024
    """A blob that comes slower than this on the whole is given up."""
    write_seconds: float = 30.0
    """How long an answer may wait for its reader."""
    handler_seconds: float = 30.0
    shutdown_seconds: float = 20.0
    requests_per_second: float = 100.0
    """Of one token."""
    requests_burst: int = 200
    address_requests_per_second: float = 400.0
    address_requests_burst: int = 800
    refused_tokens_per_minute: float = 30.0
    """Of one address, before it has to wait."""
    uploads: int = 32
    uploads_per_token: int = 4
    streams: int = 1000
    streams_per_token: int = 5
    stream_seconds: float = 3600.0
    heartbeat_seconds: float = 15.0
    sweep_seconds: float = 60.0
    """How often some of the bundles that nobody needs are looked for; 0 leaves it to somebody else."""
    tick_seconds: float = 1.0
    """How often embargoes, leases and lost jobs are looked at; 0 leaves it to somebody else."""
