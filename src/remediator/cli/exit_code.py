"""The exit codes: a contract with scripts, decided in one pure place."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remediator.engine.request import RunReport
    from remediator.records.case import Case
    from remediator.records.verdict import Verdict

# The diff does not fit the tree, or is none: nothing was judged that could have been wrong.
_DOES_NOT_APPLY = frozenset(("does-not-apply", "malformed-patch", "not-exact"))


class ExitCode(IntEnum):
    """How a command ended, for scripts."""

    clean = 0
    findings = 1
    usage = 2
    could_not_check = 3
    auth = 4
    budget = 5
    verification_failed = 6
    conflict = 7
    integrity = 8
    bug = 70
    interrupted = 130
    broken_pipe = 141


def decide(*, interrupted: bool, could_not_check: bool, budget_hit: bool, remaining: int, unread: int) -> ExitCode:
    """Return the code of a scan or a fix run.

    What was not looked at outweighs what was found, and a file that could not be read is never part of a clean result.
    """
    if interrupted:
        return ExitCode.interrupted
    if could_not_check:
        return ExitCode.could_not_check
    if budget_hit:
        return ExitCode.budget
    if remaining:
        return ExitCode.findings
    return ExitCode.could_not_check if unread else ExitCode.clean


def of_fix(report: RunReport) -> ExitCode:
    """Return the code of a fix run."""
    return _of_run(report, remaining=sum(remains(case) for case in report.cases))


def of_scan(report: RunReport) -> ExitCode:
    """Return the code of a scan, in which every finding remains."""
    return _of_run(report, remaining=len(report.scan.findings) if report.scan else 0)


def _of_run(report: RunReport, remaining: int) -> ExitCode:
    lost = any(case.closed == "could-not-check" or _had_no_sandbox(case) for case in report.cases)
    return decide(
        interrupted=report.interrupted,
        could_not_check=bool(report.could_not_check) or report.scan is None or lost,
        budget_hit=report.budget_hit,
        remaining=remaining,
        unread=len(report.scan.unchecked) if report.scan else 0,
    )


def _had_no_sandbox(case: Case) -> bool:
    return not case.fixed and any(check.reason == "no-sandbox" for verdict in case.verdicts for check in verdict.checks)


def remains(case: Case) -> bool:
    """Return whether a case is still a problem: not fixed, not gone with another's fix, not waived by the operator."""
    return not case.fixed and case.closed not in ("fixed", "duplicate", "waived")


def of_verdict(verdict: Verdict) -> ExitCode:
    """Return the code of one verdict. What was proven, but not to the required level, could not be checked further."""
    if verdict.sufficient:
        return ExitCode.clean
    if verdict.outcome != "rejected":
        return ExitCode.could_not_check
    return ExitCode.conflict if verdict.reason in _DOES_NOT_APPLY else ExitCode.verification_failed
