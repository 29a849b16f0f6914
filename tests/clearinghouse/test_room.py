"""What one organisation may take up, and what becomes of what nobody needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from remediator.clearinghouse.store import Store, keeping, leasing, reports, schema
from remediator.clearinghouse.store import deciding as decisions
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import FixState, Problem, Scope, Verb
from remediator.records.record import digest_of
from remediator.testing.clearinghouse import FLAW, Clock, Party

Joins = Callable[..., Awaitable[Party]]


async def refused(asked: Awaitable[Any]) -> Problem:
    with pytest.raises(RefusedError) as found:
        await asked
    return found.value.code


async def used(store: Store, who: Party) -> int:
    query = select(schema.organisations.c.blob_bytes).where(schema.organisations.c.id == who.id)
    async with store._database.reading() as connection:
        return int((await connection.execute(query)).scalar_one())


# -- bundles -----------------------------------------------------------------------------------------------------------


async def test_bundles_of_one_organisation_have_their_room(store: Store, joins: Joins) -> None:
    one, two = await joins("One"), await joins("Two")
    store.quota_bytes = 10
    first = await one.put(b"12345678")
    assert await used(store, one) == 8
    # The same again takes no more, and what does not fit leaves nothing behind.
    assert await one.put(b"12345678") == first and await used(store, one) == 8
    assert await refused(one.put(b"abc")) is Problem.too_many
    assert not store.blobs.path(digest_of(b"abc")).exists() and await used(store, one) == 8
    # Another's room is another's, and what another keeps stays when one is refused.
    await two.put(b"abc")
    assert await refused(one.put(b"abc")) is Problem.too_many
    assert store.blobs.path(digest_of(b"abc")).read_bytes() == b"abc"
    await one.put(b"90")
    read = False

    async def stream() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"x"

    assert await refused(store.put_blob(one.caller, digest_of(b"x"), stream())) is Problem.too_many
    assert not read, "who has no room left is refused before it sends anything"


async def test_what_no_fix_names_is_removed_in_time_and_nothing_else(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    named = await one.submit_fix(data=b"named")
    unnamed, both = await one.put(b"unnamed"), await one.put(b"both")
    await two.put(b"both")
    await two.submit_fix(data=b"both")
    clock.forward(days=6)
    again = await one.put(b"brought again")
    await one.put(b"unnamed")
    clock.forward(days=2)
    await store.sweep()
    # What came again is kept from then on; what is another's stays another's.
    assert all(store.blobs.path(each).exists() for each in (digest_of(b"named"), unnamed, both, again))
    assert await used(store, one) == len(b"named" + b"unnamed" + b"brought again")
    clock.forward(days=8)
    await store.sweep()
    left = {digest_of(data) for data in (b"named", b"unnamed", b"both", b"brought again") if store.blobs.path(digest_of(data)).exists()}
    assert left == {digest_of(b"named"), digest_of(b"both")}
    async with store._database.reading() as connection:
        assert (await connection.execute(select(schema.discarded))).all() == []
    assert await used(store, one) == 5 and await used(store, two) == 4
    assert (await store.fix(one.caller, named.id)).bundle_bytes == 5
    body = {"flaw": FLAW, "submission_id": "s-9", "patch_id": "p", "bundle": unnamed, "bundle_bytes": 7, "claimed_level": 4}
    assert await refused(one.ask(Verb.submit_fix, body)) is Problem.blob_missing
    await one.put(b"unnamed")
    assert (await one.ask(Verb.submit_fix, body)).state == "received"


@pytest.mark.parametrize("fix_first", [True, False])
async def test_a_fix_that_is_submitted_while_its_bundle_is_removed_keeps_it_or_is_told(
    store: Store, joins: Joins, clock: Clock, monkeypatch: pytest.MonkeyPatch, fix_first: bool
) -> None:
    one = await joins("One")
    digest = await one.put(b"bundle")
    clock.forward(days=8)
    do, transaction, together = store._writer.do, store._writer._transaction, []

    async def beside(work: Any, *, prepare: Any = None) -> Any:
        asked = [lambda: do(work, prepare=prepare), lambda: do(lambda batch: keeping.forget(batch, None))]
        tasks = [asyncio.create_task(each()) for each in (asked if fix_first else reversed(asked))]
        await asyncio.wait(tasks)
        return await tasks[0 if fix_first else 1]

    async def counted(asked: Any) -> Any:
        together.append(len(asked))
        return await transaction(asked)

    monkeypatch.setattr(store._writer, "do", beside)
    monkeypatch.setattr(store._writer, "_transaction", counted)
    body = {"flaw": FLAW, "submission_id": "s-1", "patch_id": "p", "bundle": digest, "bundle_bytes": 6, "claimed_level": 4}
    if fix_first:
        assert (await one.ask(Verb.submit_fix, body)).state == "received"
    else:
        # What was fetched for the fix before is gone by its turn.
        assert await refused(one.ask(Verb.submit_fix, body)) is Problem.blob_missing
    assert together == [2], "both in one transaction"
    assert await used(store, one) == (6 if fix_first else 0)


async def test_a_file_that_is_removed_as_it_arrives_is_not_called_kept(store: Store, joins: Joins, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await joins("One")
    put = store.blobs.put

    async def lost(digest: str, stream: AsyncIterator[bytes]) -> int:
        size = await put(digest, stream)
        store.blobs.path(digest).unlink()
        return size

    monkeypatch.setattr(store.blobs, "put", lost)
    assert await refused(one.put(b"data")) is Problem.unavailable
    monkeypatch.setattr(store.blobs, "put", put)
    await one.put(b"data")
    assert await used(store, one) == 4


async def test_another_database_beside_the_same_folder_removes_nothing(
    store: Store, joins: Joins, clock: Clock, database_url: str, tmp_path: Path
) -> None:
    one = await joins("One")
    digest = await one.put(b"data")
    clock.forward(days=30)
    other_url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    async with Store.open(other_url, tmp_path / "its-own", clock=clock, elapsed=clock.elapsed):
        pass
    async with Store.open(other_url, tmp_path / "data", clock=clock, elapsed=clock.elapsed) as other:
        await other.sweep()
    assert store.blobs.path(digest).exists()


async def test_what_was_discarded_and_came_again_is_kept(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    digest = await one.put(b"data")
    clock.forward(days=8)
    await store._writer.do(lambda batch: keeping.forget(batch, None))
    await two.put(b"data")
    await store.sweep()
    assert store.blobs.path(digest).read_bytes() == b"data" and await used(store, two) == 4


# -- receipts ----------------------------------------------------------------------------------------------------------


async def test_receipts_are_summed_up_and_bounded(store: Store, joins: Joins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MOST_RECEIPTS", 5)
    one, reader, other = await joins("One"), await joins("Reader"), await joins("Other")
    fix = await one.submit_fix()
    job = await store.take_job("v", 60)
    assert job is not None
    assert await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch="diff")
    told = {"fix_id": fix.id, "outcome": "applied", "count": 400_000}
    for _ in range(4):
        await reader.ask(Verb.receipt, told)
    await reader.ask(Verb.receipt, {**told, "outcome": "failed", "count": 1})
    assert await refused(reader.ask(Verb.receipt, told)) is Problem.state_conflict
    await other.ask(Verb.receipt, {**told, "count": 7})
    async with store._database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(schema.receipts))).scalar_one() == 3
    assert (await store.fix(one.caller, fix.id)).outcomes == {"applied": 1_000_007, "failed": 1}


# -- reports -----------------------------------------------------------------------------------------------------------


async def test_reports_of_one_flaw_are_bounded(store: Store, joins: Joins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_REPORTS", 3)
    one, two = await joins("One"), await joins("Two")

    def report(who: Party, scanner: str) -> Awaitable[Any]:
        return who.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": scanner})

    # Together or one after the other: each name of a scanner would be another report, that is read with the flaw.
    told = await asyncio.gather(*(report(one, f"s{number}") for number in range(5)), return_exceptions=True)
    assert [each.code for each in told if isinstance(each, RefusedError)] == [Problem.state_conflict] * 2
    # Whichever of those that came together were first.
    taken = next(f"s{number}" for number, each in enumerate(told) if not isinstance(each, RefusedError))
    assert await refused(report(one, "s9")) is Problem.state_conflict
    # A fix can be handed in all the same; with ever other places it is a report, too.
    places = [{**FLAW, "snippet": f"x{number}"} for number in range(4)]
    for number in range(3):
        assert (await one.submit_fix(f"s-{number}", flaw=places[number])).state == "received"
    assert await refused(one.submit_fix("s-3", flaw=places[3])) is Problem.state_conflict
    # What was reported before is still answered, another's report is another's, and so is another flaw.
    assert (await report(one, taken)).duplicate
    assert (await report(two, "s9")).state == "noted"
    other = {**FLAW, "aliases": [], "snippet": "other"}
    assert (await one.ask(Verb.submit_finding, {"flaw": other, "scanner": "s9"})).state == "noted"
    (flaw, *_) = [each for each in (await store.flaws(one.caller)).items if each.aliases]
    assert len(flaw.witnesses) == 6


# -- leases and opt-outs -----------------------------------------------------------------------------------------------


async def test_short_leases_that_ended_are_looked_at_once(store: Store, joins: Joins, clock: Clock) -> None:
    flooder, two = await joins("Flooder"), await joins("Two")
    table = schema.leases.c
    left = select(func.count()).select_from(schema.leases).where(table.released_at.is_(None), table.organisation == flooder.id)
    for number in range(20):
        await flooder.ask(Verb.lease, {"project": "pkg:pypi/a", "ttl_seconds": 1, "scope": [f"CWE-{number}"]})
        clock.forward(seconds=2)
    kept = (await flooder.ask(Verb.lease, {"project": "pkg:pypi/a", "ttl_seconds": 60, "scope": ["CWE-99"]})).detail["lease"]
    assert (await two.ask(Verb.lease, {"project": "pkg:pypi/a", "scope": ["src"]})).state == "granted"
    async with store._database.reading() as connection:
        assert (await connection.execute(left)).scalar_one() == 1
    assert await refused(two.ask(Verb.lease, {"project": "pkg:pypi/a", "scope": ["CWE-99"]})) is Problem.lease_held
    assert (await flooder.ask(Verb.renew, {"lease_id": kept["id"], "fencing": kept["fencing"]})).state == "granted"


async def test_leases_that_hold_are_bounded(joins: Joins, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "MOST_LEASES", 2)
    one, two = await joins("One"), await joins("Two")
    held = [(await one.ask(Verb.lease, {"project": f"pkg:pypi/p{n}", "ttl_seconds": 60})).detail["lease"] for n in range(2)]
    assert await refused(one.ask(Verb.lease, {"project": "pkg:pypi/p2"})) is Problem.too_many
    assert (await two.ask(Verb.lease, {"project": "pkg:pypi/p2"})).state == "granted"
    await one.ask(Verb.release, {"lease_id": held[0]["id"], "fencing": held[0]["fencing"]})
    assert (await one.ask(Verb.lease, {"project": "pkg:pypi/p3", "ttl_seconds": 60})).state == "granted"
    clock.forward(seconds=61)
    assert (await one.ask(Verb.lease, {"project": "pkg:pypi/p4"})).state == "granted"


async def test_opt_outs_that_hold_are_bounded(joins: Joins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "MOST_OPT_OUTS", 2)
    one, two = await joins("One"), await joins("Two")
    wishes = [{"project": f"pkg:pypi/p{number}", "contact": "c"} for number in range(3)]
    for wish in wishes[:2]:
        await one.ask(Verb.opt_out, wish)
    assert await refused(one.ask(Verb.opt_out, wishes[2])) is Problem.state_conflict
    # One that is there can be changed and withdrawn, and leaves room for another.
    assert (await one.ask(Verb.opt_out, {**wishes[0], "contact": "new"})).state == "opted-out"
    assert (await two.ask(Verb.opt_out, wishes[2])).state == "opted-out"
    await one.ask(Verb.opt_out, {**wishes[0], "withdraw": True})
    assert (await one.ask(Verb.opt_out, {"project": "pkg:pypi/p3", "contact": "c"})).state == "opted-out"


@pytest.mark.parametrize("way", ["verb", "command"])
async def test_an_opt_out_is_believed_at_once_and_overruled_for_good(store: Store, joins: Joins, way: str) -> None:
    squatter, one, maintainer = await joins("Squatter"), await joins("One"), await joins("Maintainer")
    wish = {"project": "pkg:pypi/a", "contact": "c"}
    await squatter.ask(Verb.opt_out, wish)
    assert await refused(one.ask(Verb.lease, {"project": "pkg:pypi/a"})) is Problem.opted_out
    admin = await joins("Operator", scopes=(Scope.admin,))
    shown = {who.id: (await store.opt_outs(who.caller)).items[0].organisation for who in (squatter, one, admin)}
    assert shown == {squatter.id: squatter.id, one.id: "", admin.id: squatter.id}
    if way == "verb":
        assert (await admin.ask(Verb.opt_out, {**wish, "withdraw": True})).state == "withdrawn"
    else:
        await store.overrule("pkg:pypi/A")
    assert (await store.opt_outs(admin.caller)).items == []
    lease = (await one.ask(Verb.lease, {"project": "pkg:pypi/a"})).detail["lease"]
    assert await refused(squatter.ask(Verb.opt_out, wish)) is Problem.forbidden
    assert (await one.ask(Verb.renew, {"lease_id": lease["id"], "fencing": lease["fencing"]})).state == "granted"
    # It speaks for other projects still, and others for this one.
    assert (await squatter.ask(Verb.opt_out, {**wish, "project": "pkg:pypi/b"})).state == "opted-out"
    assert (await maintainer.ask(Verb.opt_out, wish)).state == "opted-out"
    async with store._database.reading() as connection:
        object_ = await connection.execute(text("SELECT object FROM ledger_entries WHERE kind = 'opt-out' ORDER BY number"))
        assert sum('"overruled"' in each for each in object_.scalars()) == 1
