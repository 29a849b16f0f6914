"""Tries all statements against one server."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import NamedTuple

from remediator.clearinghouse.conform import envelopes, flaws, forms, leases, ledger, rights, shared, told
from remediator.clearinghouse.conform.ground import BrokenError, Ground, Member, NotRunError, checked_url
from remediator.clearinghouse.conform.statement import Found, Outcome, Statement
from remediator.errors import ConfigError

ONLY_READING = "it changes something, and only reading was asked for"
_AT_ONCE = 4
_SECONDS = 60.0


def _order(each: Statement) -> tuple[int, ...]:
    return tuple(int(part) for part in each.number.split("."))


STATEMENTS: tuple[Statement, ...] = (
    tuple(
        sorted((each for part in (shared, forms, envelopes, leases, rights, flaws, told, ledger) for each in part.STATEMENTS), key=_order)
    )
    + shared.LAST
)


class Conformance(NamedTuple):
    """What was found about a server."""

    url: str
    found: tuple[Found, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many statements came out so."""
        return sum(each.outcome is outcome for each in self.found)

    @property
    def exit_code(self) -> int:
        """Return 1 where a statement does not hold, 3 where one was not run, else 0: what was not tried is not shown to hold."""
        if self.count(Outcome.broken):
            return 1
        return 3 if self.count(Outcome.not_run) else 0


async def conform(
    url: str, one: Member, two: Member | None = None, pull: Member | None = None, *, ca_bundle: str = "", only: Collection[str] = ()
) -> Conformance:
    """Try the statements. Without `two` nothing is changed on the server. Raises ConfigError where nobody answers there.

    It leaves leases, flaws and fixes of its own there, under names that begin with `conform-`: use organisations made for it.
    """
    import ssl

    import aiohttp

    tls: ssl.SSLContext | bool = await asyncio.to_thread(ssl.create_default_context, cafile=ca_bundle) if ca_bundle else True
    timeout = aiohttp.ClientTimeout(total=_SECONDS, sock_connect=10)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=timeout,
    ) as http:
        ground = Ground(checked_url(url), http, one, two, pull)
        await _introduced(ground, two)
        slots = asyncio.Semaphore(_AT_ONCE)
        wanted = [each for each in STATEMENTS if not only or each.number in only]

        async def tried(each: Statement) -> Found:
            if each.writes and two is None:
                return Found(each.number, each.text, Outcome.not_run, ONLY_READING)
            async with slots:
                return await each.tried(ground)

        async with asyncio.TaskGroup() as group:
            running = [group.create_task(tried(each)) for each in wanted if each not in shared.LAST]
        found = [each.result() for each in running]
        # What is said of the whole run is looked at when it is over.
        found += [await tried(each) for each in wanted if each in shared.LAST]
    return Conformance(ground.url, tuple(found))


async def _introduced(ground: Ground, two: Member | None) -> None:
    """Find out for whom requests are signed, and who the organisations are. What is missing shows in the statements about it."""
    try:
        ground.audience = str((await ground.told("/v1")).get("audience", ""))
        ground.one = await _named(ground, ground.one)
        if two is not None:
            ground.take_two(await _named(ground, two))
    except (BrokenError, NotRunError) as error:
        raise ConfigError(f"{ground.url} cannot be tried: {error}", hint="check the address and the tokens") from None


async def _named(ground: Ground, who: Member) -> Member:
    told = (await ground.told("/v1/organisations/me", who)).get("organisation")
    return who._replace(id=str(told.get("id", "")) if isinstance(told, dict) else "")
