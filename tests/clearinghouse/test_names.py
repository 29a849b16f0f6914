"""Which reports are about one flaw: no name that one reporter gives makes two flaws of others one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.identity import contradicts, fingerprints, naming
from remediator.clearinghouse.wire.terms import Verb
from remediator.clearinghouse.wire.verbs import FlawBody
from remediator.testing.clearinghouse import FLAW, Party

Joins = Callable[..., Awaitable[Party]]
ONE, TWO, GHSA, OTHER = "CVE-2026-0001", "CVE-2026-0002", "GHSA-aaaa-bbbb-cccc", "GHSA-dddd-eeee-ffff"


@pytest.mark.parametrize(
    ("aliases", "named"),
    [
        ((ONE, GHSA), (ONE, GHSA)),
        ((ONE, TWO, GHSA), (GHSA,)),
        ((ONE, ONE.lower(), GHSA), (ONE, ONE.lower(), GHSA)),
        (("BUG1", "BUG2"), ("BUG1", "BUG2")),
        ((), ()),
    ],
)
def test_an_id_names_where_it_is_the_only_one_of_its_kind(aliases: tuple[str, ...], named: tuple[str, ...]) -> None:
    assert naming(aliases) == named
    body = {**FLAW, "path": "", "snippet": ""}
    alone = {fingerprints(FlawBody.model_validate({**body, "aliases": [each]}))[0] for each in named}
    if alone:
        assert set(fingerprints(FlawBody.model_validate({**body, "aliases": list(aliases)}))) == alone


@pytest.mark.parametrize(
    ("known", "said", "other"),
    [
        ([ONE], [TWO], True),
        ([ONE], [ONE.lower()], False),
        ([ONE, GHSA], [TWO, GHSA], True),
        ([ONE, GHSA], [ONE, OTHER], False),
        ([GHSA], [OTHER], True),
        ([GHSA], [TWO, OTHER], True),
        ([ONE], [GHSA], False),
        ([ONE], [TWO, "CVE-2026-0003"], False),
        ([], [ONE], False),
    ],
)
def test_two_that_have_different_ids_are_never_one(known: list[str], said: list[str], other: bool) -> None:
    assert contradicts(known, said) is other


async def _told(who: Party, *aliases: str, place: str = "") -> str:
    where = {"path": place and f"src/{place}.py", "snippet": place, "cwe": [502]}
    found = await who.ask(Verb.submit_finding, {"flaw": {**FLAW, **where, "aliases": list(aliases), "title": place or "t"}, "scanner": "s"})
    return str(found.detail["flaw"])


async def test_a_report_of_two_ids_makes_no_one_of_them(store: Store, joins: Joins) -> None:
    liar, one, two = await joins("Liar"), await joins("One"), await joins("Two")
    bridge = await _told(liar, ONE, TWO, place="a")
    first, second = await _told(one, ONE, place="b"), await _told(two, TWO, place="c")
    assert len({bridge, first, second}) == 3
    # Sent after them it joins neither, and it is found by both of its ids.
    assert await _told(await joins("Late"), ONE, TWO, place="a") == bridge
    for alias, own in ((ONE, first), (TWO, second)):
        assert {flaw.id for flaw in (await store.flaws(one.caller, alias=alias)).items} == {bridge, own}


async def test_a_false_second_name_takes_in_no_flaw_of_another_id(store: Store, joins: Joins) -> None:
    liar, one, two, three = [await joins(name) for name in ("Liar", "One", "Two", "Three")]
    lied = await _told(liar, ONE, GHSA, place="a")
    assert await _told(one, ONE, place="b") == lied
    # The same GHSA id, and even the same place, and yet another CVE id: another flaw.
    honest = await _told(two, TWO, GHSA, place="a")
    assert honest != lied and await _told(three, TWO, place="d") == honest
    assert await _told(three, ONE, place="e") == lied


async def test_one_flaw_is_one_under_all_of_its_names(store: Store, joins: Joins) -> None:
    one, two, three = [await joins(name) for name in ("One", "Two", "Three")]
    first = await _told(one, ONE, place="a")
    assert await _told(two, ONE, GHSA) == first
    assert await _told(three, GHSA, "PYSEC-2026-1", place="elsewhere") == first
    assert await _told(two, "pysec-2026-1", place="third") == first
    assert await _told(three, place="a") == first
    (flaw,) = (await store.flaws(one.caller)).items
    assert {ONE, GHSA} <= set(flaw.aliases)
