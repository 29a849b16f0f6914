"""A run as SARIF 2.1.0: the findings, and fixes only where they are proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remediator.cli import case_view
from remediator.cli.documents import to_text
from remediator.proven_fix import fix_of
from remediator.records.sarif import SarifNote, to_sarif

if TYPE_CHECKING:
    from remediator.engine.request import RunReport
    from remediator.records.case import Case
    from remediator.records.finding import Finding


def to_sarif_text(report: RunReport) -> str:
    """Return the log as JSON text."""
    cases = {case.finding.id: case for case in report.cases}
    scan = report.scan
    fixes = {case.finding.id: fix for case in report.cases if case.fixed and case.best and (fix := fix_of(case.best[0])) is not None}
    log = to_sarif(
        _findings(report, cases),
        fixes=fixes,
        notes={finding_id: _note(case) for finding_id, case in cases.items()},
        unchecked=scan.unchecked if scan else (),
        tools=scan.scanners if scan else {},
    )
    return to_text(log) + "\n"


def _findings(report: RunReport, cases: dict[str, Case]) -> list[Finding]:
    scanned = {finding.id: finding for finding in report.scan.known} if report.scan else {}
    return list({**scanned, **{finding_id: case.finding for finding_id, case in cases.items()}}.values())


def _note(case: Case) -> SarifNote:
    verdict = case.best[1] if case.best else None
    return SarifNote(
        level=verdict.level if verdict else None,
        outcome=verdict.outcome if verdict else "",
        reason=case_view.why_not(case).reason,
        case=case.id,
    )
