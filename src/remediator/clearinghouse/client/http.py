"""One clearinghouse over HTTP: what it can be asked, signed where it changes something; and it knows the key that it talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from remediator.clearinghouse.client.line import Line, Place
from remediator.clearinghouse.client.meaning import proof_of, read
from remediator.clearinghouse.wire.answers import Answer, FeedPage, Fix, Flaw, Lease, LedgerEntry, Opening, OptOut, Published, SignedHead
from remediator.clearinghouse.wire.envelope import seal
from remediator.clearinghouse.wire.terms import MOST_BLOB_BYTES, PROTOCOL, Tlp, Verb
from remediator.clearinghouse.wire.verbs import Request
from remediator.errors import ConfigError, EvidenceError, SinkError
from remediator.evidence.keys import PublicKey, SigningKey

__all__ = ["Clearinghouse", "Place"]


class Clearinghouse:
    """A connection. Errors: SinkError where asking later can help, RefusedError's code in the others' texts."""

    def __init__(self, line: Line, key: SigningKey | None) -> None:
        self.place = line.place
        self._line = line
        self._key = key
        self.ledger_key: PublicKey = PublicKey(b"\0" * 32)
        self._me = ""

    @classmethod
    @asynccontextmanager
    async def connect(cls, place: Place, key: SigningKey | None = None) -> AsyncIterator[Clearinghouse]:
        """Open a session and look who answers. `key` signs what we ask; readers need none.

        Raises ConfigError for an address that is not safe to send a token to, EvidenceError where another ledger answers than the trusted.
        """
        async with Line.open(place) as line:
            found = cls(line, key)
            await found._greet()
            yield found

    async def _greet(self) -> None:
        told = await self._line.document("GET", "/v1", authorised=False)
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
            told = await self._line.document("GET", "/v1/organisations/me")
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
        return await self._line.record(Answer, "POST", f"/v1/{verb}", data=seal(request, self._key))

    async def put_blob(self, digest: str, data: bytes) -> None:
        """Bring a bundle."""
        if len(data) > MOST_BLOB_BYTES:
            raise ConfigError(f"the bundle has {len(data)} bytes; a clearinghouse takes {MOST_BLOB_BYTES}")
        await self._line.content("PUT", f"/v1/blobs/{digest}", data=data)

    async def status(self, any_id: str) -> Answer:
        """Return how far something of ours has come."""
        return await self._line.record(Answer, "GET", f"/v1/status/{quote(any_id, safe='')}")

    async def epoch(self) -> dict[str, Any]:
        """Return the key of claim-checks."""
        return await self._line.document("GET", "/v1/epoch")

    async def leases(self, project: str = "") -> list[Lease]:
        """Return the leases that hold."""
        return await self._line.listed(Lease, "/v1/leases", {"project": project} if project else {})

    async def opt_outs(self) -> list[OptOut]:
        """Return the projects that want no scans."""
        return await self._line.listed(OptOut, "/v1/opt-outs", {})

    async def flaw(self, flaw_id: str) -> Flaw:
        """Return a flaw."""
        return await self._line.record(Flaw, "GET", f"/v1/flaws/{quote(flaw_id, safe='')}")

    async def fix(self, fix_id: str) -> Fix:
        """Return a fix."""
        return await self._line.record(Fix, "GET", f"/v1/fixes/{quote(fix_id, safe='')}")

    async def feed(self, cursor: int) -> FeedPage:
        """Return a page of the feed."""
        return await self._line.record(FeedPage, "GET", "/v1/feed", query={"cursor": str(cursor), "limit": "200"})

    @asynccontextmanager
    async def stream(self, cursor: int, *, quiet_seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the feed's stream behind a cursor; what comes in are pieces of bytes as they arrive.

        Raises as every reading does, and SinkError where there is no stream, it breaks, or nothing comes for so many seconds.
        """
        async with self._line.stream("/v1/feed/stream", str(cursor), quiet_seconds=quiet_seconds) as pieces:
            yield pieces

    async def published(self, fix_id: str) -> Published:
        """Return what is distributed about a fix."""
        return await self._line.record(Published, "GET", f"/v1/fixes/{quote(fix_id, safe='')}/published")

    async def bundle(self, fix_id: str) -> bytes:
        """Return the evidence bundle of a fix."""
        return await self._line.content("GET", f"/v1/fixes/{quote(fix_id, safe='')}/bundle", most=MOST_BLOB_BYTES)

    async def openings(self, fix_id: str) -> list[Opening]:
        """Return what opens the ledger's entries about a fix."""
        return await self._line.listed(Opening, f"/v1/fixes/{quote(fix_id, safe='')}/openings", {})

    async def head(self) -> SignedHead:
        """Return the ledger's signed head."""
        return await self._line.record(SignedHead, "GET", "/v1/ledger/head")

    async def entry(self, index: int) -> LedgerEntry:
        """Return one entry of the ledger."""
        told = await self._line.document("GET", "/v1/ledger/entries", query={"start": str(index), "limit": "1"})
        return read(LedgerEntry, (told.get("items") or [None])[0])

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that an entry is in the ledger."""
        return proof_of(await self._line.document("GET", "/v1/ledger/inclusion", query={"index": str(index), "size": str(size)}))

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the ledger only grew."""
        return proof_of(await self._line.document("GET", "/v1/ledger/consistency", query={"first": str(first), "second": str(second)}))
