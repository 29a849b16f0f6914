"""Organisations, their API tokens and signing keys. Secrets are shown once, and kept as hashes."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch
from remediator.clearinghouse.store.calls import Caller, identify
from remediator.clearinghouse.store.database import Database
from remediator.clearinghouse.store.schema import micros, moment
from remediator.clearinghouse.store.sessions import Sessions, hashed, known, unauthorised
from remediator.clearinghouse.store.writer import Writer
from remediator.clearinghouse.wire.answers import Organisation
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope, Tier
from remediator.errors import UsageError
from remediator.evidence.keys import PublicKey

_REMEMBERED_SECONDS = 1.0
_LONGEST_KEYID = 100


class TokenInfo(NamedTuple):
    """A token, without its secret."""

    id: str
    organisation: str
    scopes: tuple[str, ...]
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyInfo(NamedTuple):
    """A submitter's public key."""

    keyid: str
    organisation: str
    line: str
    added_at: datetime
    not_after: datetime | None
    revoked_at: datetime | None
    reason: str
    replaces: str

    def refusal(self, now: datetime) -> RefusedError | None:
        """Return why what it signs now is not taken, or None."""
        if self.revoked_at is not None:
            return RefusedError(Problem.key_revoked, f"the key {self.keyid} was revoked", hint="sign with another of your keys")
        if self.not_after is not None and self.not_after <= now:
            return RefusedError(Problem.key_expired, f"the key {self.keyid} has expired", hint="register a new key")
        return None


class People(Sessions):
    """Part of the store: who may ask, and how they are known."""

    def __init__(self, database: Database, writer: Writer, clock: Callable[[], datetime]) -> None:
        super().__init__(database, writer, clock)
        self._callers: dict[str, tuple[float, Caller, int | None]] = {}
        self._keys: dict[str, tuple[float, KeyInfo | None]] = {}

    # -- organisations -------------------------------------------------------------------------------------------------

    async def add_organisation(self, name: str, tier: Tier, contact: str = "") -> Organisation:
        """Add an organisation. Raises UsageError where the name is taken."""
        name = name.strip()
        if not 0 < len(name) <= 300 or not name.isprintable():
            raise UsageError("an organisation's name has 1 to 300 printable characters")

        async def work(batch: Batch) -> Organisation:
            found = Organisation(id=identify("org", name), name=name, tier=tier, contact=contact[:500], created_at=batch.now)
            if await batch.one(schema.organisations, id=found.id) is not None:
                raise UsageError(f"there is an organisation {name!r} already", hint="remediator clearinghouse organisation")
            row = {
                **found.model_dump(exclude={"created_at"}),
                "tier": tier.value,
                "created_at": batch.at,
                "disabled": 0,
                "served_at": 0,
                "blob_bytes": 0,
            }
            batch.insert(schema.organisations, row)
            batch.record("organisation", found.id, found.as_json())
            return found

        made: Organisation = await self._writer.do(work)
        return made

    async def organisations(self) -> list[Organisation]:
        """Return all organisations, by name."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(schema.organisations).order_by(schema.organisations.c.name))).mappings()
            return [_organisation(dict(row)) for row in rows]

    async def organisation(self, organisation_id: str) -> Organisation | None:
        """Return one organisation."""
        return next((each for each in await self.organisations() if each.id == organisation_id), None)

    async def disable_organisation(self, organisation_id: str) -> None:
        """Shut an organisation out: its tokens and sessions are worth nothing from now on."""

        async def work(batch: Batch) -> None:
            if not await batch.change(schema.organisations, {"id": organisation_id}, disabled=1):
                raise UsageError(f"no organisation {organisation_id!r}", hint="remediator clearinghouse organisation")
            batch.record("organisation", organisation_id, {"id": organisation_id, "disabled": True})

        await self._writer.do(work)
        self._callers.clear()

    # -- tokens --------------------------------------------------------------------------------------------------------

    async def create_token(
        self, organisation: str, scopes: Iterable[Scope], *, label: str = "", expires: datetime | None = None
    ) -> tuple[str, str]:
        """Return a token's id and its secret, which is shown this once. Raises UsageError."""
        wanted = sorted({Scope(each).value for each in scopes})
        if not wanted:
            raise UsageError("a token needs a scope", hint="submit, assess, pull or admin")
        token_id = f"{secrets.token_hex(8)}"
        secret = f"rch_{token_id}_{secrets.token_urlsafe(32)}"

        async def work(batch: Batch) -> None:
            await known(batch, organisation)
            row = {"id": token_id, "organisation": organisation, "hash": hashed(secret), "scopes": " ".join(wanted), "label": label[:300]}
            times = {"created_at": batch.at, "expires_at": None if expires is None else micros(expires), "revoked_at": None}
            batch.insert(schema.tokens, {**row, **times})
            batch.record("token", token_id, {"id": token_id, "organisation": organisation, "scopes": wanted})

        await self._writer.do(work)
        return token_id, secret

    async def revoke_token(self, token_id: str) -> None:
        """Revoke a token. Raises UsageError where there is none."""

        async def work(batch: Batch) -> None:
            row = await batch.one(schema.tokens, id=token_id)
            if row is None:
                raise UsageError(f"no token {token_id!r}", hint="remediator clearinghouse token")
            if row["revoked_at"] is not None:
                # Since when it is worth nothing stays as it was.
                return
            await batch.change(schema.tokens, {"id": token_id}, revoked_at=batch.at)
            batch.record("token", token_id, {"id": token_id, "revoked": True})

        await self._writer.do(work)
        self._callers.clear()

    async def tokens(self, organisation: str | None = None) -> list[TokenInfo]:
        """Return tokens without their secrets."""
        query = select(schema.tokens).order_by(schema.tokens.c.created_at)
        if organisation is not None:
            query = query.where(schema.tokens.c.organisation == organisation)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            TokenInfo(
                row["id"],
                row["organisation"],
                tuple(row["scopes"].split()),
                row["label"],
                moment(row["created_at"]),
                _maybe(row["expires_at"]),
                _maybe(row["revoked_at"]),
            )
            for row in rows
        ]

    async def authenticate(self, secret: str) -> Caller:
        """Return whose token it is. Raises RefusedError: unauthorised, in the same words whatever is wrong."""
        digest, now = hashed(secret), self._clock()
        kept = self._callers.get(digest)
        if kept is not None and time.monotonic() - kept[0] < _REMEMBERED_SECONDS and (kept[2] is None or kept[2] > micros(now)):
            return kept[1]
        token_id = secret.split("_")[1] if secret.startswith("rch_") and secret.count("_") >= 2 else ""
        tokens, organisations = schema.tokens.c, schema.organisations.c
        query = select(schema.tokens, organisations.tier, organisations.disabled).where(
            tokens.id == token_id[:100], organisations.id == tokens.organisation
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().first()
        right = hmac.compare_digest(digest, row["hash"] if row is not None else "0" * 64)
        over = row is not None and row["expires_at"] is not None and row["expires_at"] <= micros(now)
        if row is None or not right or over or row["revoked_at"] is not None or row["disabled"]:
            raise unauthorised()
        caller = Caller(row["organisation"], Tier(row["tier"]), frozenset(Scope(each) for each in row["scopes"].split()), row["id"])
        if len(self._callers) > 10_000:
            self._callers.clear()
        self._callers[digest] = (time.monotonic(), caller, row["expires_at"])
        return caller

    # -- keys ----------------------------------------------------------------------------------------------------------

    async def add_key(self, organisation: str, line: str, *, not_after: datetime | None = None, replaces: str = "") -> str:
        """Register a submitter's key; return its id. `replaces` revokes the key that it takes the place of. Raises UsageError."""
        try:
            key = PublicKey.parse(line)
        except ValueError as error:
            raise UsageError(f"the key cannot be read: {error}", hint="one line: ssh-ed25519 AAAA… [comment]") from error

        async def work(batch: Batch) -> None:
            await known(batch, organisation)
            if await batch.one(schema.keys, keyid=key.keyid) is not None:
                raise UsageError(f"the key {key.keyid} is registered already, or was", hint="a key is used by one organisation, once")
            old = await batch.one(schema.keys, keyid=replaces, organisation=organisation) if replaces else None
            if replaces and old is None:
                raise UsageError(f"this organisation has no key {replaces}", hint="remediator clearinghouse key")
            if old is not None and old["revoked_at"] is None:
                await batch.change(schema.keys, {"keyid": replaces}, revoked_at=batch.at, reason="replaced")
            row = {"keyid": key.keyid, "organisation": organisation, "line": key.line(), "added_at": batch.at, "reason": ""}
            until = None if not_after is None else micros(not_after)
            batch.insert(schema.keys, {**row, "not_after": until, "revoked_at": None, "replaces": replaces})
            batch.record("key", key.keyid, {"keyid": key.keyid, "organisation": organisation, "line": key.line(), "replaces": replaces})

        await self._writer.do(work)
        self._keys.clear()
        return key.keyid

    async def revoke_key(self, keyid: str, reason: str = "") -> None:
        """Revoke a key: nothing that it signs is taken from now on. Raises UsageError where there is none."""

        async def work(batch: Batch) -> None:
            row = await batch.one(schema.keys, keyid=keyid)
            if row is None:
                raise UsageError(f"no key {keyid}", hint="remediator clearinghouse key")
            if row["revoked_at"] is not None:
                return
            await batch.change(schema.keys, {"keyid": keyid}, revoked_at=batch.at, reason=reason[:500])
            batch.record("key", keyid, {"keyid": keyid, "revoked": True, "reason": reason[:500]})

        await self._writer.do(work)
        self._keys.clear()

    async def keys(self, organisation: str | None = None) -> list[KeyInfo]:
        """Return keys, revoked ones too."""
        query = select(schema.keys).order_by(schema.keys.c.added_at)
        if organisation is not None:
            query = query.where(schema.keys.c.organisation == organisation)
        async with self._database.reading() as connection:
            return [_key(dict(row)) for row in (await connection.execute(query)).mappings()]

    async def key(self, keyid: str) -> KeyInfo | None:
        """Return a key, at most a second old."""
        if len(keyid) > _LONGEST_KEYID:
            return None
        kept = self._keys.get(keyid)
        if kept is not None and time.monotonic() - kept[0] < _REMEMBERED_SECONDS:
            return kept[1]
        async with self._database.reading() as connection:
            row = (await connection.execute(select(schema.keys).where(schema.keys.c.keyid == keyid))).mappings().first()
        found = None if row is None else _key(dict(row))
        if len(self._keys) > 10_000:
            self._keys.clear()
        self._keys[keyid] = (time.monotonic(), found)
        return found


def _maybe(stored: int | None) -> datetime | None:
    return None if stored is None else moment(stored)


def _organisation(row: dict[str, object]) -> Organisation:
    known = {name: row[name] for name in ("id", "name", "tier", "contact")}
    return Organisation.model_validate({**known, "created_at": moment(int(str(row["created_at"]))), "disabled": bool(row["disabled"])})


def _key(row: dict[str, object]) -> KeyInfo:
    times = {name: _maybe(row[name]) for name in ("added_at", "not_after", "revoked_at")}  # type: ignore[arg-type]
    return KeyInfo(**{**row, **times})  # type: ignore[arg-type]


__all__ = ["KeyInfo", "People", "TokenInfo", "unauthorised"]
