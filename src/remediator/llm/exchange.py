"""One question over HTTP and what comes back: whole, in time, within bounds, from the server that was asked, or an error."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from remediator.errors import LlmError
from remediator.llm.answer import TryAgainError
from remediator.llm.answer_json import read_object
from remediator.llm.failure import Refusal, refusal_in
from remediator.llm.server_events import ServerEvents
from remediator.llm.waiting import retry_after

if TYPE_CHECKING:
    import aiohttp

_READ_BUFFER = 2**20  # one event may be a long line: a whole file in a tool call
_MOST_SAID = 64 * 1024
_CONNECT_SECONDS = 30.0
DONE = "[DONE]"


class Question(NamedTuple):
    """What is sent, and how long and how much may come back."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    max_seconds: float
    idle_seconds: float | None
    max_bytes: int
    proxy: str | None = None


async def open_session(ca_bundle: str, *, tls: bool) -> aiohttp.ClientSession:
    """Open a session that keeps no cookies, unpacks nothing, and reads neither environment nor netrc.

    With `tls` it trusts the CA bundle, where none is named the machine's. Raises LlmError.
    """
    import asyncio
    import ssl

    import aiohttp

    try:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=ca_bundle or None) if tls else True
    except OSError as error:
        raise LlmError(f"cannot read the CA bundle {ca_bundle}: {error.strerror or error}", hint="mend `ca_bundle`") from error
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_BUFFER,
    )


async def ask(
    session: aiohttp.ClientSession, question: Question, ends: Callable[[Mapping[str, Any]], bool]
) -> list[dict[str, Any]] | dict[str, Any]:
    """Return the events of a stream, or the one document where the server does not stream.

    Raises Refusal where the server says no, TryAgainError where what came is of no use, LlmError where asking again would not help.
    """
    import aiohttp

    limits = aiohttp.ClientTimeout(total=question.max_seconds, sock_connect=_CONNECT_SECONDS, sock_read=question.idle_seconds)
    try:
        async with session.post(
            question.url, data=question.body, headers=question.headers, allow_redirects=False, timeout=limits, proxy=question.proxy
        ) as response:
            return await _received(response, question.max_bytes, ends)
    # What aiohttp says may hold a proxy's password or a header: only its kind is passed on.
    except aiohttp.ClientConnectorCertificateError:
        raise LlmError("the server's certificate is not trusted", hint="name your network's CA bundle in `ca_bundle`") from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientProxyConnectionError) as error:
        raise TryAgainError(f"no connection ({_kind(error)})", charged=False) from None
    except TimeoutError:
        raise TryAgainError("no answer in time") from None
    except (aiohttp.ClientError, OSError) as error:
        raise TryAgainError(f"the connection broke ({_kind(error)})") from None


async def _received(
    response: aiohttp.ClientResponse, most: int, ends: Callable[[Mapping[str, Any]], bool]
) -> list[dict[str, Any]] | dict[str, Any]:
    if response.status != 200:
        raise Refusal(response.status, await _said(response), after_seconds=_asked_wait(response.headers))
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise LlmError("the server answered in an encoding that was not asked for")
    if response.content_type == "text/event-stream":
        return await _events(_pieces(response, most), ends)
    if response.content_type == "application/json" or response.content_type.endswith("+json"):
        document = read_object(b"".join([piece async for piece in _pieces(response, most)]))
        if refusal := refusal_in(document):
            raise refusal
        return document
    raise TryAgainError(f"the answer is of the type {response.content_type[:80]!r}")


async def _events(pieces: AsyncIterator[bytes], ends: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, Any]]:
    stream = ServerEvents()
    events: list[dict[str, Any]] = []
    async for piece in pieces:
        for data in stream.feed(piece):
            if data.strip() == DONE:
                return events
            event = read_object(data, "an event")
            if refusal := refusal_in(event):
                raise refusal
            events.append(event)
            if ends(event):
                return events
    # Some servers leave out the empty line behind their last event. One that is whole JSON was not cut.
    for data in stream.rest():
        if data.strip() == DONE:
            return events
        try:
            events.append(read_object(data, "an event"))
        except TryAgainError:
            raise TryAgainError("the stream was cut in the middle of an event") from None
        if refusal := refusal_in(events[-1]):
            raise refusal
    return events


async def _pieces(response: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > most:
            raise LlmError(f"the server answered with more than {most} bytes", hint="raise `max_bytes` if such answers are wanted")
        yield piece


async def _said(response: aiohttp.ClientResponse) -> bytes:
    """Return the beginning of what the server says about its no; the no counts without it."""
    import aiohttp

    said = b""
    try:
        async for piece in response.content.iter_any():
            said += piece
            if len(said) > _MOST_SAID:
                break
    except (aiohttp.ClientError, OSError):
        return said[:_MOST_SAID]
    return said[:_MOST_SAID]


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    milliseconds = headers.get("Retry-After-Ms", "")
    if re.fullmatch(r"\d{1,12}(?:\.\d{1,12})?", milliseconds):
        return float(milliseconds) / 1000
    return retry_after(headers["Retry-After"], datetime.now(UTC)) if "Retry-After" in headers else None


def _kind(error: Exception) -> str:
    return type(error).__name__.removeprefix("Client").removesuffix("Error")
