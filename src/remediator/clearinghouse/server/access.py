"""Who asks, and whether this address may be asked that way: Host, Origin, tokens and scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.rates import Buckets, address_name
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Caller, Store

_SAFE_METHODS = frozenset((hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS))
_LONGEST_TOKEN = 200


def check_host(request: web.Request, config: ServerConfig) -> None:
    """Refuse a request that was meant for another name. Raises RefusedError."""
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or _name(hosts[0]) not in config.hosts:
        raise RefusedError(Problem.bad_request, "this clearinghouse does not go by that Host", hint="use the name that its operator gave")


def check_origin(request: web.Request) -> None:
    """Refuse what another site's page sends, and a change by cookie that does not say where it comes from. Raises RefusedError."""
    origins = request.headers.getall(hdrs.ORIGIN, [])
    by_cookie = hdrs.COOKIE in request.headers and request.method not in _SAFE_METHODS
    if not origins and not by_cookie:
        return
    if len(origins) != 1 or _netloc(origins[0]) != request.headers.get(hdrs.HOST, "").lower():
        raise RefusedError(Problem.forbidden, "a page of another origin may not ask this")


def check_body(request: web.Request, most_bytes: int) -> None:
    """Refuse by its head alone a body that will not be read. Raises RefusedError."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise RefusedError(Problem.bad_request, "a compressed body is not read", hint="send it without Content-Encoding")
    if (request.content_length or 0) > most_bytes:
        raise RefusedError(Problem.too_large, f"a body has at most {most_bytes} bytes here")


def address_of(request: web.Request, config: ServerConfig) -> str:
    """Return what the client's address is counted as; a proxy is believed only where it is configured."""
    peer = request.remote or ""
    if peer in config.trusted_proxies:
        forwarded = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, []))
        told = [part.strip() for part in forwarded.split(",") if part.strip()]
        # The last one was written by our proxy, and the one before it where that is a proxy of ours too; what is left of these by anybody.
        while len(told) > 1 and told[-1] in config.trusted_proxies:
            told.pop()
        return address_name(told[-1]) if told else address_name(peer)
    return address_name(peer)


def secret_of(request: web.Request) -> str:
    """Return the bearer token as it was sent. Raises RefusedError."""
    said = request.headers.getall(hdrs.AUTHORIZATION, [])
    scheme, _, secret = said[0].partition(" ") if len(said) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not 0 < len(secret) <= _LONGEST_TOKEN or not secret.isascii() or not secret.isprintable():
        raise RefusedError(Problem.unauthorised, "a token is needed", hint="send it as `Authorization: Bearer …`")
    return secret


async def caller_of(request: web.Request, store: Store, refused: Buckets, address: str) -> Caller:
    """Return who asks. Raises RefusedError: unauthorised, or too-many-requests after many wrong tokens from one address."""
    try:
        return await store.authenticate(secret_of(request))
    except RefusedError as error:
        # Only now: whoever shares an address with a guesser, and has a token, is not to suffer for it.
        if error.code is Problem.unauthorised:
            refused.take(address)
        raise


def check_scope(caller: Caller, scopes: frozenset[Scope]) -> None:
    """Refuse a caller that has none of the scopes. Raises RefusedError."""
    if not caller.scopes & (scopes | {Scope.admin}):
        named = " or ".join(sorted(scopes)) or Scope.admin.value
        raise RefusedError(Problem.forbidden, "the token's scope does not allow this", hint=f"ask for one with {named}")


def _name(host: str) -> str:
    host = host.lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]


def _netloc(origin: str) -> str:
    try:
        found = urlsplit(origin)
    except ValueError:
        return ""
    return found.netloc.lower() if found.scheme in ("http", "https") else ""
