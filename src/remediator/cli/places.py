"""Which clearinghouse a command talks to, and the way there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from remediator.cli.session import Session
from remediator.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse, Place
    from remediator.clearinghouse.wire.answers import Answer
    from remediator.clearinghouse.wire.terms import Verb
    from remediator.settings import ClearinghouseSettings

T = TypeVar("T")


def chosen(session: Session, name: str | None) -> tuple[str, ClearinghouseSettings]:
    """Return a clearinghouse of the settings; without a name, the only one. Raises ConfigError."""
    known = session.settings.clearinghouses
    if name is None and len(known) == 1:
        return next(iter(known.items()))
    if name in known:
        return str(name), known[str(name)]
    there = ", ".join(sorted(known))
    told = f"no clearinghouse {name!r} in the settings" if name else "no clearinghouse is chosen"
    hint = f"name one: {there}" if there else "write a table [clearinghouses.NAME] into remediator.toml; docs/reference/settings.md"
    raise ConfigError(told, hint=hint)


def place_of(session: Session, name: str, told: ClearinghouseSettings) -> Place:
    """Return where it is and who we are there; the token is read now. Raises ConfigError, UsageError."""
    from remediator.clearinghouse.client.http import Place

    if session.settings.offline:
        raise UsageError("a clearinghouse cannot be asked offline", hint="leave out --offline; what is handed over waits in the outbox")
    token = session.settings.secret(told.token).get_secret_value()
    return Place(name, told.url, token, told.trust, told.trusted_cas())


def asked(session: Session, name: str | None, work: Callable[[Clearinghouse], Awaitable[T]]) -> T:
    """Connect to a clearinghouse of the settings, and return what the work returned."""
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.evidence.keys import signing_key

    place = place_of(session, *chosen(session, name))

    async def run() -> T:
        key = await asyncio.to_thread(signing_key, session.settings.state / "keys")
        async with Clearinghouse.connect(place, key) as clearinghouse:
            return await work(clearinghouse)

    return asyncio.run(run())


def performed(
    session: Session, name: str | None, verb: Verb, body: Callable[[Clearinghouse], Awaitable[dict[str, Any]]], **facts: Any
) -> Answer:
    """Have a verb done that is asked for by hand, once, and return the answer: the same word typed again is another request."""
    key = f"u:{secrets.token_hex(16)}"

    async def work(clearinghouse: Clearinghouse) -> Answer:
        return await clearinghouse.ask(verb, await body(clearinghouse), key=key, **facts)

    return asked(session, name, work)


def told(session: Session, answer: Answer, subject: str = "", note: str = "") -> int:
    """Print what a clearinghouse answered to a verb; `note` says on a terminal what that means."""
    from remediator.cli import json_fields
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json

    if session.json is not None:
        plain = answer.as_json()
        print_json(session, {each: plain[each] for each in json_fields.ANSWER})
        return 0
    session.out.print(f"{safe(subject or answer.id)}  {safe(answer.state)}{' already' if answer.duplicate else ''}")
    if note:
        session.talk(note)
    return 0
