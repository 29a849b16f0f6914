"""Who asks, and what was asked: a request after everything that needs no database was checked."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from remediator.clearinghouse.wire.answers import Answer
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope, Tier, Tlp
from remediator.clearinghouse.wire.verbs import Request
from remediator.records.record import Record, canonical_json, digest_of


class Caller(NamedTuple):
    """Whoever holds a token or a session. With the admin scope everything is visible."""

    organisation: str
    tier: Tier
    scopes: frozenset[Scope]
    token_id: str = ""

    @property
    def is_admin(self) -> bool:
        """Return whether it runs the clearinghouse."""
        return Scope.admin in self.scopes

    def needs(self, *scopes: Scope) -> None:
        """Raise RefusedError where it has none of these scopes."""
        if not self.is_admin and not self.scopes & set(scopes):
            told = " or ".join(scopes)
            raise RefusedError(Problem.forbidden, f"this token may not do that: it needs the scope {told}")

    @property
    def tlps(self) -> tuple[str, ...]:
        """Return the marks that its tier may see."""
        return tuple(tlp.value for tlp in Tlp if self.tier.may_see(tlp))


class Call(NamedTuple):
    """A believed request. `digest` is what the idempotency key stands for."""

    caller: Caller
    request: Request
    body: Any
    digest: str

    @classmethod
    def of(cls, caller: Caller, request: Request, body: Record) -> Call:
        """Put them together."""
        meant = request.as_json()
        told = {name: meant[name] for name in ("verb", "tlp", "embargo_until", "body")}
        return cls(caller, request, body, digest_of(canonical_json(told)))

    @property
    def organisation(self) -> str:
        """Return who asks."""
        return self.caller.organisation

    def answer(self, named: str, state: str, *, duplicate: bool = False, ledger_index: int | None = None, **detail: Any) -> Answer:
        """Return an answer to it."""
        return Answer(verb=self.request.verb, id=named, state=state, duplicate=duplicate, ledger_index=ledger_index, detail=detail)


def identify(kind: str, *parts: str) -> str:
    """Return a content-derived id."""
    framed = b"".join(len(data).to_bytes(4, "big") + data for data in (part.encode("utf-8", "surrogateescape") for part in parts))
    return f"{kind}-{hashlib.sha256(framed).hexdigest()[:24]}"


def not_found() -> RefusedError:
    """Return the one answer for what is not there and for what is not to be seen."""
    return RefusedError(Problem.not_found, "there is nothing by that id, or it is not yours to see")
