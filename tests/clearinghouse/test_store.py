"""The store on both databases: one record of a flaw, leases that fence, embargoes that hold, and a ledger that fits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from remediator.clearinghouse.store import Store, ledger
from remediator.clearinghouse.store.ledger import commitment, entry_bytes
from remediator.clearinghouse.wire import merkle
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.envelope import RefusedError, head_is_signed, seal
from remediator.clearinghouse.wire.identity import claims, fingerprints
from remediator.clearinghouse.wire.terms import FixState, Problem, Scope, Tier, Verb
from remediator.clearinghouse.wire.verbs import FlawBody
from remediator.evidence.keys import SigningKey
from remediator.testing.clearinghouse import FLAW, Clock, Party

Joins = Callable[..., Awaitable[Party]]
FINDING = {"flaw": FLAW, "scanner": "semgrep", "rule_id": "yaml-load"}


async def refused(asked: Awaitable[Any]) -> Problem:
    with pytest.raises(RefusedError) as found:
        await asked
    return found.value.code


async def verified(store: Store, *, level: int = 4, lines: int = 3) -> str:
    job = await store.take_job("v", 60)
    assert job is not None
    assert await store.finish_job(job, Validation(outcome="agreed", level=level), FixState.verified, patch="diff", lines_changed=lines)
    return job.fix_id


async def test_the_migrations_make_the_tables_of_the_schema(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from remediator.clearinghouse.store.schema import metadata

    async with store._database.reading() as connection:
        differences = await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), metadata))
    assert differences == []


async def test_one_flaw_has_many_witnesses(store: Store, joins: Joins) -> None:
    one, two = await joins("One"), await joins("Two")
    first = await one.ask(Verb.submit_finding, FINDING)
    moved = {**FLAW, "line": 99, "version": "0.6.1", "aliases": []}
    second = await two.ask(Verb.submit_finding, {**FINDING, "flaw": moved, "scanner": "bandit"})
    by_alias = await two.ask(Verb.submit_finding, {"flaw": {**FLAW, "path": "", "snippet": ""}, "scanner": "advisory"})
    assert first.detail["flaw"] == second.detail["flaw"] == by_alias.detail["flaw"]
    assert len({first.id, second.id, by_alias.id}) == 3
    flaw = await store.flaw(one.caller, first.detail["flaw"])
    assert [witness.organisation for witness in flaw.witnesses] == [one.id]
    again = await one.ask(Verb.submit_finding, FINDING)
    assert again.duplicate and again.id == first.id and again.ledger_index is None


async def test_a_report_that_bridges_two_flaws_joins_only_what_nobody_else_saw(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    own = await one.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "aliases": []}})
    clock.forward(seconds=1)
    named = await one.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "snippet": "", "path": ""}})
    others = await two.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "snippet": "", "path": "", "aliases": ["PYSEC-2020-1"]}})
    assert len({own.detail["flaw"], named.detail["flaw"], others.detail["flaw"]}) == 3
    bridge = await one.ask(
        Verb.submit_finding, {**FINDING, "scanner": "x", "flaw": {**FLAW, "aliases": [*FLAW["aliases"], "PYSEC-2020-1"]}}
    )
    assert bridge.detail["flaw"] == own.detail["flaw"]
    assert (await store.flaw(one.caller, named.detail["flaw"])).id == own.detail["flaw"]
    assert (await store.flaw(two.caller, others.detail["flaw"])).id == others.detail["flaw"]


async def test_what_is_asked_twice_is_done_once_and_answered_the_same(store: Store, joins: Joins) -> None:
    one = await joins("One")
    request = one.request(Verb.lease, {"project": "pkg:pypi/a"})
    first = await store.perform(one.caller, seal(request, one.key))
    second = await store.perform(one.caller, seal(request, one.key))
    assert second == first.model_copy(update={"duplicate": True})
    other = request.model_copy(update={"body": {"project": "pkg:pypi/b"}})
    assert await refused(store.perform(one.caller, seal(other, one.key))) is Problem.key_reused


async def test_the_same_key_asked_at_once_is_done_once(store: Store, joins: Joins) -> None:
    one = await joins("One")
    envelope = one.sealed(Verb.lease, {"project": "pkg:pypi/a"})
    answers = await asyncio.gather(*(store.perform(one.caller, envelope) for _ in range(20)))
    assert {answer.id for answer in answers} == {answers[0].id}
    assert sum(not answer.duplicate for answer in answers) == 1


async def test_an_envelope_of_yesterday_is_taken_only_where_it_was_taken_yesterday(store: Store, joins: Joins, clock: Clock) -> None:
    one = await joins("One")
    known, fresh = one.sealed(Verb.submit_finding, FINDING), one.sealed(Verb.lease, {"project": "pkg:pypi/a"})
    first = await store.perform(one.caller, known)
    clock.forward(days=1)
    assert (await store.perform(one.caller, known)).id == first.id
    assert await refused(store.perform(one.caller, fresh)) is Problem.clock_skew


async def test_bad_envelopes(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    body = {"project": "pkg:pypi/a"}
    stranger = SigningKey.generate()
    assert await refused(store.perform(one.caller, seal(one.request(Verb.lease, body), stranger))) is Problem.unknown_key
    assert await refused(store.perform(one.caller, seal(one.request(Verb.lease, body), two.key))) is Problem.unknown_key
    assert await refused(store.perform(two.caller, one.sealed(Verb.lease, body))) is Problem.wrong_submitter
    assert await refused(one.ask(Verb.lease, body, audience="SHA256:other")) is Problem.wrong_audience
    forged = json.loads(one.sealed(Verb.lease, body))
    forged["signatures"][0]["sig"] = json.loads(one.sealed(Verb.lease, {"project": "pkg:pypi/b"}))["signatures"][0]["sig"]
    assert await refused(store.perform(one.caller, json.dumps(forged).encode())) is Problem.bad_signature
    assert await refused(one.ask(Verb.lease, {"project": "nonsense"})) is Problem.bad_request
    assert await refused(one.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "project": "nonsense"}})) is Problem.bad_request
    await store.revoke_key(one.key.public.keyid, "lost")
    assert await refused(one.ask(Verb.lease, body)) is Problem.key_revoked
    fresh = SigningKey.generate()
    await store.add_key(one.id, fresh.public.line(), not_after=clock.now + timedelta(hours=1))
    request = one.request(Verb.lease, body)
    assert (await store.perform(one.caller, seal(request, fresh))).state == "granted"
    clock.forward(hours=2)
    assert await refused(store.perform(one.caller, seal(one.request(Verb.lease, body), fresh))) is Problem.key_expired


async def test_a_token_does_what_its_scope_says_until_it_is_revoked(store: Store, joins: Joins, clock: Clock) -> None:
    reader = await joins("Reader", scopes=(Scope.pull,))
    assert await refused(reader.ask(Verb.lease, {"project": "pkg:pypi/a"})) is Problem.forbidden
    assert await refused(reader.ask(Verb.assess, {"subject": "flaw-1", "opinion": "correct"})) is Problem.forbidden
    token, secret = await store.create_token(reader.id, [Scope.pull], expires=clock.now + timedelta(days=1))
    assert secret not in str(await store.tokens(reader.id))
    assert (await store.authenticate(secret)).organisation == reader.id
    for bad in (secret[:-1], secret + "x", "", "rch_", "rch_x_y", "'; DROP TABLE tokens;--", secret.replace("rch", "xxx")):
        assert await refused(store.authenticate(bad)) is Problem.unauthorised
    await store.revoke_token(token)
    assert await refused(store.authenticate(secret)) is Problem.unauthorised
    _, late = await store.create_token(reader.id, [Scope.pull], expires=clock.now + timedelta(days=1))
    clock.forward(days=2)
    assert await refused(store.authenticate(late)) is Problem.unauthorised
    await store.disable_organisation(reader.id)
    assert await refused(store.authenticate(reader.token)) is Problem.unauthorised


async def test_a_lease_keeps_others_out_until_it_ends_and_fences_what_comes_late(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    lease = (await one.ask(Verb.lease, {"project": "https://github.com/Acme/Shop.git", "ttl_seconds": 60})).detail["lease"]
    same = {"project": "git@github.com:acme/shop"}
    assert await refused(two.ask(Verb.lease, same)) is Problem.lease_held
    clock.forward(seconds=61)
    taken = (await two.ask(Verb.lease, same)).detail["lease"]
    assert taken["fencing"] > lease["fencing"]
    own = {"lease_id": lease["id"], "fencing": lease["fencing"]}
    assert await refused(one.ask(Verb.renew, own)) is Problem.lease_stale
    late = {**FINDING, "flaw": {**FLAW, "project": "https://github.com/acme/shop"}, **own}
    assert await refused(one.ask(Verb.submit_finding, late)) is Problem.lease_stale
    assert await refused(one.ask(Verb.renew, {"lease_id": taken["id"], "fencing": taken["fencing"]})) is Problem.not_found
    assert await refused(two.ask(Verb.renew, {"lease_id": taken["id"], "fencing": taken["fencing"] + 1})) is Problem.lease_stale
    assert (await two.ask(Verb.release, {"lease_id": taken["id"], "fencing": taken["fencing"]})).state == "released"
    assert (await one.ask(Verb.lease, same)).state == "granted"
    assert [lease.organisation for lease in (await store.leases(two.caller)).items] == [one.id]


async def test_leases_on_other_parts_of_a_project_do_not_meet(joins: Joins) -> None:
    one, two = await joins("One"), await joins("Two")
    await one.ask(Verb.lease, {"project": "pkg:pypi/a", "scope": ["src/web", "CWE-79"]})
    assert (await two.ask(Verb.lease, {"project": "pkg:pypi/a", "scope": ["src/db"]})).state == "granted"
    assert await refused(two.ask(Verb.lease, {"project": "pkg:pypi/a", "scope": ["src/web/forms.py"]})) is Problem.lease_held


async def test_racing_for_a_lease_one_wins(joins: Joins) -> None:
    parties = [await joins(f"P{number}") for number in range(8)]
    found = await asyncio.gather(*(each.ask(Verb.lease, {"project": "pkg:pypi/a"}) for each in parties), return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in found) == 1


async def test_a_maintainer_opts_out(store: Store, joins: Joins) -> None:
    one, maintainer, third = await joins("One"), await joins("Maintainer"), await joins("Third")
    wish = {"project": "pkg:pypi/a", "contact": "security@example.org"}
    await maintainer.ask(Verb.opt_out, wish)
    assert await refused(one.ask(Verb.lease, {"project": "pkg:pypi/A"})) is Problem.opted_out
    assert await refused(third.ask(Verb.opt_out, {**wish, "withdraw": True})) is Problem.forbidden
    assert [each.contact for each in (await store.opt_outs(one.caller)).items] == ["security@example.org"]
    await maintainer.ask(Verb.opt_out, {**wish, "withdraw": True})
    assert (await one.ask(Verb.lease, {"project": "pkg:pypi/a"})).state == "granted"


async def test_a_claim_check_matches_and_tells_no_more(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    await one.ask(Verb.submit_finding, FINDING, embargo_until=clock.now + timedelta(days=30))
    epoch = await store.epoch(two.caller)
    made = claims(fingerprints(FlawBody.model_validate(FLAW)), bytes.fromhex(epoch["key"]))
    answer = await two.ask(Verb.claim_check, {"epoch": epoch["epoch"], "claims": [*made, "0" * 64]})
    assert answer.state == "matched" and answer.detail["matches"] == {**dict.fromkeys(made, True), "0" * 64: False}
    assert one.id not in answer.model_dump_json()
    plain = fingerprints(FlawBody.model_validate(FLAW))
    assert (await two.ask(Verb.claim_check, {"epoch": epoch["epoch"], "claims": plain})).state == "unknown"
    clock.forward(days=31)
    await store.tick()
    assert (await two.ask(Verb.claim_check, {"epoch": epoch["epoch"], "claims": made})).state == "matched"
    fresh = await store.epoch(two.caller)
    again = claims(plain, bytes.fromhex(fresh["key"]))
    assert (await two.ask(Verb.claim_check, {"epoch": fresh["epoch"], "claims": again})).state == "matched"
    clock.forward(days=31)
    await store.tick()
    assert await refused(two.ask(Verb.claim_check, {"epoch": epoch["epoch"], "claims": made})) is Problem.state_conflict


async def test_a_fix_is_let_out_only_when_it_is_verified(store: Store, joins: Joins) -> None:
    one, reader, public = await joins("One"), await joins("Hospital"), await joins("Anybody", Tier.public)
    answer = await one.submit_fix()
    assert answer.state == "received"
    assert await refused(store.fix(reader.caller, answer.id)) is Problem.not_found
    assert (await store.feed(reader.caller, 0)).entries == ()
    assert await verified(store) == answer.id
    page = await store.feed(reader.caller, 0)
    assert [(entry.kind, entry.fix_id, entry.level) for entry in page.entries] == [("published", answer.id, 4)]
    assert (await store.feed(reader.caller, page.next)).entries == ()
    out = await store.published(reader.caller, answer.id)
    assert out.patch == "diff" and one.id not in out.model_dump_json()
    # Marked amber: not for everybody.
    assert (await store.feed(public.caller, 0)).entries == ()
    assert await refused(store.published(public.caller, answer.id)) is Problem.not_found


@pytest.mark.parametrize("state", [FixState.rejected, FixState.inconclusive])
async def test_what_is_not_verified_stays_with_its_submitter(store: Store, joins: Joins, state: FixState) -> None:
    one, reader = await joins("One"), await joins("Hospital")
    answer = await one.submit_fix(tlp="clear")
    job = await store.take_job("v", 60)
    assert job is not None
    assert await store.finish_job(job, Validation(outcome="differs", reason="replay-differs"), state, patch="diff")
    assert (await store.status(one.caller, "s-1")).state == state
    assert await refused(store.fix(reader.caller, answer.id)) is Problem.not_found
    assert (await store.feed(reader.caller, 0)).entries == ()


async def test_a_bundle_that_is_not_there_or_is_anothers(joins: Joins) -> None:
    one, two = await joins("One"), await joins("Two")
    digest = await two.put(b"theirs")
    body = {"flaw": FLAW, "submission_id": "s-1", "patch_id": "p", "bundle": digest, "bundle_bytes": 6, "claimed_level": 4}
    assert await refused(one.ask(Verb.submit_fix, body)) is Problem.blob_missing
    await one.put(b"theirs")
    assert await refused(one.ask(Verb.submit_fix, {**body, "bundle_bytes": 7})) is Problem.blob_mismatch
    answer = await one.ask(Verb.submit_fix, body)
    again = await one.ask(Verb.submit_fix, body)
    assert again.duplicate and again.id == answer.id
    other = await one.put(b"other!")
    assert await refused(one.ask(Verb.submit_fix, {**body, "bundle": other})) is Problem.state_conflict


async def test_an_embargo_holds_at_every_read_and_ends_by_the_clock(store: Store, joins: Joins, clock: Clock) -> None:
    one, reader = await joins("One"), await joins("Hospital")
    until = clock.now + timedelta(days=10)
    answer = await one.submit_fix(embargo_until=until)
    await verified(store)
    flaw = answer.detail["flaw"]
    for read in (store.fix, store.published, store.openings):
        assert await refused(read(reader.caller, answer.id)) is Problem.not_found
    for read in (store.flaw, store.openings, store.status):
        assert await refused(read(reader.caller, flaw)) is Problem.not_found
    assert (await store.feed(reader.caller, 0)).entries == () and (await store.flaws(reader.caller)).items == []
    assert (await store.fixes(reader.caller)).items == [] and (await store.flaws(reader.caller, alias="CVE-2017-16616")).items == []
    assert "pyanyapi" not in str(await store.ledger_entries(0, 100))
    clock.forward(days=10)
    assert (await store.feed(reader.caller, 0)).entries == ()
    assert await store.tick() == 1 and await store.tick() == 0
    assert [entry.kind for entry in (await store.feed(reader.caller, 0)).entries] == ["published"]
    assert (await store.published(reader.caller, answer.id)).flaw.lifted_at == clock.now


async def test_whoever_guesses_a_flaw_under_embargo_sees_its_own_guess_only(store: Store, joins: Joins, clock: Clock) -> None:
    one, spy = await joins("One"), await joins("Spy")
    answer = await one.submit_fix(embargo_until=clock.now + timedelta(days=10))
    await verified(store)
    guess = {"flaw": {"project": "pkg:pypi/pyanyapi", "title": "a guess", "aliases": FLAW["aliases"]}, "scanner": "guess"}
    flaw = await store.flaw(spy.caller, (await spy.ask(Verb.submit_finding, guess)).detail["flaw"])
    assert flaw.id == answer.detail["flaw"]
    assert (flaw.title, flaw.path, flaw.fixes) == ("a guess", "", ()) and one.id not in flaw.model_dump_json()
    assert await refused(store.fix(spy.caller, answer.id)) is Problem.not_found
    assert [each.kind for each in await store.openings(spy.caller, flaw.id)] == []
    assert (await store.feed(spy.caller, 0)).entries == ()


async def test_an_embargo_ends_when_all_who_asked_for_it_agree(store: Store, joins: Joins, clock: Clock) -> None:
    one, two, reader = await joins("One"), await joins("Two"), await joins("Hospital")
    until = clock.now + timedelta(days=10)
    flaw = (await one.submit_fix(embargo_until=until)).detail["flaw"]
    await two.ask(Verb.submit_finding, FINDING, embargo_until=until)
    await verified(store)
    assert await refused(reader.ask(Verb.lift, {"flaw_id": flaw})) is Problem.not_found
    assert (await one.ask(Verb.lift, {"flaw_id": flaw})).state == "agreed"
    assert (await store.feed(reader.caller, 0)).entries == ()
    assert (await two.ask(Verb.lift, {"flaw_id": flaw})).state == "lifted"
    assert len((await store.feed(reader.caller, 0)).entries) == 1


async def test_nobody_can_hide_again_what_is_out(store: Store, joins: Joins, clock: Clock) -> None:
    one, two, reader = await joins("One"), await joins("Two"), await joins("Hospital")
    answer = await one.submit_fix()
    await verified(store)
    late = await two.ask(Verb.submit_finding, FINDING, embargo_until=clock.now + timedelta(days=90), tlp="red")
    assert "not taken" in late.detail["embargo"]
    assert (await store.published(reader.caller, answer.id)).flaw.embargoed is False
    long = two.ask(Verb.submit_finding, {**FINDING, "scanner": "x"}, embargo_until=clock.now + timedelta(days=1000))
    assert await refused(long) is Problem.bad_request


async def test_competing_fixes_are_ranked_by_level_then_size_then_time(store: Store, joins: Joins, clock: Clock) -> None:
    parties = [await joins(f"P{number}") for number in range(4)]
    ids = []
    for number, (level, lines) in enumerate([(3, 1), (4, 9), (4, 2), (4, 2)]):
        clock.forward(seconds=1)
        ids.append((await parties[number].submit_fix(f"s-{number}")).id)
        await verified(store, level=level, lines=lines)
    flaw = (await store.flaws(parties[0].caller)).items[0]
    assert list(flaw.fixes) == [ids[2], ids[3], ids[1], ids[0]]


async def test_withdrawn_fixes_are_told_to_whoever_pulled_them(store: Store, joins: Joins) -> None:
    one, two, reader = await joins("One"), await joins("Two"), await joins("Hospital")
    first, second = await one.submit_fix("s-1"), await one.submit_fix("s-2", data=b"better")
    assert await refused(one.ask(Verb.supersede, {"fix_id": first.id, "by": first.id, "reason": "r"})) is Problem.state_conflict
    await verified(store)
    assert await refused(one.ask(Verb.supersede, {"fix_id": first.id, "by": second.id, "reason": "r"})) is Problem.state_conflict
    await verified(store)
    assert await refused(two.ask(Verb.revoke, {"fix_id": second.id, "reason": "mine"})) is Problem.not_found
    await one.ask(Verb.supersede, {"fix_id": first.id, "by": second.id, "reason": "smaller"})
    await one.ask(Verb.revoke, {"fix_id": second.id, "reason": "bypassed"})
    assert await refused(one.ask(Verb.revoke, {"fix_id": second.id, "reason": "again"})) is Problem.state_conflict
    kinds = [(entry.kind, entry.withdrawn) for entry in (await store.feed(reader.caller, 0)).entries]
    assert kinds == [("published", False), ("published", False), ("superseded", True), ("revoked", True)]
    assert (await store.published(reader.caller, second.id)).fix.revoked_reason == "bypassed"


async def test_opinions_and_receipts(store: Store, joins: Joins) -> None:
    one, reader = await joins("One"), await joins("Hospital")
    fix = await one.submit_fix()
    assert await refused(reader.ask(Verb.receipt, {"fix_id": fix.id, "outcome": "applied"})) is Problem.not_found
    await verified(store)
    told = reader.request(Verb.receipt, {"fix_id": fix.id, "outcome": "applied", "count": 3})
    for _ in range(2):
        await store.perform(reader.caller, seal(told, reader.key))
    await reader.ask(Verb.receipt, {"fix_id": fix.id, "outcome": "rolled-back", "reason": "build-failed"})
    assert (await store.fix(one.caller, fix.id)).outcomes == {"applied": 3, "rolled-back": 1}
    flaw = fix.detail["flaw"]
    await reader.ask(Verb.assess, {"subject": flaw, "opinion": "inconclusive"})
    await reader.ask(Verb.assess, {"subject": flaw, "opinion": "correct", "reason": "seen", "tests_passed": None})
    (opinion,) = (await store.flaw(one.caller, flaw)).assessments
    assert (opinion.opinion, opinion.tests_passed) == ("correct", None)


async def test_two_validators_never_finish_one_job(store: Store, joins: Joins, clock: Clock) -> None:
    one = await joins("One")
    fix = await one.submit_fix()
    first, none = await asyncio.gather(store.take_job("a", 60), store.take_job("b", 60))
    job = first or none
    assert job is not None and (first is None or none is None)
    clock.forward(seconds=61)
    second = await store.take_job("b", 60)
    assert second is not None and second.fencing > job.fencing
    told = Validation(outcome="agreed", level=4)
    assert not await store.finish_job(job, told, FixState.verified, patch="stale")
    assert not await store.renew_job(job, 60)
    assert await store.finish_job(second, told, FixState.verified, patch="right")
    assert not await store.finish_job(second, told, FixState.verified, patch="twice")
    assert (await store.published(one.caller, fix.id)).patch == "right"
    assert await store.take_job("c", 60) is None


async def test_a_fix_that_kills_its_validators_is_given_up(store: Store, joins: Joins, clock: Clock) -> None:
    one = await joins("One")
    await one.submit_fix()
    for _ in range(3):
        assert await store.take_job("v", 60) is not None
        clock.forward(seconds=61)
    assert await store.take_job("v", 60) is None
    status = await store.status(one.caller, "s-1")
    assert status.state == "infra_error" and status.detail["validation"]["reason"] == "validator-lost"


async def test_an_infrastructure_error_is_tried_again_later(store: Store, joins: Joins, clock: Clock) -> None:
    one = await joins("One")
    await one.submit_fix()
    job = await store.take_job("v", 60)
    assert job is not None
    assert await store.finish_job(job, Validation(outcome="infra_error", reason="no-engine"), FixState.infra_error)
    assert await store.take_job("v", 60) is None
    clock.forward(minutes=2)
    assert await store.take_job("v", 60) is not None


async def test_the_ledger_proves_what_it_holds_and_shows_what_was_changed(store: Store, joins: Joins) -> None:
    one = await joins("One")
    before = await store.head()
    fix = await one.submit_fix()
    await verified(store)
    head = await store.head()
    assert head_is_signed(head, store.ledger_key.public) and head.head.size > before.head.size
    path = [bytes.fromhex(each) for each in await store.consistency(before.head.size, head.head.size)]
    roots = bytes.fromhex(before.head.root), bytes.fromhex(head.head.root)
    assert merkle.consistent(before.head.size, roots[0], head.head.size, roots[1], path)
    entries = await store.ledger_entries(0, 100)
    for opening in await store.openings(one.caller, fix.id):
        entry = entries[opening.index]
        assert commitment(opening.nonce, opening.object) == entry.commitment and fix.id in opening.object
        proof = [bytes.fromhex(each) for each in await store.inclusion(opening.index, head.head.size)]
        assert merkle.included(merkle.leaf_hash(entry_bytes(entry)), opening.index, head.head.size, proof, roots[1])
    assert (await store.verify()).root == head.head.root
    async with store._database.writing() as connection:
        await connection.execute(
            text("UPDATE ledger_entries SET object = replace(object, 'pyanyapi', 'pyanyapj') WHERE kind = 'fix-received'")
        )
    assert "is not about its object" in (await store.verify()).problem


async def test_work_that_cannot_be_done_does_not_take_others_with_it(store: Store, joins: Joins) -> None:
    one = await joins("One")

    async def broken(_batch: Any) -> None:
        await _batch.connection.execute(text("SELECT nonsense FROM nowhere"))

    found = await asyncio.gather(
        *(one.ask(Verb.lease, {"project": f"pkg:pypi/p{number}"}) for number in range(5)),
        store._writer.do(broken),
        *(one.ask(Verb.lease, {"project": f"pkg:pypi/q{number}"}) for number in range(5)),
        return_exceptions=True,
    )
    assert [isinstance(each, Exception) for each in found] == [False] * 5 + [True] + [False] * 5
    assert (await store.verify()).problem == ""


@pytest.mark.parametrize("evil", ["'; DROP TABLE flaws; --", "\u202e\x1b[2J", "a" * 400, "%s%n{0}", '"}'])
async def test_hostile_text_is_text(store: Store, joins: Joins, evil: str) -> None:
    one = await joins("One")
    body = {**FINDING, "scanner": evil, "rule_id": evil, "flaw": {**FLAW, "title": evil, "details": evil, "snippet": evil, "path": evil}}
    answer = await one.ask(Verb.submit_finding, body)
    flaw = await store.flaw(one.caller, answer.detail["flaw"])
    assert (flaw.title, flaw.path, flaw.witnesses[0].scanner) == (evil, evil, evil)
    for read in (store.flaw, store.fix, store.status, store.openings, store.published):
        assert await refused(read(one.caller, evil[:90])) is Problem.not_found


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../b"])
async def test_a_path_lies_within_the_repository(joins: Joins, path: str) -> None:
    one = await joins("One")
    assert await refused(one.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "path": path}})) is Problem.bad_request


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "https://a b", "http://a/\n<script>"])
async def test_a_reference_is_the_address_of_a_page(joins: Joins, link: str) -> None:
    one = await joins("One")
    assert await refused(one.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "references": [link]}})) is Problem.bad_request


async def test_whoever_spoke_first_for_a_project_does_not_speak_for_ever(joins: Joins, clock: Clock) -> None:
    squatter, one, maintainer = await joins("Squatter"), await joins("One"), await joins("Maintainer")
    lease = (await one.ask(Verb.lease, {"project": "pkg:pypi/a", "ttl_seconds": 3600})).detail["lease"]
    wish = {"project": "pkg:pypi/a", "contact": "c"}
    await squatter.ask(Verb.opt_out, {**wish, "until": (clock.now + timedelta(hours=2)).isoformat()})
    assert await refused(one.ask(Verb.renew, {"lease_id": lease["id"], "fencing": lease["fencing"]})) is Problem.opted_out
    assert await refused(maintainer.ask(Verb.opt_out, wish)) is Problem.forbidden
    clock.forward(hours=3)
    assert (await maintainer.ask(Verb.opt_out, wish)).state == "opted-out"
    assert await refused(squatter.ask(Verb.opt_out, {**wish, "withdraw": True})) is Problem.forbidden


async def test_receipts_are_for_what_others_let_out(store: Store, joins: Joins) -> None:
    one = await joins("One")
    fix = await one.submit_fix()
    told = {"fix_id": fix.id, "outcome": "applied", "count": 1_000_000}
    assert await refused(one.ask(Verb.receipt, told)) is Problem.state_conflict
    await verified(store)
    assert await refused(one.ask(Verb.receipt, told)) is Problem.state_conflict


async def test_a_fix_is_superseded_by_one_that_stands(store: Store, joins: Joins) -> None:
    one = await joins("One")
    first, second = await one.submit_fix("s-1"), await one.submit_fix("s-2", data=b"other")
    await one.ask(Verb.supersede, {"fix_id": first.id, "by": second.id, "reason": "r"})
    assert await refused(one.ask(Verb.supersede, {"fix_id": second.id, "by": first.id, "reason": "r"})) is Problem.state_conflict


async def test_a_witness_learns_no_date_or_mark_of_others(store: Store, joins: Joins, clock: Clock) -> None:
    one, spy = await joins("One"), await joins("Spy")
    await one.ask(Verb.submit_finding, FINDING, embargo_until=clock.now + timedelta(days=77), tlp="red")
    guess = {"flaw": {"project": "pkg:pypi/pyanyapi", "title": "a guess", "aliases": FLAW["aliases"]}, "scanner": "guess"}
    flaw = await store.flaw(spy.caller, (await spy.ask(Verb.submit_finding, guess, tlp="green")).detail["flaw"])
    assert (flaw.embargo_until, flaw.tlp) == (None, "green")


async def test_what_is_let_out_names_no_submitter_and_no_machine(store: Store, joins: Joins) -> None:
    one, reader, maintainer = await joins("One"), await joins("Reader"), await joins("Maintainer")
    fix = await one.submit_fix()
    await verified(store)
    await one.ask(Verb.revoke, {"fix_id": fix.id, "reason": "bypassed"})
    out = await maintainer.ask(Verb.opt_out, {"project": "pkg:pypi/a", "contact": "c"})
    shown = [
        *(each.object for each in await store.openings(reader.caller, fix.id)),
        (await store.fix(reader.caller, fix.id)).model_dump_json(),
    ]
    shown.append((await store.published(reader.caller, fix.id)).model_dump_json())
    assert any("bypassed" in each for each in shown)
    assert not [each for each in shown if one.id in each or '"validator":"v"' in each]
    assert await refused(store.openings(reader.caller, out.id)) is Problem.not_found


async def test_a_cursor_beyond_the_feed_is_refused(store: Store, joins: Joins) -> None:
    reader = await joins("Reader")
    assert await refused(store.feed(reader.caller, 99_999)) is Problem.bad_request


@pytest.mark.parametrize(("name", "value"), [("ttl_seconds", "60"), ("ttl_seconds", True), ("ttl_seconds", 60.0), ("contact", 5)])
async def test_no_value_is_taken_for_another_kind(joins: Joins, name: str, value: object) -> None:
    one = await joins("One")
    assert await refused(one.ask(Verb.lease, {"project": "pkg:pypi/a", name: value})) is Problem.bad_request


@pytest.mark.parametrize("evil", ["\ud800", "a\0b"])
async def test_text_that_no_database_holds_is_refused(joins: Joins, evil: str) -> None:
    one = await joins("One")
    assert await refused(one.ask(Verb.submit_finding, {**FINDING, "scanner": evil})) is Problem.bad_request
    assert await refused(one.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "references": [evil]}})) is Problem.bad_request


async def test_pages_go_on_where_they_ended(store: Store, joins: Joins) -> None:
    one = await joins("One")
    for number in range(7):
        await one.ask(Verb.submit_finding, {**FINDING, "flaw": {**FLAW, "aliases": [f"CVE-2020-{1000 + number}"], "snippet": str(number)}})
    for order in ("priority", "time"):
        seen, cursor = [], ""
        while True:
            page = await store.flaws(one.caller, cursor=cursor, limit=3, order=order)
            seen += [flaw.id for flaw in page.items]
            if not (cursor := page.next):
                break
        assert len(seen) == len(set(seen)) == 7
    for bad in ("x", "9" * 40 + ".a"):
        assert await refused(store.flaws(one.caller, cursor=bad)) is Problem.bad_request


async def test_it_is_all_there_after_a_restart(database_url: str, tmp_path: Path, clock: Clock) -> None:
    from remediator.testing.clearinghouse import party

    async with Store.open(database_url, tmp_path / "data", clock=clock, elapsed=clock.elapsed) as store:
        one = await party(store, clock, "One", Tier.operator, (Scope.submit, Scope.pull))
        fix = await one.submit_fix()
        head = await store.head()
    async with Store.open(database_url, tmp_path / "data", clock=clock, elapsed=clock.elapsed) as store:
        assert store.audience == head.head.ledger and (await store.head()).head.root == head.head.root
        caller = await store.authenticate(one.token)
        assert (await store.fix(caller, fix.id)).state == "received"
        job = await store.take_job("v", 60)
        assert job is not None and job.bundle_path.read_bytes() == b"bundle"


async def test_all_that_is_read_together_is_of_one_moment(store: Store, joins: Joins) -> None:
    one = await joins("One")
    async with store._database.reading() as connection:
        before = await ledger.size(connection)
        await one.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "x"})
        assert await ledger.size(connection) == before, "the feed would have lines that its head knows nothing of"


async def test_the_queue_is_ordered_by_what_feeds_say_then_by_age(store: Store, joins: Joins, clock: Clock, tmp_path: Path) -> None:
    """As `clearinghouse serve` does it: a number that ranks nothing leaves them in the order of their ids, which are drawn by lot."""
    from remediator.cli.clearinghouse_demo import stand_ins
    from remediator.cli.clearinghouse_run import _ranked

    one, flaws = await joins("One"), {}
    aliases = [*((f"n{number}", ()) for number in range(6)), ("epss", ("CVE-2017-16616",)), ("kev", ("CVE-2021-44228",))]
    for name, known in aliases:
        clock.forward(minutes=1)
        told = {**FLAW, "project": f"pkg:pypi/{name}", "severity": "low", "aliases": list(known)}
        flaws[name] = (await one.ask(Verb.submit_finding, {"flaw": told, "scanner": "s"})).detail["flaw"]
    names = {flaw_id: name for name, flaw_id in flaws.items()}

    async def queue() -> list[str]:
        return [names[flaw.id] for flaw in (await store.flaws(one.caller)).items]

    assert await queue() == [name for name, _ in aliases]
    await _ranked(store, stand_ins(tmp_path / "feeds", clock.now))
    # A flaw without a score is as likely to be exploited as any.
    assert await queue() == ["kev", "epss", *(f"n{number}" for number in range(6))]
    assert await queue() == [names[flaw.id] for flaw in (await store.flaws(one.caller, order="priority")).items]
    assert await store.rerank(lambda flaw: 0 if flaw.priority is not None and flaw.priority.kev else 1) == 8
    assert (await queue())[0] == "kev"


async def test_a_folder_whose_key_signed_a_ledger_begins_no_second_one(database_url: str, tmp_path: Path) -> None:
    """As where `--database` is left out beside a server on PostgreSQL: one key would sign two ledgers."""
    from remediator.errors import ConfigError

    data = tmp_path / "data"
    async with Store.open(database_url, data) as made:
        audience = made.audience
    (data / "clearinghouse.sqlite").rename(tmp_path / "away") if database_url == "sqlite" else None
    with pytest.raises(ConfigError, match="another database") as refused:
        async with Store.open("sqlite", data):
            pass
    assert "--database" in refused.value.hint and not (data / "clearinghouse.sqlite").exists()
    (tmp_path / "away").rename(data / "clearinghouse.sqlite") if database_url == "sqlite" else None
    async with Store.open(database_url, data) as again:
        assert again.audience == audience


async def test_an_empty_postgresql_is_not_taken_for_the_one_that_was_served(postgres: Any, tmp_path: Path) -> None:
    from remediator.errors import ConfigError

    async with Store.open("sqlite", tmp_path / "data"):
        pass
    with pytest.raises(ConfigError, match="another database"):
        async with Store.open(postgres.database(), tmp_path / "data"):
            pass
