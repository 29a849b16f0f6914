"""Headers that an operator may add to every question: no secrets, and none that the client answers for."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NOT_YOURS = re.compile(r"(?i).*(auth|api-?key|token|secret|cookie).*|host|connection|content-.*|transfer-.*|accept-.*|idempotency-key")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError where one is no header, or may not be set; its value is not repeated."""
    for name, value in headers.items():
        if not is_token(name) or not value.isprintable():
            raise ValueError(f"{name!r} is no header")
        if _NOT_YOURS.fullmatch(name):
            raise ValueError(f"{name!r} may not be set here; a key belongs into `key`")


def is_token(text: str) -> bool:
    """Return whether a text may stand in a header as it is."""
    return _TOKEN.fullmatch(text) is not None
