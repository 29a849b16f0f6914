"""Which addresses a token may be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

from remediator.errors import ConfigError

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


def checked_address(url: str) -> str:
    """Return the scheme of an address that a token may be sent to. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0) and url.isprintable()
    except ValueError:
        known = False
    if not known or parts.username or parts.query or parts.fragment:
        raise ConfigError(f"{url[:200]!r} is no address of a clearinghouse", hint="https://HOST[:PORT]")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigError("a token is not sent over plain http", hint="use https; http is for this machine only")
    return parts.scheme
