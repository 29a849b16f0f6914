"""Where a model may be reached: which addresses are fit to send a key and somebody's code to."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit


def checked_url(url: str, *, allow_http: bool) -> str:
    """Return the address without a slash at its end. Raises ValueError where nothing may be sent there."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError("is no URL") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ValueError("must be an https:// URL with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user or password; a key belongs into `key`")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or a fragment")
    if any(ord(char) <= 32 for char in url.strip()):
        raise ValueError("must not contain spaces or control characters")
    if parts.scheme == "http" and not allow_http and not _near(parts):
        raise ValueError("must be https: over http, key and code could be read on the way (`allow_http = true` if you know better)")
    return url.strip().rstrip("/")


def is_loopback(url: str) -> bool:
    """Return whether the address is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _near(parts: SplitResult) -> bool:
    if is_loopback(parts.geturl()):
        return True
    address = _address(parts.hostname or "")
    return address is not None and address.is_private and not address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
