"""The line to one clearinghouse: asks again where that can help, follows no redirect, and makes errors of its refusals."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem
from remediator.errors import AuthError, ConfigError, ConflictError, RemediatorError, SinkError
from remediator.llm.waiting import is_retried, retry_after, wait_seconds
from remediator.records.record import Record

if TYPE_CHECKING:
    import aiohttp

R = TypeVar("R", bound=Record)
_TRIES = 4
_MOST_ANSWER_BYTES = 32 * 1024 * 1024
_FIRST_WAIT, _MOST_WAIT = 0.5, 30.0
_CONNECT_SECONDS, _IDLE_SECONDS = 10.0, 60.0
_CA_HINT = "name the file of its CA: `ca_bundle` in [clearinghouses.NAME], else SSL_CERT_FILE"
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class Place(NamedTuple):
    """Where a clearinghouse is, who we are there, and the ledger key that we trust. `trust` empty is: whatever it shows."""

    name: str
    url: str
    token: str
    trust: str = ""
    ca_bundle: str = ""
    first_wait: float = _FIRST_WAIT


class Line:
    """A connection that is open. Errors: SinkError where asking later can help, RefusedError's code in the others' texts."""

    def __init__(self, place: Place, session: aiohttp.ClientSession) -> None:
        self.place = place
        self._session = session

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Place) -> AsyncIterator[Line]:
        """Open it. Raises ConfigError for an address that is not safe to send a token to, or a CA bundle that cannot be read."""
        parts = urlsplit(place.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ConfigError(f"{place.url[:200]!r} is no address of a clearinghouse", hint="https://HOST[:PORT]")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigError("a token is not sent over plain http", hint="use https; http is for this machine only")
        async with await _open_session(place.ca_bundle, tls=parts.scheme == "https") as session:
            yield cls(place, session)

    async def listed(self, kind: type[R], path: str, query: Mapping[str, str]) -> list[R]:
        """Return a list's records, of all its pages."""
        items: list[R] = []
        cursor = ""
        for _ in range(1000):
            told = await self.document("GET", path, query={**query, **({"cursor": cursor} if cursor else {})})
            items += [read_record(kind, each) for each in told.get("items", [])]
            cursor = str(told.get("next") or "")
            if not cursor:
                break
        return items

    async def record(self, kind: type[R], method: str, path: str, **rest: Any) -> R:
        """Return an answer that is one record."""
        return read_record(kind, await self.document(method, path, **rest))

    async def document(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        """Return an answer that is a JSON object. Raises SinkError where it is none."""
        data = await self.content(method, path, **rest)
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SinkError(f"{self.place.url}: what came back for {path} is not JSON") from error
        if not isinstance(value, dict):
            raise SinkError(f"{self.place.url}: what came back for {path} is no JSON object")
        return value

    async def content(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        authorised: bool = True,
        most: int = _MOST_ANSWER_BYTES,
    ) -> bytes:
        """Return the bytes of an answer. Raises SinkError after some tries, AuthError, ConflictError, RefusedError, ConfigError at once."""
        for tried in range(1, _TRIES + 1):
            told, asked = "", None
            try:
                status, headers, answer = await self._once(method, path, query, data, authorised=authorised, most=most)
            except _TroubleError as trouble:
                told = str(trouble)
            else:
                if 200 <= status < 300:
                    return answer
                refused = _refusal(status, answer)
                if not is_retried(status) or refused.code not in (None, *_MENDED_BY_TIME):
                    raise _error(self.place, status, refused)
                told = f"{status} {refused.text}"
                asked = retry_after(headers["Retry-After"], datetime.now(UTC)) if "Retry-After" in headers else None
            if tried == _TRIES:
                break
            chance = random.random()  # noqa: S311 - spreads clients, keeps no secret
            await asyncio.sleep(wait_seconds(tried, asked, first=self.place.first_wait, most=_MOST_WAIT, chance=chance))
        raise SinkError(f"{self.place.url} could not be asked: {told}", hint="it is kept where it can be, and tried again")

    async def _once(
        self, method: str, path: str, query: Mapping[str, str] | None, data: bytes | None, *, authorised: bool, most: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp

        headers = {"Authorization": f"Bearer {self.place.token}"} if authorised else {}
        if data is not None:
            headers["Content-Type"] = "application/octet-stream" if method == "PUT" else "application/json"
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_IDLE_SECONDS)
        try:
            async with self._session.request(
                method, self.place.url.rstrip("/") + path, params=query, data=data, headers=headers, allow_redirects=False, timeout=limits
            ) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > most:
                        raise ConfigError(f"{self.place.url} answered with more than {most} bytes")
                return response.status, response.headers, bytes(body)
        except aiohttp.ClientConnectorCertificateError:
            # Not asked again: the certificate is the same a second later, and whoever shows it may be somebody else.
            raise ConfigError(f"the certificate of {self.place.url} is not trusted for this name", hint=_CA_HINT) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # What aiohttp says may quote a header: only its kind is passed on.
            raise _TroubleError(type(error).__name__) from None


class _TroubleError(Exception):
    """No whole answer came."""


class _Refusal(NamedTuple):
    code: Problem | None
    text: str
    hint: str


_MENDED_BY_TIME = (Problem.unavailable, Problem.too_many, Problem.timed_out, Problem.internal)
_AUTH = frozenset((Problem.unauthorised, Problem.forbidden, Problem.unknown_key, Problem.key_revoked, Problem.key_expired))
_CONFLICT = frozenset((Problem.lease_held, Problem.lease_stale, Problem.opted_out, Problem.state_conflict, Problem.key_reused))


def _refusal(status: int, body: bytes) -> _Refusal:
    try:
        told = json.loads(body[: 64 * 1024])
        code = Problem(told["code"])
        return _Refusal(code, str(told.get("detail") or code)[:1000], str(told.get("hint") or "")[:1000])
    except (ValueError, KeyError, TypeError, RecursionError):
        return _Refusal(None, f"status {status}", "")


def _error(place: Place, status: int, refused: _Refusal) -> RemediatorError:
    told = f"{place.url}: {refused.text}" + (f" ({refused.code})" if refused.code else "")
    if refused.code in _AUTH or (refused.code is None and status in (401, 403)):
        return AuthError(told, hint=refused.hint or f"check the token of {place.name!r}, and that your signing key is registered there")
    if refused.code in _CONFLICT:
        return ConflictError(told, hint=refused.hint)
    if refused.code is not None:
        return RefusedError(refused.code, told, hint=refused.hint)
    if 300 <= status < 400:
        return ConfigError(f"{place.url} sends us elsewhere; a token is not sent after it", hint="name its real address")
    return ConfigError(told, hint="check the address: no clearinghouse answers like that")


def read_record(kind: type[R], value: object) -> R:
    """Return what was answered as a record. Raises SinkError that names the field that does not fit, and not what is in it."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise SinkError(f"the clearinghouse's {kind.__name__} is not as the protocol has it: {place}: {first['msg'][:200]}") from None


async def _open_session(ca_bundle: str, *, tls: bool) -> aiohttp.ClientSession:
    import ssl

    import aiohttp

    try:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=ca_bundle or None) if tls else True
    except OSError as error:
        raise ConfigError(f"cannot read the CA bundle {ca_bundle}: {error.strerror or error}", hint=_CA_HINT) from error
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
    )
