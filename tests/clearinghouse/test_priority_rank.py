"""Where a flaw stands in the queue, with what was assumed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.clearinghouse.priority.bod import Timeline
from remediator.clearinghouse.priority.feeds import Epss, Feeds, Kev, Points, Score, Ssvc
from remediator.clearinghouse.priority.rank import UNKNOWN_ASSET, AssetFacts, queue_rank, rank
from remediator.clearinghouse.store.telling import place
from remediator.clearinghouse.wire.answers import Flaw, Priority
from remediator.testing.published import published_fix

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CVE = "CVE-2017-16616"
FEEDS = Feeds(
    NOW,
    kev=Kev("1", NOW - timedelta(days=1), {CVE: None}),
    epss=Epss("v", NOW - timedelta(days=1), {CVE: Score(0.3), "CVE-2021-44228": Score(0.9)}),
    ssvc=Ssvc(NOW - timedelta(days=1), {CVE: Points(True, True), "CVE-2021-44228": Points(False, False)}),
)


def flaw(**changes: Any) -> Flaw:
    return published_fix(flaw=changes).flaw


def test_everything_known_is_a_row_and_nothing_assumed() -> None:
    found = rank(flaw(), AssetFacts(exposed=True), FEEDS)
    assert (found.row, found.timeline, found.due_days, found.forensics) == (15, Timeline.days_3_forensics.value, 3, True)
    assert (found.kev, found.exposed, found.automatable, found.technical_impact_total) == (True, True, True, True)
    assert (found.epss, found.epss_date, found.assumed) == (0.3, "2026-11-24", ())
    assert found.sentence.startswith("BOD 26-04 row 15: in KEV, publicly exposed, automatable, total technical impact:")


def test_a_name_is_joined_with_all_others_in_any_case() -> None:
    found = rank(flaw(aliases=("GHSA-x", "cve-2021-44228", CVE.lower())), UNKNOWN_ASSET, FEEDS)
    assert (found.kev, found.epss, found.automatable) == (True, 0.9, True)


def test_what_is_not_known_is_none_and_listed_and_counted_as_the_worst() -> None:
    found = rank(flaw(aliases=("CVE-2000-0001",)), UNKNOWN_ASSET, Feeds(NOW))
    assert (found.kev, found.exposed, found.automatable, found.technical_impact_total, found.epss) == (None,) * 5
    assert (found.row, found.epss_date) == (15, "")
    assert found.assumed == (
        "in KEV: yes (no KEV feed is loaded)",
        "publicly exposed: yes (nothing is known about the asset)",
        "automatable: yes (neither SSVC nor a submitter says)",
        "total technical impact: yes (neither SSVC nor a submitter says)",
    )
    assert found.sentence.count("(assumed)") == 4


def test_a_stale_catalog_is_named_as_the_reason() -> None:
    found = rank(flaw(aliases=("CVE-2000-0001",)), AssetFacts(exposed=False), FEEDS.moved_to(NOW + timedelta(days=60)))
    assert found.kev is None
    assert "in KEV: yes (the KEV feed is stale, and does not list it)" in found.assumed


def test_a_flaw_without_a_cve_id_is_not_in_kev_and_that_is_said() -> None:
    found = rank(flaw(aliases=()), AssetFacts(exposed=True), FEEDS)
    assert found.kev is False
    assert "in KEV: no (it has no CVE id, and KEV lists no other)" in found.assumed


def test_a_submitter_cannot_talk_an_assessors_decision_down() -> None:
    quiet = rank(flaw(automatable=False, technical_impact_total=False), AssetFacts(exposed=True), FEEDS)
    assert (quiet.automatable, quiet.technical_impact_total, quiet.row) == (True, True, 15)
    assert "automatable: yes (SSVC says yes, a submitter no)" in quiet.assumed


def test_a_submitters_word_holds_where_nobody_else_decided() -> None:
    found = rank(flaw(aliases=(), automatable=False, technical_impact_total=False), AssetFacts(exposed=False), FEEDS)
    assert (found.row, found.timeline, found.due_days) == (0, Timeline.on_upgrade.value, None)


def placed(**changes: Any) -> int:
    usual = {"timeline": "14 days", "kev": False, "exposed": True, "automatable": True, "technical_impact_total": False, "epss": 0.5}
    severity = changes.pop("severity", "medium")
    return queue_rank(flaw(severity=severity).model_copy(update={"priority": Priority(**(usual | changes))}))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"timeline": "3 days & forensic investigation", "epss": 0.0}, {"timeline": "3 days", "epss": 1.0}),
        ({"timeline": "3 days"}, {"timeline": "14 days", "kev": True}),
        ({"timeline": "14 days"}, {"timeline": "60 days"}),
        ({"timeline": "60 days"}, {"timeline": "fix on system upgrade"}),
        ({"kev": True, "epss": 0.0}, {"kev": False, "epss": 1.0}),
        ({"epss": 0.1}, {"exposed": None, "epss": 0.9}),
        ({"epss": 0.51}, {"epss": 0.5}),
        ({"epss": None}, {"epss": 0.99}),
        ({"severity": "critical"}, {"severity": "high"}),
        ({"severity": "low", "epss": 0.6}, {"severity": "critical", "epss": 0.5}),
    ],
)
def test_the_queue_takes_the_more_urgent_first(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert placed(**first) < placed(**second)


def test_what_was_not_ranked_comes_before_all_that_was() -> None:
    assert queue_rank(flaw()) < placed(timeline=Timeline.days_3_forensics.value, kev=True, epss=1.0, severity="critical")


@given(
    st.sampled_from([*Timeline, "no such"]),
    st.sampled_from((None, True, False)),
    st.none() | st.floats(0, 1) | st.sampled_from((-5.0, 99.0)),
    st.sampled_from(("critical", "info", "?")),
)
def test_the_number_fits_the_database(timeline: str, kev: bool | None, epss: float | None, severity: str) -> None:
    number = placed(timeline=timeline, kev=kev, epss=epss, severity=severity, exposed=None, automatable=None, technical_impact_total=None)
    # With its age, in minutes, it is to fit, too.
    assert 0 < place(number, 2**62) < 2**63
