"""The table of fixes, and what stands below it: totals, what was not looked at, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from remediator.cli import case_view
from remediator.cli.console import columns, safe
from remediator.cli.fix_class import FixClass, class_of
from remediator.records.case import Case
from remediator.records.finding import Finding
from remediator.records.patch import ReasonCode
from remediator.records.scan import ScanReport
from remediator.records.source import Source
from remediator.records.spend import Spend

if TYPE_CHECKING:
    from remediator.engine.request import RunReport

_MOST_FILES = 5
_STYLES = {FixClass.safe: "bold green", FixClass.review: "yellow", FixClass.none: "dim"}


def print_cases(out: Console, cases: Sequence[Case]) -> None:
    """Print one line for each case: first the fixes, then what has none and why."""
    ids = case_view.short_ids(cases)
    shown = case_view.ordered(cases)
    fixes = [case for case in shown if class_of(case) is not FixClass.none]
    rest = [case for case in shown if class_of(case) is FixClass.none]
    if fixes:
        head = [Text(word, style="bold") for word in ("FIX", "FINDING", "PLACE", "CHANGE", "EVIDENCE", "CLASS")]
        for line in columns([head, *(_fix_row(case, ids) for case in fixes)]):
            out.print(line)
    for line in columns([_other_row(case, ids) for case in rest]):
        out.print(line)


def print_findings(out: Console, findings: Sequence[Finding]) -> None:
    """Print one line for each finding."""
    found = sorted(findings, key=lambda f: (f.severity.rank, f.path, f.location.start_line if f.location else 0))
    rows = [
        [Text(f.id), Text(f.severity), Text(case_view.label(f)), Text(case_view.place(f)), Text(safe(f.headline, limit=90))] for f in found
    ]
    head = [Text(word, style="bold") for word in ("ID", "SEVERITY", "FINDING", "PLACE", "MESSAGE")]
    for line in columns([head, *rows] if rows else []):
        out.print(line)


def print_unknown(out: Console, scan: ScanReport | None, could_not_check: Sequence[str]) -> None:
    """Print what was not looked at; silence here means that there is nothing of the kind."""
    for reason in could_not_check:
        out.print(Text(f"could not check: {safe(reason)}", style="bold red"))
    if scan is None:
        out.print(Text("could not check: no scan was completed", style="bold red"))
        return
    for item in scan.unchecked[:_MOST_FILES]:
        where = safe(item.path) or "the whole tree"
        out.print(
            Text(
                f"not checked: {where}: {safe(item.reason)} ({safe(item.scanner)}) {safe(item.detail, limit=100)}".rstrip(), style="yellow"
            )
        )
    if len(scan.unchecked) > _MOST_FILES:
        out.print(Text(f"not checked: {len(scan.unchecked) - _MOST_FILES} more (all of them: --json unchecked)", style="yellow"))
    if scan.uncovered:
        kinds = sorted(scan.uncovered.items(), key=lambda item: (-item[1], item[0]))
        told = ", ".join(f"{count} {safe(ending) or 'without ending'}" for ending, count in kinds[:8])
        more = f" and {len(kinds) - 8} more kinds" if len(kinds) > 8 else ""
        out.print(Text(f"no scanner for: {told}{more}", style="dim"))


def print_left_out(out: Console, source: Source | None, findings: int) -> None:
    """Print what the run did not have in view because of how it was asked for, so that nothing found is not read as nothing there."""
    for note in source.notes if source else ():
        out.print(Text(f"note: {safe(note)}", style="dim"))
    if findings:
        them = f"{findings} finding{'s' * (findings != 1)}"
        were = "was" if findings == 1 else "were"
        out.print(Text(f"left out: {them} that {were} not asked for", style="dim"))


def totals(report: RunReport) -> str:
    """Return the closing sentence: every case is in exactly one of its numbers, those that a stopped run did not get to included."""
    ended = [case for case in report.cases if not case_view.is_open(case)]
    safe_ones = sum(class_of(case) is FixClass.safe for case in ended)
    review = sum(class_of(case) is FixClass.review for case in ended)
    told = f"{safe_ones} safe, {review} to review, {len(ended) - safe_ones - review} without a fix"
    if not report.interrupted:
        return f"Done in {report.seconds:.0f} s. {told}."
    findings = {case.finding.id for case in report.cases} | {finding.id for finding in (report.scan.findings if report.scan else ())}
    left = len(findings - {case.finding.id for case in ended})
    return f"Stopped after {report.seconds:.0f} s. {told}, {left} case{'s' * (left != 1)} open."


def costs(spend: Spend, usd_per_fix: Decimal | None) -> str:
    """Return what models cost, or nothing where none was asked."""
    if not spend.tokens:
        return ""
    each = f", {usd_per_fix:.4f} USD for each verified fix" if usd_per_fix is not None else ""
    return f"Models: {case_view.money(spend)}{each}; {spend.input_tokens} tokens sent, {spend.output_tokens} received."


def next_steps(cases: Sequence[Case], ids: dict[str, str]) -> str:
    """Return the commands that are useful now."""
    steps = []
    fixed = [case for case in case_view.ordered(cases) if case.fixed]
    if fixed:
        steps.append(f"remediator show {ids[fixed[0].id]}")
        steps.append("remediator review")
        if any(class_of(case) is FixClass.safe for case in fixed):
            steps.append("remediator apply --class safe")
    unfixed = [case for case in case_view.ordered(cases) if not case.fixed and not case_view.is_open(case)]
    if unfixed:
        steps.append(f"remediator why {ids[unfixed[0].id]}")
    return " · ".join(steps)


def _fix_row(case: Case, ids: dict[str, str]) -> list[Text]:
    kind = class_of(case)
    verdict = case.best[1] if case.best else None
    return [
        Text(ids[case.id], style="cyan"),
        Text(case_view.label(case.finding)),
        Text(case_view.place(case.finding)),
        Text(case_view.change(case)),
        Text(case_view.evidence(verdict) if verdict else ""),
        Text(kind, style=_STYLES[kind]),
    ]


def _other_row(case: Case, ids: dict[str, str]) -> list[Text]:
    why = case_view.why_not(case)
    told = why.reason if why.reason is not ReasonCode.fixed else "fixed"
    detail = safe(why.detail, limit=90)
    return [
        Text(ids[case.id], style="cyan"),
        Text("open" if case_view.is_open(case) else "no fix", style="dim"),
        Text(case_view.label(case.finding)),
        Text(case_view.place(case.finding)),
        Text(f"{told}: {detail}" if detail else told),
    ]
