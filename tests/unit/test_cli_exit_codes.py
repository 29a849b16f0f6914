"""The exit code contract, as a table."""

from __future__ import annotations

import pytest

from remediator.cli.exit_code import ExitCode, decide, of_fix, of_scan, of_verdict
from remediator.engine.request import RunReport
from remediator.errors import EvidenceError, PatchConflictError, RemediatorError, ScanError, UsageError
from remediator.records import (
    Case,
    Check,
    CheckStatus,
    EvidenceLevel,
    Finding,
    Location,
    Outcome,
    Patch,
    ReasonCode,
    ScanReport,
    Unchecked,
    Verdict,
)

CLEAN = {"interrupted": False, "could_not_check": False, "budget_hit": False, "remaining": 0, "unread": 0}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, ExitCode.clean),
        ({"remaining": 1}, ExitCode.findings),
        ({"unread": 1}, ExitCode.could_not_check),
        ({"unread": 1, "remaining": 1}, ExitCode.findings),
        ({"budget_hit": True, "remaining": 1}, ExitCode.budget),
        ({"could_not_check": True}, ExitCode.could_not_check),
        ({"could_not_check": True, "remaining": 3, "budget_hit": True}, ExitCode.could_not_check),
        ({"interrupted": True, "could_not_check": True, "remaining": 3}, ExitCode.interrupted),
    ],
)
def test_what_was_not_looked_at_outweighs_what_was_found(facts, expected):
    assert decide(**{**CLEAN, **facts}) is expected


def finding(number: int = 1) -> Finding:
    where = Location(path="a.py", start_line=number, end_line=number)
    return Finding.at(rule_id="r", scanner="s", message="m", location=where, snippet=f"x{number}")


def case(outcome: Outcome = Outcome.verified, level=EvidenceLevel.E3, closed: ReasonCode | None = ReasonCode.fixed) -> Case:
    found = finding()
    patch = Patch.of(finding_id=found.id, fixer="f", title="t", diff="d")
    verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=outcome, level=level)
    return Case(id="fx-1", run_id="run-1", finding=found, patches=(patch,), verdicts=(verdict,), closed=closed)


def report(*cases: Case, scan: ScanReport | None = None, **more) -> RunReport:
    return RunReport(run_id="run-1", target=".", scan=scan or ScanReport(tree="t", findings=(finding(),)), cases=cases, **more)


UNREAD = ScanReport(tree="t", unchecked=(Unchecked(scanner="s", path="a.py", reason="parse-error"),))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (report(case()), 0),
        (report(), 0),
        (report(case(Outcome.rejected, None, ReasonCode.verify_failed)), 1),
        (report(case(level=EvidenceLevel.E2, closed=ReasonCode.below_required)), 1),
        (report(case(Outcome.rejected, None, ReasonCode.duplicate)), 0),
        (report(case(Outcome.rejected, None, ReasonCode.waived)), 0),
        (report(case(Outcome.rejected, None, ReasonCode.out_of_scope)), 1),
        (report(case(Outcome.infra_error, None, ReasonCode.could_not_check)), 3),
        (report(case(Outcome.rejected, None, ReasonCode.budget)), 5),
        (report(case(), could_not_check=("no scanner",)), 3),
        (report(case(), scan=UNREAD), 3),
        (RunReport(run_id="r", target="."), 3),
        (report(case(), interrupted=True), 130),
    ],
)
def test_a_fix_run_ends_with_the_code_of_its_worst_fact(run, expected):
    assert of_fix(run) == expected


def test_a_fix_that_no_sandbox_could_judge_was_not_checked():
    judged = case(level=EvidenceLevel.E0, closed=ReasonCode.below_required)
    check = Check(name="builds", level=EvidenceLevel.E1, status=CheckStatus.not_run, reason="no-sandbox")
    verdict = judged.verdicts[0].model_copy(update={"checks": (check,)})
    assert of_fix(report(judged)) == ExitCode.findings
    assert of_fix(report(judged.model_copy(update={"verdicts": (verdict,)}))) == ExitCode.could_not_check


def test_in_a_scan_every_finding_remains():
    assert of_scan(report()) == ExitCode.findings
    assert of_scan(report(scan=ScanReport(tree="t"))) == ExitCode.clean
    assert of_scan(report(scan=UNREAD)) == ExitCode.could_not_check


@pytest.mark.parametrize(
    ("outcome", "level", "expected"),
    [
        (Outcome.verified, EvidenceLevel.E3, 0),
        (Outcome.verified, EvidenceLevel.E2, 3),
        (Outcome.rejected, None, 6),
        (Outcome.inconclusive, None, 3),
        (Outcome.blocked, None, 3),
        (Outcome.infra_error, None, 3),
    ],
)
def test_only_a_sufficient_verdict_is_success(outcome, level, expected):
    assert of_verdict(Verdict(patch_id="p", finding_id="f", outcome=outcome, level=level)) == expected


@pytest.mark.parametrize(("reason", "expected"), [("does-not-apply", 7), ("not-exact", 7), ("malformed-patch", 7), ("paths-differ", 6)])
def test_a_patch_that_does_not_apply_is_a_conflict_and_not_a_wrong_patch(reason, expected):
    verdict = Verdict(patch_id="p", finding_id="f", outcome=Outcome.rejected, level=None, reason=reason)
    assert of_verdict(verdict) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [(RemediatorError, 2), (UsageError, 2), (ScanError, 3), (PatchConflictError, 7), (EvidenceError, 8)],
)
def test_errors_carry_codes_of_the_contract(error, expected):
    assert error.exit_code == expected
    assert error.exit_code in set(ExitCode)
