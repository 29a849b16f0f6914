"""One clearinghouse over HTTP: asks again where that can help, follows no redirect, and knows the key that it talks to."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

from remediator.clearinghouse.client.address import checked_address
from remediator.clearinghouse.client.meaning import MENDED_BY_TIME, error_of, proof_of, read, refusal
from remediator.clearinghouse.wire.answers import Answer, FeedPage, Fix, Flaw, Lease, LedgerEntry, Opening, Published, SignedHead
from remediator.clearinghouse.wire.envelope import seal
from remediator.clearinghouse.wire.terms import MOST_BLOB_BYTES, PROTOCOL, Tlp, Verb
from remediator.clearinghouse.wire.verbs import Request
from remediator.errors import ConfigError, EvidenceError, SinkError
from remediator.evidence.keys import PublicKey, SigningKey
from remediator.llm.waiting import is_retried, retry_after, wait_seconds
from remediator.records.record import Record

if TYPE_CHECKING:
    import aiohttp

R = TypeVar("R", bound=Record)
_TRIES = 4
_MOST_ANSWER_BYTES = 32 * 1024 * 1024
_FIRST_WAIT, _MOST_WAIT = 0.5, 30.0
_CONNECT_SECONDS, _IDLE_SECONDS = 10.0, 60.0


class Place(NamedTuple):
    """Where a clearinghouse is, who we are there, and the ledger key that we trust. `trust` empty is: whatever it shows."""

    name: str
    url: str
    token: str
    trust: str = ""
    ca_bundle: str = ""
    first_wait: float = _FIRST_WAIT


class Clearinghouse:
    """A connection. Errors: SinkError where asking later can help, RefusedError's code in the others' texts."""

    def __init__(self, place: Place, session: aiohttp.ClientSession, key: SigningKey | None) -> None:
        self.place = place
        self._session = session
        self._key = key
        self.ledger_key: PublicKey = PublicKey(b"\0" * 32)
        self._me = ""

    @classmethod
    @asynccontextmanager
    async def connect(cls, place: Place, key: SigningKey | None = None) -> AsyncIterator[Clearinghouse]:
        """Open a session and look who answers. `key` signs what we ask; readers need none.

        Raises ConfigError for an address that is not safe to send a token to, EvidenceError where another ledger answers than the trusted.
        """
        session = await _open_session(place.ca_bundle, tls=checked_address(place.url) == "https")
        async with session:
            found = cls(place, session, key)
            await found._greet()
            yield found

    async def _greet(self) -> None:
        told = await self._json("GET", "/v1", authorised=False)
        if told.get("protocol") != PROTOCOL:
            raise ConfigError(f"{self.place.url} does not speak {PROTOCOL}", hint="check the address")
        try:
            self.ledger_key = PublicKey.parse(str(told.get("ledger_key")))
        except ValueError as error:
            raise EvidenceError(f"{self.place.url} shows no ledger key that can be read") from error
        if self.place.trust and self.ledger_key.keyid != self.place.trust:
            raise EvidenceError(
                f"{self.place.url} has the ledger key {self.ledger_key.keyid}, not {self.place.trust}",
                hint="do not use it before its operator tells you, by another way, that the key was changed",
            )

    async def me(self) -> str:
        """Return the id of our organisation there."""
        if not self._me:
            told = await self._json("GET", "/v1/organisations/me")
            try:
                self._me = str(told["organisation"]["id"])
            except (KeyError, TypeError) as error:
                raise SinkError(f"{self.place.url} did not say who we are") from error
        return self._me

    # -- asking --------------------------------------------------------------------------------------------------------

    async def ask(
        self, verb: Verb, body: Mapping[str, Any], *, key: str, tlp: Tlp = Tlp.amber, embargo_until: datetime | None = None
    ) -> Answer:
        """Ask a verb, signed now. The same key is done once, however often it is asked."""
        if self._key is None:
            raise ConfigError("nothing signs this request", hint="this is a bug: a reader asked for a change")
        facts = {"audience": self.ledger_key.keyid, "submitter": await self.me(), "at": datetime.now(UTC)}
        request = Request.model_validate(
            {"verb": verb, "key": key, "tlp": tlp, "embargo_until": embargo_until, "body": dict(body), **facts}
        )
        return await self._record(Answer, "POST", f"/v1/{verb}", data=seal(request, self._key))

    async def put_blob(self, digest: str, data: bytes) -> None:
        """Bring a bundle."""
        if len(data) > MOST_BLOB_BYTES:
            raise ConfigError(f"the bundle has {len(data)} bytes; a clearinghouse takes {MOST_BLOB_BYTES}")
        await self._bytes("PUT", f"/v1/blobs/{digest}", data=data)

    async def status(self, any_id: str) -> Answer:
        """Return how far something of ours has come."""
        return await self._record(Answer, "GET", f"/v1/status/{quote(any_id, safe='')}")

    async def epoch(self) -> dict[str, Any]:
        """Return the key of claim-checks."""
        return await self._json("GET", "/v1/epoch")

    async def leases(self, project: str = "") -> list[Lease]:
        """Return the leases that hold."""
        return await self._all(Lease, "/v1/leases", {"project": project} if project else {})

    async def flaw(self, flaw_id: str) -> Flaw:
        """Return a flaw."""
        return await self._record(Flaw, "GET", f"/v1/flaws/{quote(flaw_id, safe='')}")

    async def fix(self, fix_id: str) -> Fix:
        """Return a fix."""
        return await self._record(Fix, "GET", f"/v1/fixes/{quote(fix_id, safe='')}")

    async def feed(self, cursor: int) -> FeedPage:
        """Return a page of the feed."""
        return await self._record(FeedPage, "GET", "/v1/feed", query={"cursor": str(cursor), "limit": "200"})

    @asynccontextmanager
    async def stream(self, cursor: int, *, quiet_seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the feed's stream behind a cursor; what comes in are pieces of bytes as they arrive.

        Raises as every reading does, and SinkError where there is no stream, it breaks, or nothing comes for so many seconds.
        """
        import aiohttp

        headers = {"Authorization": f"Bearer {self.place.token}", "Accept": "text/event-stream", "Last-Event-ID": str(cursor)}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=quiet_seconds)
        address = self.place.url.rstrip("/") + "/v1/feed/stream"
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

    async def published(self, fix_id: str) -> Published:
        """Return what is distributed about a fix."""
        return await self._record(Published, "GET", f"/v1/fixes/{quote(fix_id, safe='')}/published")

    async def bundle(self, fix_id: str) -> bytes:
        """Return the evidence bundle of a fix."""
        return await self._bytes("GET", f"/v1/fixes/{quote(fix_id, safe='')}/bundle", most=MOST_BLOB_BYTES)

    async def openings(self, fix_id: str) -> list[Opening]:
        """Return what opens the ledger's entries about a fix."""
        return await self._all(Opening, f"/v1/fixes/{quote(fix_id, safe='')}/openings", {})

    async def head(self) -> SignedHead:
        """Return the ledger's signed head."""
        return await self._record(SignedHead, "GET", "/v1/ledger/head")

    async def entry(self, index: int) -> LedgerEntry:
        """Return one entry of the ledger."""
        told = await self._json("GET", "/v1/ledger/entries", query={"start": str(index), "limit": "1"})
        return read(LedgerEntry, (told.get("items") or [None])[0])

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that an entry is in the ledger."""
        return proof_of(await self._json("GET", "/v1/ledger/inclusion", query={"index": str(index), "size": str(size)}))

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the ledger only grew."""
        return proof_of(await self._json("GET", "/v1/ledger/consistency", query={"first": str(first), "second": str(second)}))

    # -- the wire ------------------------------------------------------------------------------------------------------

    async def _all(self, kind: type[R], path: str, query: Mapping[str, str]) -> list[R]:
        items: list[R] = []
        cursor = ""
        for _ in range(1000):
            told = await self._json("GET", path, query={**query, **({"cursor": cursor} if cursor else {})})
            items += [read(kind, each) for each in told.get("items", [])]
            cursor = str(told.get("next") or "")
            if not cursor:
                break
        return items

    async def _record(self, kind: type[R], method: str, path: str, **rest: Any) -> R:
        return read(kind, await self._json(method, path, **rest))

    async def _json(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        data = await self._bytes(method, path, **rest)
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SinkError(f"{self.place.url}: what came back for {path} is not JSON") from error
        if not isinstance(value, dict):
            raise SinkError(f"{self.place.url}: what came back for {path} is no JSON object")
        return value

    async def _bytes(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        authorised: bool = True,
        most: int = _MOST_ANSWER_BYTES,
    ) -> bytes:
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
            raise ConfigError(f"the certificate of {self.place.url} is not trusted", hint="name your CA bundle: SSL_CERT_FILE") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # What aiohttp says may quote a header: only its kind is passed on.
            raise _TroubleError(type(error).__name__) from None


class _TroubleError(Exception):
    """No whole answer came."""


async def _open_session(ca_bundle: str, *, tls: bool) -> aiohttp.ClientSession:
    import ssl

    import aiohttp

    try:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=ca_bundle or None) if tls else True
    except OSError as error:
        raise ConfigError(f"cannot read the CA bundle {ca_bundle}: {error.strerror or error}", hint="mend SSL_CERT_FILE") from error
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
    )
