"""Organisations that take part in a clearinghouse, a clock that stands, and what they sign: for tests and benchmarks."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from remediator.clearinghouse.store import Caller, Store
from remediator.clearinghouse.wire.answers import Answer
from remediator.clearinghouse.wire.envelope import seal
from remediator.clearinghouse.wire.terms import Scope, Tier, Verb
from remediator.clearinghouse.wire.verbs import Request
from remediator.evidence.keys import SigningKey
from remediator.records.record import digest_of


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 12, tzinfo=UTC)
        self._passed = timedelta()

    def __call__(self) -> datetime:
        """Return its time."""
        return self.now

    def elapsed(self) -> float:
        """Return the seconds that passed, whatever it was set to."""
        return self._passed.total_seconds()

    def forward(self, **amount: float) -> None:
        """Let time pass: `days=`, `hours=`, `seconds=`."""
        self._passed += timedelta(**amount)
        self.now += timedelta(**amount)

    def jump(self, **amount: float) -> None:
        """Set it to another time, while none passes."""
        self.now += timedelta(**amount)


class Party(NamedTuple):
    """An organisation with a key and a token for everything but administration."""

    store: Store
    clock: Clock
    id: str
    key: SigningKey
    caller: Caller
    token: str

    def request(self, verb: Verb | str, body: dict[str, Any], **facts: Any) -> Request:
        """Return what is to be signed."""
        told = {"key": secrets.token_hex(16), "audience": self.store.audience, "submitter": self.id, "at": self.clock(), **facts}
        return Request.model_validate({"verb": verb, "body": body, **told})

    def sealed(self, verb: Verb | str, body: dict[str, Any], **facts: Any) -> bytes:
        """Return an envelope."""
        return seal(self.request(verb, body, **facts), self.key)

    async def ask(self, verb: Verb | str, body: dict[str, Any], **facts: Any) -> Answer:
        """Ask the store."""
        return await self.store.perform(self.caller, self.sealed(verb, body, **facts))

    async def put(self, data: bytes) -> str:
        """Bring a blob; return its digest."""

        async def stream() -> AsyncIterator[bytes]:
            yield data

        await self.store.put_blob(self.caller, digest_of(data), stream())
        return digest_of(data)

    async def submit_fix(self, name: str = "s-1", *, data: bytes = b"bundle", flaw: dict[str, Any] | None = None, **facts: Any) -> Answer:
        """Bring a bundle and submit it as a fix."""
        digest = await self.put(data)
        # No two at the very same time: which of them is validated first would be drawn by lot, as their ids are.
        if isinstance(self.clock, Clock):
            self.clock.forward(microseconds=1)
        body = {"flaw": flaw or FLAW, "submission_id": name, "patch_id": "p-1", "bundle": digest, "bundle_bytes": len(data)}
        return await self.ask(Verb.submit_fix, {**body, "claimed_level": 4}, **facts)


FLAW: dict[str, Any] = {
    "project": "pkg:pypi/pyanyapi",
    "version": "0.6.0",
    "path": "pyanyapi/interfaces.py",
    "cwe": [502],
    "snippet": "yaml.load(content)",
    "aliases": ["CVE-2017-16616"],
    "severity": "critical",
    "title": "yaml.load on what a server sends",
    "line": 10,
}


async def party(store: Store, clock: Clock, name: str, tier: Tier, scopes: tuple[Scope, ...]) -> Party:
    """Make an organisation that takes part."""
    organisation = await store.add_organisation(name, tier)
    key = SigningKey.generate()
    await store.add_key(organisation.id, key.public.line())
    _, secret = await store.create_token(organisation.id, scopes)
    return Party(store, clock, organisation.id, key, await store.authenticate(secret), secret)
