"""What one member writes as long as the protocol lets it: nobody's page becomes so long that it takes the server with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, func, select

from remediator.clearinghouse.store import Store, reading_fixes, schema
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope, Tier, Verb
from remediator.records.record import canonical_json
from remediator.testing.clearinghouse import FLAW, Party

Joins = Callable[..., Awaitable[Party]]
LONG = "\U0001f600" * 20_000
"""Of which canonical JSON makes twelve bytes each."""
MOST_BYTES = 3_000_000


def flaw(number: int, **facts: Any) -> dict[str, Any]:
    return {"project": f"pkg:pypi/p{number}", "title": "t", "details": LONG, "snippet": LONG, "path": "a.py", **facts}


def bytes_of(items: list[Any]) -> int:
    return sum(len(canonical_json(each.as_json())) for each in items)


async def test_a_page_of_flaws_ends_where_it_is_long_enough_and_none_is_lost(store: Store, joins: Joins) -> None:
    writer, reader = await joins("Writer"), await joins("Reader", Tier.public, (Scope.pull,))
    for number in range(20):
        await writer.ask(Verb.submit_finding, {"flaw": flaw(number), "scanner": "s"}, tlp="clear")
    for caller in (reader.caller, writer.caller):
        for order in ("time", "priority"):
            seen, cursor = [], ""
            while True:
                page = await store.flaws(caller, cursor=cursor, limit=200, order=order)
                assert bytes_of(page.items) < MOST_BYTES
                seen += [each.project for each in page.items]
                if not (cursor := page.next):
                    break
            assert sorted(seen) == sorted(f"pkg:pypi/p{number}" for number in range(20))


async def test_ones_own_long_words_on_short_flaws_of_others_count_too(store: Store, joins: Joins) -> None:
    first, second = await joins("First"), await joins("Second")
    for number in range(20):
        names = {"aliases": [f"CVE-2026-{1000 + number}"]}
        await first.ask(Verb.submit_finding, {"flaw": flaw(number, details="", snippet="", **names), "scanner": "s"})
        await second.ask(Verb.submit_finding, {"flaw": flaw(number, **names), "scanner": "s"})
    page = await store.flaws(second.caller, limit=200)
    assert 0 < len(page.items) < 20 and page.next
    assert len((await store.flaws(first.caller, limit=200)).items) == 20


async def test_two_hundred_long_reports_of_one_flaw_are_read_as_one(store: Store, joins: Joins) -> None:
    writer = await joins("Writer")
    for number in range(10):
        names = ["CVE-2026-7777", f"OTHER-{number}"]
        answer = await writer.ask(Verb.submit_finding, {"flaw": flaw(1, aliases=names, title=f"t{number}"), "scanner": f"s{number}"})
    async with store._database.reading() as connection:
        kept = (await connection.execute(select(func.sum(func.length(schema.witnesses.c.doc))))).scalar_one()
    assert int(kept) < 2 * len(LONG) * 12 + 10_000
    seen = await store.flaw(writer.caller, answer.detail["flaw"])
    assert (seen.title, seen.details) == ("t0", LONG)
    assert set(seen.aliases) == {"CVE-2026-7777", *(f"OTHER-{number}" for number in range(10))}


async def test_nobodys_leases_keep_others_from_reading_who_scans_what(store: Store, joins: Joins) -> None:
    writer, reader = await joins("Writer"), await joins("Reader")
    words = "\U0001f600" * 500
    for number in range(20):
        await writer.ask(Verb.lease, {"project": f"pkg:pypi/p{number}", "scope": [words] * 50, "contact": words, "commits": words})
    seen, cursor = [], ""
    while True:
        page = await store.leases(reader.caller, cursor=cursor, limit=200)
        assert bytes_of(page.items) < MOST_BYTES
        seen += page.items
        if not (cursor := page.next):
            break
    assert len({each.id for each in seen}) == len(seen) == 20
    lease = seen[0]
    for _ in range(30):
        await writer.ask(Verb.renew, {"lease_id": lease.id, "fencing": lease.fencing})
    assert bytes_of(await store.openings(reader.caller, lease.id)) < 3 * MOST_BYTES


async def test_a_list_of_fixes_brings_no_patch_and_no_long_words(store: Store, joins: Joins) -> None:
    writer = await joins("Writer")
    for number in range(3):
        await writer.submit_fix(f"s-{number}", flaw={**FLAW, "details": LONG})
    async with store._database.reading() as connection:
        rows = (await reading_fixes.fix_rows(connection, writer.caller)).items
    assert len(rows) == 3 and all(len(str(row)) < 3_000 for row in rows)


async def test_a_name_that_hides_from_a_reader_is_looked_for_by_the_page(store: Store, joins: Joins) -> None:
    writer, reader = await joins("Writer"), await joins("Reader", Tier.public, (Scope.pull,))
    for number in range(40):
        plain = {"project": f"pkg:pypi/p{number}", "title": "t", "snippet": "x", "path": "a.py"}
        await writer.ask(Verb.submit_finding, {"flaw": plain, "scanner": "s"}, tlp="clear")
        await writer.ask(Verb.submit_finding, {"flaw": {**plain, "aliases": ["CVE-2026-1"]}, "scanner": "t"}, tlp="amber")
    statements = 0

    def note(*_: Any) -> None:
        nonlocal statements
        statements += 1

    engine = store._database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        page = await store.flaws(reader.caller, alias="CVE-2026-1", limit=1)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert not page.items and not page.next
    assert statements < 20


async def test_what_one_holds_on_a_project_is_not_long_to_compare_with(store: Store, joins: Joins) -> None:
    writer, other = await joins("Writer"), await joins("Other")
    words = ["\U0001f600" * 490 + str(number) for number in range(50)]
    await writer.ask(Verb.lease, {"project": FLAW["project"], "scope": words})
    with pytest.raises(RefusedError) as refused:
        await writer.ask(Verb.lease, {"project": FLAW["project"], "scope": words})
    assert refused.value.code is Problem.too_many
    for number in range(20):
        await writer.ask(Verb.lease, {"project": FLAW["project"], "scope": [f"src/{number}"]})
    assert (await other.ask(Verb.lease, {"project": FLAW["project"], "scope": ["docs"]})).state == "granted"
