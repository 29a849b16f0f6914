"""The validators' queue: nobody's flood starves others, and what failed for no fault of its own comes again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.store.validating import turn
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState
from remediator.errors import UsageError
from remediator.testing.clearinghouse import Clock, Party

Joins = Callable[..., Awaitable[Party]]


async def taken(store: Store) -> str:
    job = await store.take_job("v", 600)
    assert job is not None
    return f"{job.organisation} {job.submission_id}"


async def test_whoever_sends_many_waits_behind_its_own(store: Store, joins: Joins, clock: Clock) -> None:
    flooder, one, two = await joins("Flooder"), await joins("One"), await joins("Two")
    for number in range(6):
        await flooder.submit_fix(f"s-{number}", data=str(number).encode())
        clock.forward(seconds=1)
    await one.submit_fix("s-1")
    clock.forward(seconds=1)
    for number in range(3):
        await two.submit_fix(f"s-{number}", data=str(number).encode())
        clock.forward(seconds=1)
    order = []
    for _ in range(4):
        order.append(await taken(store))
        clock.forward(seconds=1)
    # Each is served once before the flooder is served again; of one organisation the oldest.
    assert set(order[:3]) == {f"{flooder.id} s-0", f"{one.id} s-1", f"{two.id} s-0"}
    assert order[3] in (f"{flooder.id} s-1", f"{two.id} s-1")


async def test_who_has_fewest_running_is_served_first_then_who_waited_longest(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    for number in range(4):
        await one.submit_fix(f"s-{number}", data=str(number).encode())
    first = await store.take_job("v", 600)
    second = await store.take_job("v", 600)
    assert first is not None and second is not None
    clock.forward(seconds=1)
    for number in range(3):
        await two.submit_fix(f"s-{number}", data=str(number).encode())
    assert (await taken(store)).startswith(two.id)
    clock.forward(seconds=1)
    for job in (first, second):
        assert await store.finish_job(job, Validation(outcome="differs"), FixState.rejected)
    # One runs nothing now, and two runs one.
    assert (await taken(store)).startswith(one.id)
    clock.forward(seconds=1)
    assert (await taken(store)).startswith(two.id)


async def test_a_job_that_waits_for_its_next_attempt_keeps_no_turn(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    await one.submit_fix("s-1")
    job = await store.take_job("v", 60)
    assert job is not None and await store.finish_job(job, Validation(outcome="infra_error"), FixState.infra_error)
    clock.forward(seconds=1)
    await two.submit_fix("s-2")
    assert await taken(store) == f"{two.id} s-2"
    assert await store.take_job("v", 60) is None
    clock.forward(minutes=1)
    assert await taken(store) == f"{one.id} s-1"


async def test_the_turn_is_found_by_an_index(store: Store) -> None:
    dialect: Any = postgresql.dialect() if store._database.is_postgres else sqlite.dialect()
    asked = str(turn(7).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    async with store._database.writing() as connection:
        if store._database.is_postgres:
            # A million waiting: then nothing but the index is worth its while.
            row = "SELECT 'fix-' || n, 'org-x', 'queued', '', 0, 0, 0, n, n FROM generate_series(1, 20000) AS n"
            names = "fix_id, organisation, state, validator, fencing, lease_until, attempts, not_before, queued_at"
            await connection.execute(text(f"INSERT INTO jobs ({names}) {row}"))
            await connection.execute(text("ANALYZE jobs"))
            plan = "\n".join((await connection.execute(text(f"EXPLAIN {asked}"))).scalars())
        else:
            plan = "\n".join(row[3] for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {asked}")))
    assert "jobs_by_turn" in plan and "Seq Scan on jobs" not in plan and "SCAN jobs" not in plan


async def _given_up(store: Store, clock: Clock) -> None:
    for _ in range(3):
        assert await store.take_job("v", 60) is not None
        clock.forward(seconds=61)
    assert await store.take_job("v", 60) is None


async def test_what_was_given_up_is_queued_again_by_the_operator(store: Store, joins: Joins, clock: Clock) -> None:
    one = await joins("One")
    fix = await one.submit_fix()
    with pytest.raises(UsageError):
        await store.requeue([fix.id])
    await _given_up(store, clock)
    assert (await store.fix(one.caller, fix.id)).state == "infra_error"
    with pytest.raises(UsageError):
        await store.requeue([fix.id, "fix-other"])
    assert (await store.fix(one.caller, fix.id)).state == "infra_error"
    assert await store.requeue() == [fix.id] and await store.requeue() == []
    told = await store.fix(one.caller, fix.id)
    assert (told.state, told.validation) == ("received", None)
    # It has all of its attempts again, and is given up again.
    await _given_up(store, clock)
    assert await store.requeue([fix.id]) == [fix.id]
    job = await store.take_job("v", 60)
    assert job is not None and job.attempt == 1
    assert await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch="diff")
    kinds = [each.kind for each in await store.openings(one.caller, fix.id)]
    assert kinds.count("fix-requeued") == 2 and kinds[-1] == "published"


async def test_what_was_given_up_is_queued_again_when_it_is_sent_again(store: Store, joins: Joins, clock: Clock) -> None:
    one, two = await joins("One"), await joins("Two")
    fix = await one.submit_fix()
    await _given_up(store, clock)
    again = await one.submit_fix()
    assert (again.id, again.state, again.duplicate) == (fix.id, "received", True) and again.ledger_index is not None
    # Once is once: it is waiting already.
    assert (await one.submit_fix()).ledger_index is None
    assert await taken(store) == f"{one.id} s-1"
    assert await store.take_job("v", 60) is None
    # Another's fix under the same submission id is another's.
    assert (await two.submit_fix()).id != fix.id


async def test_a_fix_that_was_rejected_is_not_tried_again_for_being_sent_again(store: Store, joins: Joins) -> None:
    one = await joins("One")
    await one.submit_fix()
    job = await store.take_job("v", 60)
    assert job is not None and await store.finish_job(job, Validation(outcome="differs"), FixState.rejected)
    assert (await one.submit_fix()).state == "rejected" and await store.take_job("v", 60) is None
    assert (await store.status(one.caller, "s-1")).state == FixState.rejected
