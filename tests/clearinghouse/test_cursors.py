"""Cursors tell nothing, and are taken where they were given."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.store.cursors import Cursors
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope, Tier, Verb
from remediator.evidence.keys import SigningKey
from remediator.testing.clearinghouse import FLAW, Clock, Party, party

Joins = Callable[..., Awaitable[Party]]


def test_a_cursor_tells_nothing_and_opens_only_its_own_list() -> None:
    key = SigningKey.generate()
    cursors = Cursors(key)
    made = cursors.seal((1_790_000_000_000_000, "flaw-1"), "flaws", "org-1", {"alias": "x"})
    assert cursors.open(made, "flaws", "org-1", {"alias": "x"}) == [1_790_000_000_000_000, "flaw-1"]
    assert Cursors(key).seal((1_790_000_000_000_000, "flaw-1"), "flaws", "org-1", {"alias": "x"}) == made
    assert b"flaw" not in base64.urlsafe_b64decode(made + "==")
    assert len(cursors.seal((1, "f"), "l")) == len(cursors.seal((10**15, "flaw-" + "0" * 24), "l"))
    assert cursors.seal(None, "l") == "" and cursors.open("", "l") is None
    wrong = [("flaws", "org-2", {"alias": "x"}), ("flaws", "org-1", {}), ("fixes", "org-1", {"alias": "x"})]
    given = [(made, each) for each in wrong] + [(made[:-2], ("flaws", "org-1", {"alias": "x"})), ("!" + made, wrong[0]), ("A", wrong[0])]
    given += [(Cursors(SigningKey.generate()).seal((1, "a"), "l"), ("l",)), (made[0] + "B" + made[2:], ("flaws", "org-1", {"alias": "x"}))]
    for text, about in given:
        with pytest.raises(RefusedError) as refused:
            cursors.open(text, *about)
        assert refused.value.code is Problem.bad_request


async def test_servers_of_one_clearinghouse_read_each_others_cursors(store: Store, database_url: str, tmp_path: Path, clock: Clock) -> None:
    one = await party(store, clock, "One", Tier.operator, (Scope.submit,))
    for number in range(3):
        flaw = {**FLAW, "aliases": [f"CVE-2026-000{number}"], "snippet": str(number)}
        await one.ask(Verb.submit_finding, {"flaw": flaw, "scanner": "s"})
    first = await store.flaws(one.caller, limit=2)
    async with Store.open(database_url, tmp_path / "data", clock=clock, elapsed=clock.elapsed) as other:
        rest = await other.flaws(one.caller, cursor=first.next, limit=2)
    assert len({flaw.id for flaw in (*first.items, *rest.items)}) == 3 and rest.next == ""


async def test_what_others_do_under_embargo_moves_no_cursor(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    for number in range(2):
        flaw = {**FLAW, "aliases": [f"CVE-2026-000{number}"], "snippet": str(number)}
        await one.ask(Verb.submit_finding, {"flaw": flaw, "scanner": "s"}, embargo_until=clock.now + timedelta(days=9))
        clock.forward(seconds=1)
    before = [await store.flaws(one.caller, limit=1, order=order) for order in ("time", "priority")]
    assert all(page.next for page in before)
    for number in range(2):
        flaw = {**FLAW, "aliases": [f"CVE-2026-000{number}"], "snippet": "", "cwe": [79], "title": "theirs"}
        await two.ask(Verb.submit_finding, {"flaw": flaw, "scanner": "s"}, embargo_until=clock.now + timedelta(days=20))
    assert [await store.flaws(one.caller, limit=1, order=order) for order in ("time", "priority")] == before
