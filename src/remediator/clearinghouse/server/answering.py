"""How answers are written: JSON with an ETag, pages of a list, and what every answer carries."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from aiohttp import web

from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import MOST_PAGE, Problem
from remediator.records.record import Record, canonical_json

# The API serves data to programs: a browser that is led here may do nothing with it.
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Server": "remediator",
}
_BIGGEST_CURSOR = 2**63 - 1
_CURSOR = re.compile(r"[A-Za-z0-9_-]{0,4000}\Z")


async def carry_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the headers that make a browser harmless; a page sets its own policy before."""
    for name, value in _SAFE.items():
        response.headers.setdefault(name, value)


def said(request: web.Request, value: Record | Mapping[str, object], *, public: bool = False) -> web.Response:
    """Return a record as JSON, or 304 where the client has it already."""
    body = canonical_json(value.as_json() if isinstance(value, Record) else value)
    return tagged(request, body, "application/json", public=public)


def paged(request: web.Request, items: Iterable[Record | Mapping[str, object]], following: str) -> web.Response:
    """Return one page of a list."""
    shown = [item.as_json() if isinstance(item, Record) else dict(item) for item in items]
    return said(request, {"items": shown, "next": following})


def tagged(request: web.Request, body: bytes, content_type: str, *, public: bool = False, name: str = "") -> web.Response:
    """Return bytes with their ETag, or 304 where the client has them already. `name` is what a download is called."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {"Cache-Control": "no-cache" if public else "private, no-cache", "ETag": f'"{tag}"', "Vary": "Authorization"}
    if _has(request, tag):
        return web.Response(status=304, headers=headers)
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    charset = "utf-8" if content_type.startswith("text/") else None
    return web.Response(body=body, content_type=content_type, charset=charset, headers=headers)


def _has(request: web.Request, tag: str) -> bool:
    try:
        known = request.if_none_match or ()
    except ValueError:
        return False
    return any(each.value in (tag, "*") for each in known)


def page_of(request: web.Request) -> tuple[str, int]:
    """Return cursor and limit of a list that is asked for. Raises RefusedError."""
    cursor = request.query.get("cursor", "")
    if not _CURSOR.match(cursor):
        raise RefusedError(Problem.bad_request, "cursor is what `next` said before")
    return cursor, number(request, "limit", 50, 1, MOST_PAGE)


def feed_page_of(request: web.Request) -> tuple[int, int]:
    """Return cursor and limit of the feed. Raises RefusedError."""
    return number(request, "cursor", 0, 0, _BIGGEST_CURSOR), number(request, "limit", MOST_PAGE, 1, MOST_PAGE)


def number(request: web.Request, name: str, otherwise: int, least: int, most: int) -> int:
    """Return a whole number of the query. Raises RefusedError."""
    return whole(request.query.get(name), name, otherwise, least, most)


def whole(text: str | None, name: str, otherwise: int, least: int, most: int) -> int:
    """Return a stranger's text as a number within its bounds. Raises RefusedError."""
    if text is None:
        return otherwise
    # Python would read other scripts' digits, signs, underscores and endless digits too.
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        raise RefusedError(Problem.bad_request, f"{name} is a whole number from {least} to {most}")
    return int(text)
