"""BOD 26-04's table row by row, and what becomes of what is not known."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.clearinghouse.priority.bod import TABLE, Factors, Timeline, decide, sentence

# In KEV, publicly exposed, automatable, technical impact, timeline: the rows of CERT/CC's SSVC data, version 1.0.0, in their order.
ROWS = """\
0,no,no,no,partial,fix on system upgrade
1,yes,no,no,partial,14 days
2,no,yes,no,partial,60 days
3,no,no,yes,partial,60 days
4,no,no,no,total,fix on system upgrade
5,yes,yes,no,partial,14 days
6,yes,no,yes,partial,14 days
7,no,yes,yes,partial,14 days
8,yes,no,no,total,14 days
9,no,yes,no,total,14 days
10,no,no,yes,total,60 days
11,yes,yes,yes,partial,3 days
12,yes,yes,no,total,3 days & forensic investigation
13,yes,no,yes,total,3 days & forensic investigation
14,no,yes,yes,total,3 days
15,yes,yes,yes,total,3 days & forensic investigation"""
DAYS = {"fix on system upgrade": None, "60 days": 60, "14 days": 14, "3 days": 3, "3 days & forensic investigation": 3}
maybe = st.sampled_from((None, False, True))


@pytest.mark.parametrize("line", ROWS.splitlines())
def test_each_row_of_the_directive(line: str) -> None:
    number, kev, exposed, automatable, impact, timeline = line.split(",")
    decision = decide(Factors(kev == "yes", exposed == "yes", automatable == "yes", impact == "total"))
    assert (decision.row, decision.timeline.value, decision.timeline.due_days) == (int(number), timeline, DAYS[timeline])
    assert (decision.unknown, decision.latest) == ((), decision.timeline)
    told = sentence(decision)
    assert told.startswith(f"BOD 26-04 row {number}: ")
    assert "assumed" not in told
    assert ("signs of compromise" in told) is ("forensic" in timeline)


def test_there_are_sixteen_rows_and_no_more() -> None:
    assert set(TABLE) == set(product((False, True), repeat=4))
    assert sorted(row for row, _ in TABLE.values()) == list(range(16))


def rows_that_may_hold(factors: Factors) -> list[tuple[int, Timeline]]:
    return [row for key, row in TABLE.items() if all(known in (None, value) for known, value in zip(factors, key, strict=True))]


@given(st.builds(Factors, maybe, maybe, maybe, maybe))
def test_what_is_unknown_is_counted_as_what_gives_least_time_and_is_named(factors: Factors) -> None:
    decision = decide(factors)
    urgencies = [timeline.urgency for _, timeline in rows_that_may_hold(factors)]
    assert decision.timeline.urgency == max(urgencies)
    assert decision.latest.urgency == min(urgencies)
    assert (decision.row, decision.timeline) in rows_that_may_hold(factors)
    assert decision.unknown == tuple(name for name in Factors._fields if getattr(factors, name) is None)
    assert sentence(decision).count("(assumed)") == len(decision.unknown)
    assert ("as late as" in sentence(decision)) is (min(urgencies) != max(urgencies))


@given(st.builds(Factors, maybe, maybe, maybe, maybe), st.sampled_from(Factors._fields))
def test_knowing_less_never_gives_more_time(factors: Factors, forgotten: str) -> None:
    assert decide(factors._replace(**{forgotten: None})).timeline.urgency >= decide(factors).timeline.urgency


def test_knowing_nothing_is_the_last_row() -> None:
    decision = decide(Factors(None, None, None, None))
    assert (decision.row, decision.latest) == (15, Timeline.on_upgrade)
