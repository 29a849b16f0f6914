"""Who visits, whether a form is really theirs, and how a page is sent."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from aiohttp import hdrs, web
from jinja2 import Environment

from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.rates import Buckets
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Caller, Store

POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
SESSION_SECONDS = 12 * 3600
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # `no-referrer` would make browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Also keeps what is under embargo, or shown once, out of the "back" button.
    "Cache-Control": "no-store",
}
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
_MOST_FIELDS = 50
_MOST_FORM_BYTES = 64 * 1024
_LONGEST_SECRET = 200


class House(NamedTuple):
    """What all pages are made from."""

    store: Store
    config: ServerConfig
    templates: Environment
    refused: Buckets
    """Wrong tokens and links, by address."""
    visits: Buckets
    """Requests, by session."""


class Visit(NamedTuple):
    """One request of somebody whose session holds."""

    request: web.Request
    house: House
    caller: Caller
    secret: str

    @property
    def store(self) -> Store:
        """Return the store."""
        return self.house.store

    def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """Return a page."""
        return page(self.house, template, status=status, caller=self.caller, csrf=form_token(self.secret), **values)

    def needs_admin(self) -> None:
        """Raise RefusedError where the visitor does not run the clearinghouse."""
        if not self.caller.is_admin:
            raise RefusedError(Problem.forbidden, "this is for those who run the clearinghouse", hint="log in with a token of scope admin")

    @property
    def pulls(self) -> bool:
        """Return whether the visitor may have what is distributed."""
        return self.caller.is_admin or Scope.pull in self.caller.scopes


def page(house: House, template: str, *, status: int = 200, caller: Caller | None = None, csrf: str = "", **values: Any) -> web.Response:
    """Return a page, of somebody's session or of nobody's."""
    text = house.templates.get_template(template).render(caller=caller, csrf=csrf, **values)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=_HEADERS)


def to(place: str) -> web.Response:
    """Return the way to another page of ours."""
    return web.Response(status=303, headers={**_HEADERS, hdrs.LOCATION: place})


def form_token(secret: str) -> str:
    """Return what a form must carry to be of this session: nobody can make it who cannot read the cookie."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def cookie_name(request: web.Request, name: str) -> str:
    """Return the cookie's name. Away from loopback browsers hold it to TLS and to this very host."""
    return f"__Host-{name}" if not on_loopback(request) else name


def cookie(request: web.Request, name: str) -> str:
    """Return a secret of ours that the browser kept, or nothing."""
    found = request.cookies.get(cookie_name(request, name), "")
    return found if 0 < len(found) <= _LONGEST_SECRET and found.isascii() and found.isprintable() else ""


def keep(request: web.Request, response: web.Response, name: str, secret: str, seconds: int) -> None:
    """Have the browser keep a secret, from scripts and from other sites; 0 seconds forget it."""
    response.set_cookie(
        cookie_name(request, name), secret, max_age=seconds, path="/", httponly=True, samesite="Strict", secure=not on_loopback(request)
    )


def on_loopback(request: web.Request) -> bool:
    """Return whether the browser calls us by a name of its own machine."""
    host = request.headers.get(hdrs.HOST, "").lower()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name in _LOOPBACK


def origin_of(request: web.Request) -> str:
    """Return the origin that sent a form, which must be ours. Raises RefusedError."""
    origins = request.headers.getall(hdrs.ORIGIN, [])
    hosts = request.headers.getall(hdrs.HOST, [])
    try:
        told = urlsplit(origins[0]) if len(origins) == 1 else None
    except ValueError:
        told = None
    if told is None or len(hosts) != 1 or told.scheme not in ("http", "https") or told.netloc.lower() != hosts[0].lower():
        raise RefusedError(Problem.forbidden, "a page of another origin may not send this form")
    return f"{told.scheme}://{told.netloc}"


async def fields(request: web.Request, secret: str) -> dict[str, list[str]]:
    """Return a form's fields, once it is known to come from a page of ours in this session. Raises RefusedError."""
    origin_of(request)
    # Only what our own forms send: no multipart, whose parser has had holes.
    if request.content_type != "application/x-www-form-urlencoded":
        raise RefusedError(Problem.bad_request, "that is no form of ours")
    if (request.content_length or 0) > _MOST_FORM_BYTES:
        raise RefusedError(Problem.too_large, "the form is too large")
    try:
        text = (await request.read()).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise RefusedError(Problem.bad_request, "the form cannot be read") from error
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    sent = found.get("form", [""])[0]
    if not secret or not hmac.compare_digest(sent.encode(), form_token(secret).encode()):
        raise RefusedError(Problem.forbidden, "this form is not of your session, or too old", hint="open the page again")
    return found


def one(form: dict[str, list[str]], name: str, most: int = 500) -> str:
    """Return one field's text without the space around it. Raises RefusedError."""
    values = form.get(name, [""])
    if len(values) != 1 or len(values[0]) > most:
        raise RefusedError(Problem.bad_request, f"{name} has at most {most} characters")
    return values[0].strip()
