"""What one organisation marks for few is told to few, and hides nobody else's fix."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import FixState, Problem, Scope, Tier, Verb
from remediator.testing.clearinghouse import FLAW, Clock, Party

Joins = Callable[..., Awaitable[Party]]
SECRET = "zweitausend"
GUESS = {
    "flaw": {**FLAW, "title": SECRET, "details": SECRET, "path": "", "snippet": "", "references": [f"https://{SECRET}.example/"]},
    "scanner": SECRET,
}


async def refused(asked: Awaitable[Any]) -> Problem:
    with pytest.raises(RefusedError) as found:
        await asked
    return found.value.code


async def verified(store: Store) -> str:
    job = await store.take_job("v", 60)
    assert job is not None
    assert await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch="diff", lines_changed=3)
    return job.fix_id


async def everything(store: Store, reader: Party) -> str:
    """Return all that somebody reads who asks for everything."""
    flaws, fixes, feed = await store.flaws(reader.caller), await store.fixes(reader.caller), await store.feed(reader.caller, 0)
    found = [*flaws.items, *fixes.items, *feed.entries]
    for flaw in flaws.items:
        found += [await store.flaw(reader.caller, flaw.id), *await store.openings(reader.caller, flaw.id)]
        found += [await store.status(reader.caller, flaw.id)]
    for fix in fixes.items:
        found += [await store.published(reader.caller, fix.id), *await store.openings(reader.caller, fix.id)]
    return " ".join(each.model_dump_json() for each in found)


async def test_whoever_reports_first_in_confidence_hides_nobodys_fix(store: Store, joins: Joins, clock: Clock) -> None:
    squatter, one = await joins("Squatter"), await joins("One")
    readers = [await joins("Hospital"), await joins("Shop", Tier.member), await joins("Anybody", Tier.public)]
    squatted = (await squatter.ask(Verb.submit_finding, {**GUESS, "flaw": {**GUESS["flaw"], "severity": "low"}}, tlp="red")).detail["flaw"]
    clock.forward(days=3)
    fix = await one.submit_fix(tlp="green")
    assert fix.detail["flaw"] == squatted
    await verified(store)
    hospital, shop, anybody = readers
    for reader in (hospital, shop):
        assert [entry.fix_id for entry in (await store.feed(reader.caller, 0)).entries] == [fix.id]
        out = await store.published(reader.caller, fix.id)
        assert (out.fix.tlp, out.flaw.tlp, out.flaw.title, out.patch) == ("green", "green", FLAW["title"], "diff")
        (flaw,) = (await store.flaws(reader.caller)).items
        assert (flaw.title, flaw.tlp, flaw.first_seen, flaw.fixes) == (FLAW["title"], "green", clock.now, (fix.id,))
        assert flaw.updated_at == out.flaw.first_seen == clock.now
        told = await everything(store, reader)
        assert SECRET not in told and squatter.id not in told and '"red"' not in told
    assert (await store.feed(anybody.caller, 0)).entries == () and (await store.flaws(anybody.caller)).items == []
    assert await refused(store.published(anybody.caller, fix.id)) is Problem.not_found
    # Its submitter reads its own mark, and the squatter its own words beside what is out.
    assert (await store.fix(one.caller, fix.id)).tlp == "green" and SECRET not in await everything(store, one)
    assert [each.scanner for each in (await store.flaw(squatter.caller, squatted)).witnesses] == [SECRET]


async def test_each_reader_is_told_the_parts_that_are_marked_for_it(store: Store, joins: Joins, clock: Clock) -> None:
    tiers = {"clear": Tier.public, "green": Tier.member, "amber": Tier.operator}
    readers = {tlp: await joins(f"Reader {tlp}", tier) for tlp, tier in tiers.items()}
    said = {}
    for number, tlp in enumerate(("red", "amber", "clear", "green")):
        clock.forward(hours=1)
        body = {**FLAW, "title": f"said {tlp}", "snippet": "", "path": "", "cwe": [700 + number], "severity": "low"}
        said[tlp] = await (await joins(f"Witness {tlp}")).ask(Verb.submit_finding, {"flaw": body, "scanner": "s"}, tlp=tlp)
    assert len({answer.detail["flaw"] for answer in said.values()}) == 1
    flaw_id = said["clear"].detail["flaw"]
    shown = {tlp: await store.flaw(reader.caller, flaw_id) for tlp, reader in readers.items()}
    assert {tlp: (flaw.title, flaw.cwe, flaw.tlp) for tlp, flaw in shown.items()} == {
        "clear": ("said clear", (702,), "clear"),
        "green": ("said clear", (702, 703), "green"),
        "amber": ("said amber", (701, 702, 703), "amber"),
    }
    # Nor does a report in confidence move what its readers do not know of.
    before = [await everything(store, reader) for reader in readers.values()]
    clock.forward(hours=1)
    late = await joins("Late")
    worse = {**FLAW, "title": SECRET, "severity": "critical", "aliases": [*FLAW["aliases"], "GHSA-aaaa-bbbb-cccc"]}
    assert (await late.ask(Verb.submit_finding, {"flaw": worse, "scanner": "s"}, tlp="red")).detail["flaw"] == flaw_id
    await late.ask(Verb.assess, {"subject": flaw_id, "opinion": "correct", "reason": SECRET}, tlp="red")
    assert [await everything(store, reader) for reader in readers.values()] == before
    assert (await store.flaws(readers["amber"].caller, alias="GHSA-aaaa-bbbb-cccc")).items == []
    assert len((await store.flaws(late.caller, alias="ghsa-aaaa-bbbb-cccc")).items) == 1
    async with store._database.reading() as connection:
        from sqlalchemy import select

        from remediator.clearinghouse.store import schema
        from remediator.clearinghouse.store.telling import place

        moved = (await connection.execute(select(schema.flaws.c.updated_at, schema.flaws.c.rank))).one()
    assert moved.rank >= place(1_003_000, 0) and moved.updated_at < schema.micros(clock.now - timedelta(hours=1))


async def test_a_search_by_a_name_that_others_gave_in_confidence_finds_nothing(store: Store, joins: Joins, clock: Clock) -> None:
    one, spy = await joins("One"), await joins("Spy")
    for number in range(5):
        place = {**FLAW, "aliases": [], "snippet": f"x{number}", "project": f"pkg:pypi/p{number}"}
        until = clock.now + timedelta(days=9) if number % 2 else None
        await one.ask(
            Verb.submit_finding, {"flaw": {**place, "aliases": ["CVE-2026-7777"]}, "scanner": "s"}, tlp="red", embargo_until=until
        )
        await spy.ask(Verb.submit_finding, {"flaw": place, "scanner": "s"}, tlp="clear")
    for order in ("time", "priority"):
        nothing = await store.flaws(spy.caller, alias="CVE-2026-7777", limit=2, order=order)
        assert (nothing.items, nothing.next) == ([], "")
        assert len((await store.flaws(spy.caller, limit=5, order=order)).items) == 5
    # Once it gave the name to one of them itself, that one is found, and no page after it is said to be there.
    named = {**FLAW, "aliases": ["CVE-2026-7777"], "snippet": "x0", "project": "pkg:pypi/p0"}
    await spy.ask(Verb.submit_finding, {"flaw": named, "scanner": "t"}, tlp="clear")
    for limit in (1, 2):
        found = await store.flaws(spy.caller, alias="cve-2026-7777", limit=limit)
        assert ([flaw.project for flaw in found.items], found.next) == (["pkg:pypi/p0"], "")
    seen, cursor = [], ""
    while True:
        page = await store.flaws(one.caller, alias="CVE-2026-7777", limit=2, cursor=cursor)
        seen += [flaw.project for flaw in page.items]
        if not (cursor := page.next):
            break
    assert sorted(seen) == [f"pkg:pypi/p{number}" for number in range(5)]


async def test_opinions_are_told_by_their_own_mark(store: Store, joins: Joins) -> None:
    one, hospital, shop = await joins("One"), await joins("Hospital"), await joins("Shop", Tier.member)
    fix = await one.submit_fix(tlp="green")
    await verified(store)
    await hospital.ask(Verb.assess, {"subject": fix.detail["flaw"], "opinion": "correct", "reason": "seen"}, tlp="amber")
    assert [each.reason for each in (await store.flaw(one.caller, fix.detail["flaw"])).assessments] == ["seen"]
    assert (await store.flaw(shop.caller, fix.detail["flaw"])).assessments == ()
    # What goes with a fix is for everybody who may have the fix.
    assert (await store.published(hospital.caller, fix.id)).flaw.assessments == ()
    assert await store.published(hospital.caller, fix.id) == await store.published(shop.caller, fix.id)


async def test_a_report_in_confidence_takes_nobodys_embargo_away(store: Store, joins: Joins, clock: Clock) -> None:
    squatter, one, two, hospital = await joins("Squatter"), await joins("One"), await joins("Two"), await joins("Hospital")
    await squatter.ask(Verb.submit_finding, GUESS, tlp="red")
    until = clock.now + timedelta(days=30)
    fix = await one.submit_fix("s-1", embargo_until=until)
    assert "embargo" not in fix.detail
    await verified(store)
    other = await two.submit_fix("s-2", data=b"other")
    await verified(store)
    assert (await store.feed(hospital.caller, 0)).entries == () and (await store.flaws(hospital.caller)).items == []
    clock.forward(days=30)
    await store.tick()
    assert {entry.fix_id for entry in (await store.feed(hospital.caller, 0)).entries} == {fix.id, other.id}
    assert SECRET not in await everything(store, hospital)


async def test_what_is_out_holds_back_no_other_fix_but_ones_own_is_ones_own(store: Store, joins: Joins, clock: Clock) -> None:
    guesser, one, hospital = await joins("Guesser"), await joins("One"), await joins("Hospital")
    await guesser.ask(Verb.submit_finding, {**GUESS, "flaw": {**GUESS["flaw"], "title": "a guess"}}, tlp="clear")
    fix = await one.submit_fix(flaw={**FLAW, "title": "what it is"}, embargo_until=clock.now + timedelta(days=30), tlp="clear")
    assert "not taken" in fix.detail["embargo"]
    await verified(store)
    # The flaw is out, and its submitter's words and fix wait for its own date all the same.
    assert [each.title for each in (await store.flaws(hospital.caller)).items] == ["a guess"]
    assert "what it is" not in await everything(store, hospital) and (await store.feed(hospital.caller, 0)).entries == ()
    assert await refused(store.fix(hospital.caller, fix.id)) is Problem.not_found
    quick = await guesser.submit_fix("s-2", data=b"quick", tlp="clear")
    await verified(store)
    assert [entry.fix_id for entry in (await store.feed(hospital.caller, 0)).entries] == [quick.id]
    clock.forward(days=30)
    assert await store.tick() == 1 and await store.tick() == 0
    assert [entry.fix_id for entry in (await store.feed(hospital.caller, 0)).entries] == [quick.id, fix.id]
    assert (await store.published(hospital.caller, fix.id)).flaw.title == "what it is"


async def test_ones_own_fix_is_let_out_when_one_says_so(store: Store, joins: Joins, clock: Clock) -> None:
    guesser, one, hospital = await joins("Guesser"), await joins("One"), await joins("Hospital")
    await guesser.ask(Verb.submit_finding, GUESS, tlp="clear")
    fix = await one.submit_fix(embargo_until=clock.now + timedelta(days=30))
    await verified(store)
    assert (await guesser.ask(Verb.lift, {"flaw_id": fix.detail["flaw"]})).duplicate
    assert (await store.feed(hospital.caller, 0)).entries == ()
    answer = await one.ask(Verb.lift, {"flaw_id": fix.detail["flaw"], "reason": SECRET})
    assert answer.state == "lifted" and not answer.duplicate
    assert [entry.fix_id for entry in (await store.feed(hospital.caller, 0)).entries] == [fix.id]
    assert not any(SECRET in each.object for each in await store.openings(hospital.caller, fix.detail["flaw"]))
    assert (await one.ask(Verb.lift, {"flaw_id": fix.detail["flaw"]})).duplicate


async def test_an_embargo_of_others_ends_at_its_bound_and_ones_own_fix_waits_on(store: Store, joins: Joins, clock: Clock) -> None:
    one, two, hospital = await joins("One"), await joins("Two"), await joins("Hospital")
    first = await one.submit_fix("s-1", embargo_until=clock.now + timedelta(days=170))
    await verified(store)
    clock.forward(days=160)
    second = await two.submit_fix("s-2", data=b"two", flaw={**FLAW, "title": SECRET}, embargo_until=clock.now + timedelta(days=100))
    await verified(store)
    clock.forward(days=20)
    await store.tick()
    assert [entry.fix_id for entry in (await store.feed(hospital.caller, 0)).entries] == [first.id]
    assert SECRET not in await everything(store, hospital)
    clock.forward(days=80)
    await store.tick()
    assert [entry.fix_id for entry in (await store.feed(hospital.caller, 0)).entries] == [first.id, second.id]


async def test_the_words_of_whoever_lifts_an_embargo_are_for_admins(store: Store, joins: Joins, clock: Clock) -> None:
    one, hospital = await joins("One"), await joins("Hospital")
    flaw = (await one.submit_fix(embargo_until=clock.now + timedelta(days=30))).detail["flaw"]
    await one.ask(Verb.lift, {"flaw_id": flaw, "reason": SECRET})
    await verified(store)
    opened = await store.openings(hospital.caller, flaw)
    assert [json.loads(each.object)["why"] for each in opened if each.kind == "lifted"] == ["agreed"]
    assert SECRET not in str(opened)
    admin = hospital.caller._replace(scopes=frozenset((Scope.admin,)))
    assert SECRET in str(await store.openings(admin, flaw))


async def test_a_fix_that_is_out_is_superseded_by_one_for_the_same_readers(store: Store, joins: Joins, clock: Clock) -> None:
    one = await joins("One")
    out = await one.submit_fix("s-1", tlp="clear")
    await verified(store)
    marked = await one.submit_fix("s-2", data=b"2", tlp="amber")
    await verified(store)
    held = await one.submit_fix("s-3", data=b"3", tlp="clear", embargo_until=clock.now + timedelta(days=9))
    await verified(store)
    for new in (marked, held):
        assert await refused(one.ask(Verb.supersede, {"fix_id": out.id, "by": new.id, "reason": "r"})) is Problem.state_conflict
    clock.forward(days=9)
    await store.tick()
    assert (await one.ask(Verb.supersede, {"fix_id": out.id, "by": held.id, "reason": "r"})).state == "superseded"


async def test_an_id_of_a_flaw_tells_not_who_else_reported_it(store: Store, joins: Joins) -> None:
    from remediator.clearinghouse.store.calls import identify
    from remediator.clearinghouse.wire.identity import fingerprints
    from remediator.clearinghouse.wire.verbs import FlawBody

    one = await joins("One")
    flaw = (await one.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "s"})).detail["flaw"]
    assert flaw != identify("flaw", *fingerprints(FlawBody.model_validate(FLAW)))


async def test_by_the_id_of_a_fix_nobody_finds_out_whose_it_is(store: Store, joins: Joins) -> None:
    from remediator.clearinghouse.store.calls import identify

    one, reader = await joins("One"), await joins("Reader")
    # Who takes part is told by the leases, and a submission id can be computed from the bundle.
    await one.ask(Verb.lease, {"project": "pkg:pypi/other"})
    fix_id = (await one.submit_fix(tlp="clear")).id
    await verified(store)
    (fix,) = (await store.fixes(reader.caller)).items
    known = {lease.organisation for lease in (await store.leases(reader.caller)).items}
    assert (fix.id, fix.organisation, known) == (fix_id, "", {one.id})
    assert identify("fix", one.id, fix.submission_id) != fix.id
    # It is one fix all the same, in one transaction and later, and another's is another.
    again = await one.submit_fix(key="another-key-00001")
    assert (again.id, again.duplicate) == (fix_id, True)
    others = [joined.id for joined in await asyncio.gather(*(reader.submit_fix(key=f"another-key-1000{n}") for n in range(3)))]
    assert len(set(others)) == 1 and fix_id not in others


async def test_what_an_assessor_says_in_confidence_is_not_opened_to_whose_fix_it_is(store: Store, joins: Joins) -> None:
    fixer, assessor = await joins("Fixer"), await joins("Assessor")
    fix = await fixer.submit_fix("one", tlp="green")
    job = await store.take_job("machine-7", 60)
    assert job is not None
    patch = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n"
    assert await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch=patch)
    said = {"subject": fix.id, "opinion": "incorrect"}
    await assessor.ask(Verb.assess, {**said, "reason": "a source of ours told us"}, tlp="red")
    opened = await store.openings(fixer.caller, fix.id)
    assert [each.kind for each in opened] == ["fix-received", "fix-validated", "published"]
    assert not any("machine-7" in each.object for each in opened), "which machine it was is for admins"
    await assessor.ask(Verb.assess, {**said, "reason": "it does not apply"}, tlp="amber")
    opened = await store.openings(fixer.caller, fix.id)
    assert [each.kind for each in opened] == ["fix-received", "fix-validated", "published", "assessment"]
    assert "a source" not in str(opened)
    admin = fixer.caller._replace(scopes=frozenset((Scope.admin,)))
    assert [each.kind for each in await store.openings(admin, fix.id)].count("assessment") == 2
