"""The verbs: one signed envelope in, one answer out."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientPayloadError, web
from aiohttp.web_protocol import RequestPayloadError

from remediator.clearinghouse.server.asked import Asked
from remediator.clearinghouse.wire.answers import Answer
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Verb
from remediator.records.record import canonical_json

MAKING = frozenset((Verb.lease, Verb.submit_finding, Verb.assess, Verb.submit_fix, Verb.opt_out, Verb.receipt))
"""The verbs that make something: 201 where it is new, 200 where it was there."""
_CHUNK_BYTES = 64 * 1024
_BYTES_OF_ONE = 16 * 1024
"""An envelope counts as one request more for each so many bytes."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


async def perform(asked: Asked) -> web.Response:
    """Do what the envelope says."""
    request = asked.request
    verb = Verb(request.path.rsplit("/", 1)[-1])
    envelope = await body_of(asked)
    _charge(asked, len(envelope))
    _check_verb(envelope, verb)
    answer = await asked.store.perform(asked.caller, envelope)
    return _answered(answer, new=verb in MAKING and not answer.duplicate)


def _charge(asked: Asked, size: int) -> None:
    """Count a long envelope as several requests: the longest takes as long to read as a hundred short ones. Raises RefusedError."""
    cost = min(size // _BYTES_OF_ONE, asked.desk.config.requests_burst // 2)
    if cost:
        asked.desk.tokens.take(asked.caller.token_id, cost)


async def body_of(asked: Asked) -> bytes:
    """Read the body of an envelope. Raises RefusedError: too-large, timed-out."""
    config, content = asked.desk.config, asked.request.content
    if content.is_eof() and content.exception() is None and content.total_bytes <= config.envelope_bytes:
        return content.read_nowait()
    found = bytearray()
    async with _in_time(config.body_seconds):
        async for chunk in content.iter_chunked(_CHUNK_BYTES):
            found += chunk
            if len(found) > config.envelope_bytes:
                raise RefusedError(Problem.too_large, f"an envelope has at most {config.envelope_bytes} bytes")
    return bytes(found)


def _check_verb(envelope: bytes, verb: Verb) -> None:
    # Whatever cannot be read here is refused by the store with the right words.
    try:
        said = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["verb"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if said != verb:
        raise RefusedError(Problem.bad_request, "the envelope is for another verb than the address")


async def put_blob(asked: Asked) -> web.Response:
    """Take a blob in under its digest."""
    digest = asked.request.match_info["digest"]
    if not _DIGEST.fullmatch(digest):
        raise RefusedError(Problem.bad_request, "a blob is named sha256:<64 hex digits>")
    with asked.desk.uploads.hold(asked.caller.token_id):
        new = await asked.store.put_blob(asked.caller, digest, _pieces(asked))
    return _answered(Answer(verb="put-blob", id=digest, state="kept", duplicate=not new), new=bool(new))


async def _pieces(asked: Asked) -> AsyncIterator[bytes]:
    config, loop = asked.desk.config, asyncio.get_running_loop()
    content, size = asked.request.content, 0
    begun = loop.time()
    while True:
        async with _in_time(config.body_seconds):
            piece = await content.readany()
        if not piece:
            return
        size += len(piece)
        if size > config.blob_bytes:
            raise RefusedError(Problem.too_large, f"a blob has at most {config.blob_bytes} bytes")
        if loop.time() - begun > config.body_seconds + size / config.blob_bytes_per_second:
            raise RefusedError(Problem.timed_out, "the blob comes too slowly", hint="send it again over a faster line")
        yield piece


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise RefusedError(Problem.timed_out, "the body took too long to arrive", hint="send it again") from error
    except (ClientPayloadError, RequestPayloadError, ConnectionError) as error:
        raise RefusedError(Problem.bad_request, "the body ended before it was whole", hint="send it again") from error


def _answered(answer: Answer, *, new: bool) -> web.Response:
    return web.Response(
        body=canonical_json(answer.as_json()),
        status=201 if new else 200,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
