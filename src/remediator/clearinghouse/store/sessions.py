"""People at the pages: links that log in once, and sessions. Secrets are shown once, and kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch
from remediator.clearinghouse.store.calls import Caller
from remediator.clearinghouse.store.database import Database
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.store.writer import Writer
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope, Tier
from remediator.errors import UsageError

_SHOWN = "token:"
_LINK, _SESSION = timedelta(minutes=15), timedelta(hours=12)


class Sessions:
    """Part of the store: who looks at the pages."""

    def __init__(self, database: Database, writer: Writer, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    async def login_link(self, organisation: str, person: str, scopes: Iterable[Scope] = (Scope.pull,)) -> str:
        """Return the secret of a link that logs in once, within 15 minutes. Raises UsageError."""
        if person.startswith(_SHOWN):
            raise UsageError("a person's name does not begin so")
        return await self._secret("link", organisation, person, tuple(scopes), _LINK)

    async def redeem(self, secret: str) -> str:
        """Use up a link; return a session's secret. Raises RefusedError: unauthorised."""

        async def work(batch: Batch) -> tuple[str, str, tuple[Scope, ...]]:
            row = await batch.one(schema.sessions, hash=hashed(secret), kind="link")
            await batch.connection.execute(delete(schema.sessions).where(schema.sessions.c.hash == hashed(secret)))
            if row is None or row["expires_at"] <= batch.at:
                raise unauthorised()
            return row["organisation"], row["person"], tuple(Scope(each) for each in row["scopes"].split())

        organisation, person, scopes = await self._writer.do(work)
        return await self._secret("session", organisation, person, scopes, _SESSION)

    async def begin_session(self, caller: Caller, person: str = "") -> str:
        """Return a session's secret for whoever showed a token."""
        # What the token may not do any more, its sessions may not either: so they remember it.
        return await self._secret("session", caller.organisation, f"{_SHOWN}{caller.token_id}:{person}", tuple(caller.scopes), _SESSION)

    async def session(self, secret: str) -> Caller:
        """Return whose session it is. Raises RefusedError: unauthorised."""
        sessions, organisations = schema.sessions.c, schema.organisations.c
        query = select(schema.sessions, organisations.tier).where(
            sessions.hash == hashed(secret),
            sessions.kind == "session",
            sessions.expires_at > micros(self._clock()),
            organisations.id == sessions.organisation,
            organisations.disabled == 0,
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().first()
            if row is not None and row["person"].startswith(_SHOWN):
                holds = select(schema.tokens.c.id).where(
                    schema.tokens.c.id == row["person"].split(":")[1],
                    schema.tokens.c.revoked_at.is_(None),
                    schema.tokens.c.expires_at.is_(None) | (schema.tokens.c.expires_at > micros(self._clock())),
                )
                row = row if (await connection.execute(holds)).scalar() is not None else None
        if row is None:
            raise unauthorised()
        scopes = frozenset(Scope(each) for each in row["scopes"].split())
        return Caller(row["organisation"], Tier(row["tier"]), scopes, f"session:{row['person']}")

    async def end_session(self, secret: str) -> None:
        """Log out."""

        async def work(batch: Batch) -> None:
            await batch.connection.execute(delete(schema.sessions).where(schema.sessions.c.hash == hashed(secret)))

        await self._writer.do(work)

    async def _secret(self, kind: str, organisation: str, person: str, scopes: tuple[Scope, ...], lasts: timedelta) -> str:
        secret = secrets.token_urlsafe(32)

        async def work(batch: Batch) -> None:
            await known(batch, organisation)
            await batch.connection.execute(delete(schema.sessions).where(schema.sessions.c.expires_at <= batch.at))
            row = {"hash": hashed(secret), "kind": kind, "organisation": organisation, "person": person[:300]}
            until = micros(batch.now + lasts)
            await batch.connection.execute(insert(schema.sessions), [{**row, "scopes": " ".join(sorted(scopes)), "expires_at": until}])

        await self._writer.do(work)
        return secret


async def known(batch: Batch, organisation: str) -> None:
    """Raise UsageError where there is no such organisation, or it was shut out."""
    row = await batch.one(schema.organisations, id=organisation)
    if row is None or row["disabled"]:
        raise UsageError(f"no organisation {organisation[:100]!r}", hint="remediator clearinghouse organisation")


def unauthorised() -> RefusedError:
    """Return the one answer to every token that is not taken."""
    return RefusedError(Problem.unauthorised, "this token is not known, or not any more", hint="Authorization: Bearer rch_…")


def hashed(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
