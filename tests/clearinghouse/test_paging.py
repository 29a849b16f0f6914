"""What is asked along each way to a row is what one plain condition would find, in the same order, page after page."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import or_, select, true

from remediator.clearinghouse.store import Caller, Store, reading, schema
from remediator.clearinghouse.store.reading import fix_is_visible, flaw_is_visible
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState, Scope, Tier, Verb
from remediator.testing.clearinghouse import FLAW, Clock, Party

Joins = Callable[..., Awaitable[Party]]
ADMIN = Caller("", Tier.operator, frozenset((Scope.admin, Scope.pull)))


@pytest.fixture
async def readers(store: Store, joins: Joins, clock: Clock) -> list[Caller]:
    """A store with a little of everything: each mark, held back or not, proven, rejected or waiting; and who reads it."""
    chance = random.Random(7)
    parties = [await joins(f"Organisation {tier}", tier) for tier in Tier]
    for number in range(60):
        who = chance.choice(parties)
        facts: dict[str, Any] = {"tlp": chance.choice(["clear", "green", "amber", "red"])}
        if chance.random() < 0.3:
            facts["embargo_until"] = clock() + timedelta(days=30)
        flaw = {**FLAW, "project": f"pkg:pypi/p-{number % 25}", "severity": chance.choice(["low", "high"]), "path": "", "aliases": []}
        if number % 4:
            await who.submit_fix(f"fix-{number}", flaw={**flaw, "title": f"flaw {number % 25}"}, **facts)
        else:
            await who.ask(Verb.submit_finding, {"flaw": {**flaw, "title": f"flaw {number % 25}"}, "scanner": "semgrep"}, **facts)
        clock.forward(seconds=number % 2)
        if number % 4 > 1 and (job := await store.take_job("v", 60)) is not None:
            good = number % 8 != 3
            told = Validation(outcome="agreed", level=4 if good else None)
            assert await store.finish_job(job, told, FixState.verified if good else FixState.rejected, patch="diff" if good else None)
    assert not (await store.verify()).problem
    return [ADMIN, *(party.caller for party in parties)]


async def pages(ask: Callable[..., Awaitable[Any]], **wanted: Any) -> list[str]:
    found, cursor = [], ""
    while True:
        page = await ask(cursor=cursor, limit=3, **wanted)
        found += [each.id for each in page.items]
        if not (cursor := page.next):
            return found


async def plain(store: Store, query: Any) -> list[Any]:
    async with store._database.reading() as connection:
        return list((await connection.execute(query)).scalars())


@pytest.mark.parametrize("few", [0, 5_000], ids=["along everybody's", "sorted"])
@pytest.mark.parametrize("order", ["priority", "time"])
async def test_flaws(store: Store, readers: list[Caller], monkeypatch: pytest.MonkeyPatch, few: int, order: str) -> None:
    monkeypatch.setattr(reading, "_FEW", few)
    table, seen = schema.flaws.c, []
    column = table.rank if order == "priority" else table.updated_at
    for caller in readers:
        query = select(table.id).where(flaw_is_visible(caller), table.merged_into == "").order_by(column, table.id)
        due = await plain(store, query)
        assert await pages(lambda caller=caller, **asked: store.flaws(caller, **asked), order=order) == due
        seen.append(len(due))
    # One sees everything, the others less and not the same, and nobody nothing.
    assert seen[0] == len(await plain(store, select(table.id).where(table.merged_into == ""))) and len(set(seen)) > 2 and min(seen) > 3


@pytest.mark.parametrize("state", [None, "received", "verified", "rejected"])
async def test_fixes(store: Store, readers: list[Caller], state: str | None) -> None:
    table, seen = schema.fixes.c, []
    for caller in readers:
        query = select(table.id).where(fix_is_visible(caller), table.state == state if state else true())
        due = await plain(store, query.order_by(table.updated_at, table.id))
        assert await pages(lambda caller=caller, **asked: store.fixes(caller, **asked), **({"state": state} if state else {})) == due
        seen.append(len(due))
    assert seen[0] > max(seen[1:]) and max(seen[1:]) > 0


async def test_the_feed(store: Store, readers: list[Caller]) -> None:
    table, seen = schema.feed.c, []
    for caller in readers:
        visible = true() if caller.is_admin else or_(table.tlp.in_(caller.tlps), table.organisation == caller.organisation)
        due = await plain(store, select(table.cursor).where(visible).order_by(table.cursor))
        found, cursor, more = [], 0, True
        while more:
            page = await store.feed(caller, cursor, 2)
            found += [entry.cursor for entry in page.entries]
            cursor, more = page.next, page.more
        assert found == due
        # What is one's own is there under the strictest mark, too.
        own = set(await plain(store, select(table.cursor).where(table.organisation == caller.organisation)))
        assert own <= set(found)
        seen.append((len(due), len(own)))
    assert seen[0][0] > max(count for count, _ in seen[1:]) and any(own for _, own in seen)
    red = await plain(store, select(table.organisation).where(table.tlp == "red"))
    assert red and set(red) <= {caller.organisation for caller in readers}
