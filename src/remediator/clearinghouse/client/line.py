"""The line to one clearinghouse: asks again where that can help, follows no redirect, and makes errors of its refusals."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from remediator.clearinghouse.client.address import checked_address
from remediator.clearinghouse.client.meaning import MENDED_BY_TIME, error_of, read, refusal
from remediator.errors import ConfigError, SinkError
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
        async with await _open_session(place.ca_bundle, tls=checked_address(place.url) == "https") as session:
            yield cls(place, session)

    async def listed(self, kind: type[R], path: str, query: Mapping[str, str]) -> list[R]:
        """Return a list's records, of all its pages."""
        items: list[R] = []
        cursor = ""
        for _ in range(1000):
            told = await self.document("GET", path, query={**query, **({"cursor": cursor} if cursor else {})})
            items += [read(kind, each) for each in told.get("items", [])]
            cursor = str(told.get("next") or "")
            if not cursor:
                break
        return items

    async def record(self, kind: type[R], method: str, path: str, **rest: Any) -> R:
        """Return an answer that is one record."""
        return read(kind, await self.document(method, path, **rest))

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
                refused = refusal(status, answer)
                if not is_retried(status) or refused.code not in (None, *MENDED_BY_TIME):
                    raise error_of(self.place.url, self.place.name, status, refused)
                told = f"{status} {refused.text}" + (f"; {refused.hint}" if refused.hint else "")
                asked = retry_after(headers["Retry-After"], datetime.now(UTC)) if "Retry-After" in headers else None
            if tried == _TRIES or (asked is not None and asked > _MOST_WAIT):
                # Nobody sits there for as long as that; what is on disk is sent when the command is called again.
                break
            chance = random.random()  # noqa: S311 - spreads clients, keeps no secret
            await asyncio.sleep(wait_seconds(tried, asked, first=self.place.first_wait, most=_MOST_WAIT, chance=chance))
        raise SinkError(
            f"{self.place.url} could not be asked: {told}",
            hint="check its address, and that it runs; the same command goes on from here later",
        )

    @asynccontextmanager
    async def stream(self, path: str, last: str, *, quiet_seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a stream of server-sent events behind the one whose id is `last`; what comes in are pieces of bytes as they arrive.

        Raises as every reading does, and SinkError where there is no stream, it breaks, or nothing comes for so many seconds.
        """
        import aiohttp

        headers = {"Authorization": f"Bearer {self.place.token}", "Accept": "text/event-stream", "Last-Event-ID": last}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=quiet_seconds)
        address = self.place.url.rstrip("/") + path
        try:
            async with self._session.get(address, headers=headers, allow_redirects=False, timeout=limits) as response:
                if response.status != 200:
                    refused = refusal(response.status, await response.content.read(64 * 1024))
                    later = is_retried(response.status) or refused.code is None
                    raise (
                        SinkError(f"{self.place.url} has no stream: {response.status}")
                        if later
                        else error_of(self.place.url, self.place.name, response.status, refused)
                    )
                if response.content_type != "text/event-stream":
                    raise SinkError(f"{self.place.url} has no stream: what came is no server-sent events")
                yield response.content.iter_any()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SinkError(f"the stream of {self.place.url} broke: {type(error).__name__}") from None

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
            raise _TroubleError(_words(error)) from None


def _words(error: Exception) -> str:
    """Say what kind of trouble it is, in words that are ours."""
    import os

    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no connection: nobody knows a host of this name"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "no connection: what listens there speaks no https"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {os.strerror(error.errno).lower()}" if error.errno else "no connection"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError | aiohttp.ClientPayloadError):
        return "the connection was cut"
    return type(error).__name__


class _TroubleError(Exception):
    """No whole answer came."""


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
