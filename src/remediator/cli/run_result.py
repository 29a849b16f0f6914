"""Presents what a run came to: table, documents, files, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.engine.request import RunReport


def present(session: Session, report: RunReport, *, scan_only: bool) -> int:
    """Print and write everything that was asked for; return the exit code."""
    from remediator.cli.documents import print_json, run_document
    from remediator.cli.exit_code import of_fix, of_scan
    from remediator.cli.outputs import claims_stdout, write_outputs

    code = of_scan(report) if scan_only else of_fix(report)
    write_outputs(session, report, code)
    if session.json is not None:
        print_json(session, run_document(report, code))
    elif not claims_stdout(session):
        _print_tables(session, report, scan_only=scan_only)
    return code


def _print_tables(session: Session, report: RunReport, *, scan_only: bool) -> None:
    from remediator.cli import case_table, case_view

    if scan_only:
        case_table.print_findings(session.out, report.scan.findings if report.scan else ())
    else:
        case_table.print_cases(session.out, report.cases)
    case_table.print_unknown(session.out, report.scan, report.could_not_check)
    case_table.print_left_out(session.out, report.source, report.left_out)
    if scan_only:
        count = len(report.scan.findings) if report.scan else 0
        files = len(report.scan.covered) if report.scan else 0
        session.out.print(f"{count} finding{'s' * (count != 1)} in {files} file{'s' * (files != 1)} read, {report.seconds:.1f} s.")
        return
    session.out.print(case_table.totals(report))
    if spent := case_table.costs(report.spend, report.usd_per_fix):
        session.out.print(spent)
    if report.budget_hit:
        session.talk("a cap on money or time was reached; what was done is kept")
    if steps := case_table.next_steps(report.cases, case_view.short_ids(report.cases)):
        session.talk(f"next: {steps}")
