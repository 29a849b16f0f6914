"""Which clearinghouse a command talks to, and the way there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from remediator.cli.session import Session
from remediator.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse, Place
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
