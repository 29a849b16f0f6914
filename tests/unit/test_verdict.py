"""The fold: what checks add up to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.records.verdict import Check, CheckStatus, EvidenceLevel, Outcome, Verdict, fold

P, F, U, N, X = CheckStatus.passed, CheckStatus.failed, CheckStatus.inconclusive, CheckStatus.not_run, CheckStatus.infra_error
E0, E1, E2, E3, E4 = EvidenceLevel.E0, EvidenceLevel.E1, EvidenceLevel.E2, EvidenceLevel.E3, EvidenceLevel.E4
LADDER = (("applies", E0), ("guards", E0), ("builds", E1), ("rescan", E2), ("tests", E3))


def _check(name: str, level: EvidenceLevel, status: CheckStatus) -> Check:
    return Check(name=name, level=level, status=status, reason="" if status is P else f"{name}-{status}", summary=name)


def _folded(*statuses: CheckStatus | None, required: EvidenceLevel = E3) -> Verdict:
    checks = [_check(name, level, status) for (name, level), status in zip(LADDER, statuses, strict=True) if status is not None]
    return fold(checks, patch_id="p", finding_id="f", required=required, expected=LADDER)


@pytest.mark.parametrize(
    ("statuses", "outcome", "level", "reason"),
    [
        ((P, P, P, P, P), Outcome.verified, E3, ""),
        ((P, P, P, P, N), Outcome.verified, E2, "tests-not_run"),
        ((P, P, P, P, U), Outcome.verified, E2, "tests-inconclusive"),
        ((P, P, P, P, None), Outcome.verified, E2, "not-run"),
        ((P, P, N, P, P), Outcome.verified, E0, "builds-not_run"),
        ((P, P, N, P, U), Outcome.verified, E0, "builds-not_run"),
        ((P, P, P, U, P), Outcome.verified, E1, "rescan-inconclusive"),
        ((P, U, P, P, P), Outcome.inconclusive, None, "guards-inconclusive"),
        ((P, N, P, P, P), Outcome.blocked, None, "guards-not_run"),
        ((None, P, P, P, P), Outcome.blocked, None, "not-run"),
        ((N, N, U, N, N), Outcome.inconclusive, None, "builds-inconclusive"),
        ((F, None, None, None, None), Outcome.rejected, None, "applies-failed"),
        ((P, F, P, P, P), Outcome.rejected, None, "guards-failed"),
        ((P, P, P, P, F), Outcome.rejected, None, "tests-failed"),
        ((P, P, X, F, P), Outcome.rejected, None, "rescan-failed"),
        ((P, P, X, P, P), Outcome.infra_error, E0, "builds-infra_error"),
        ((P, P, P, P, X), Outcome.infra_error, E2, "tests-infra_error"),
        ((X, U, N, P, P), Outcome.infra_error, None, "applies-infra_error"),
    ],
)
def test_checks_add_up(statuses: tuple[CheckStatus | None, ...], outcome: Outcome, level: EvidenceLevel | None, reason: str) -> None:
    verdict = _folded(*statuses)
    assert (verdict.outcome, verdict.level, verdict.reason) == (outcome, level, reason)
    assert verdict.sufficient is (outcome is Outcome.verified and level is E3)


def test_a_level_that_nobody_checks_caps_the_ladder() -> None:
    expected = (("applies", E0), ("rescan", E2), ("tests", E3))
    verdict = fold([_check(n, level, P) for n, level in expected], patch_id="p", finding_id="f", required=E3, expected=expected)
    assert verdict.level is E0
    assert not verdict.sufficient


def test_a_second_answer_cannot_make_up_for_the_first() -> None:
    checks = [_check(n, level, P) for n, level in LADDER]
    verdict = fold([_check("guards", E0, F), *checks], patch_id="p", finding_id="f", required=E3, expected=LADDER)
    assert verdict.outcome is Outcome.rejected


def test_a_check_cannot_answer_for_another_level() -> None:
    checks = [_check("applies", E0, P), _check("guards", E1, P), _check("builds", E1, P)]
    verdict = fold(checks, patch_id="p", finding_id="f", required=E1, expected=LADDER[:3])
    assert verdict.level is None
    assert verdict.reason == "wrong-level"


def test_a_failed_check_that_nobody_expected_rejects() -> None:
    checks = [_check(n, level, P) for n, level in LADDER]
    verdict = fold([*checks, _check("stranger", E4, F)], patch_id="p", finding_id="f", required=E3, expected=LADDER)
    assert verdict.outcome is Outcome.rejected


def test_a_passed_check_that_nobody_expected_proves_nothing() -> None:
    checks = [_check(n, level, P) for n, level in (*LADDER, ("stranger", E4))]
    assert fold(checks, patch_id="p", finding_id="f", required=E4, expected=LADDER).level is E3


def test_no_checks_at_all_verify_nothing() -> None:
    verdict = fold([], patch_id="p", finding_id="f", required=E0, expected=())
    assert (verdict.outcome, verdict.level, verdict.reason) == (Outcome.blocked, None, "nothing-expected")


_names = st.sampled_from(["a", "b", "c", "d", "e"])
_levels = st.sampled_from(list(EvidenceLevel))
_expected = st.lists(st.tuples(_names, _levels), max_size=6, unique_by=lambda pair: pair[0])
_checks = st.lists(st.builds(_check, _names, _levels, st.sampled_from(list(CheckStatus))), max_size=10)


@given(_checks, _expected, _levels)
def test_nothing_is_verified_beyond_a_check_that_is_missing_or_did_not_pass(
    checks: list[Check], expected: list[tuple[str, EvidenceLevel]], required: EvidenceLevel
) -> None:
    verdict = fold(checks, patch_id="p", finding_id="f", required=required, expected=expected)
    if any(check.status is F for check in checks):
        assert verdict.outcome is Outcome.rejected
        assert verdict.level is None
    if verdict.outcome is not Outcome.verified:
        assert not verdict.sufficient
        return
    assert verdict.level is not None
    assert not any(check.status in (F, X) for check in checks if check.name in dict(expected))
    for level in range(verdict.level + 1):
        asked = [name for name, its in expected if its == level]
        assert asked
        for name in asked:
            given_answers = [check for check in checks if check.name == name]
            assert given_answers
            assert all(check.status is P and check.level == level for check in given_answers)


@given(_checks, _expected, _levels)
def test_the_order_of_the_answers_does_not_count(
    checks: list[Check], expected: list[tuple[str, EvidenceLevel]], required: EvidenceLevel
) -> None:
    one = fold(checks, patch_id="p", finding_id="f", required=required, expected=expected)
    other = fold(checks[::-1], patch_id="p", finding_id="f", required=required, expected=expected)
    assert (one.outcome, one.level) == (other.outcome, other.level)


UNSEEN = (*LADDER, ("reproducer", E4))


def _unseen(*statuses: CheckStatus) -> Verdict:
    checks = [_check(name, level, status) for (name, level), status in zip(UNSEEN, statuses, strict=False)]
    checks = [c.model_copy(update={"evidence": {"shown": False}}) if c.name == "rescan" else c for c in checks]
    return fold(checks, patch_id="p", finding_id="f", required=E4, expected=UNSEEN[: len(statuses)])


@pytest.mark.parametrize(
    ("statuses", "level", "reason", "told"),
    [
        ((P, P, P, P), E2, "not-shown", "not shown: "),
        ((P, P, P, P, P), E3, "not-shown", "not shown: "),
        ((P, P, P, P, N, N), E2, "tests-not_run", "; tests: tests"),
        ((P, P, P, P, P, N), E3, "reproducer-not_run", "; reproducer: reproducer"),
    ],
)
def test_below_a_reproducer_an_unseen_flaw_is_not_shown_to_be_gone(statuses, level, reason, told) -> None:
    verdict = _unseen(*statuses)
    assert (verdict.outcome, verdict.level, verdict.reason) == (Outcome.verified, level, reason)
    assert verdict.summary.startswith("not shown: ") and told in verdict.summary
    assert not verdict.shown and not verdict.sufficient


def test_a_reproducer_shows_what_no_scanner_sees() -> None:
    verdict = _unseen(P, P, P, P, P, P)
    assert verdict.shown and verdict.sufficient
    assert (verdict.level, verdict.reason, verdict.summary) == (E4, "", "")


def test_what_rejects_a_patch_is_told_and_nothing_else() -> None:
    assert _unseen(P, P, P, P, F).summary == "tests: tests"
    assert _folded(P, P, P, P, P).shown


def test_a_flaw_is_seen_where_a_rescan_passed_that_does_not_say_otherwise() -> None:
    assert _folded(P, P, P, P, P).seen
    assert not _unseen(P, P, P, P, P, P).seen
    assert not _folded(P, P, P, N, P).seen
    # By a playbook that scans nothing, nobody saw it.
    ladder = [(name, level) for name, level in UNSEEN if name != "rescan"]
    checks = [_check(name, level, P) for name, level in ladder]
    assert not fold(checks, patch_id="p", finding_id="f", required=E4, expected=ladder).seen
