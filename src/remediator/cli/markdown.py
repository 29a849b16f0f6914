"""A report in Markdown, for a comment or a job summary. Text from the target can neither break out nor be followed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from remediator.cli import case_view
from remediator.cli.console import safe
from remediator.cli.fix_class import FixClass, class_of
from remediator.records.case import Case
from remediator.records.finding import Finding
from remediator.records.scan import ScanReport

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~@:&$.-])")


def to_markdown(cases: Sequence[Case], scan: ScanReport | None, could_not_check: Sequence[str], target: str) -> str:
    """Return the report."""
    lines = [f"# remediator: {escaped(target)}", ""]
    seen = {case.finding.id for case in cases}
    rest = [finding for finding in (scan.known if scan else ()) if finding.id not in seen]
    shown = case_view.ordered(cases)
    lines += _table(
        "Fixes", ("Finding", "Place", "Change", "Evidence", "Class"), [_fix(c) for c in shown if class_of(c) is not FixClass.none]
    )
    lines += _table("Without a fix", ("Finding", "Place", "Reason"), [_other(c) for c in shown if class_of(c) is FixClass.none])
    lines += _table("Findings", ("Finding", "Place", "Severity", "Message"), [_finding(finding) for finding in rest])
    unknown = [*could_not_check, *([] if scan else ["no scan was completed"])]
    unknown += [f"{item.path or 'the whole tree'}: {item.reason}" for item in (scan.unchecked if scan else ())]
    if unknown:
        lines += ["## Could not check", "", *(f"- {escaped(reason)}" for reason in unknown), ""]
    for case in shown:
        if class_of(case) is not FixClass.none and case.best:
            lines += [f"### {escaped(case.best[0].title)}", "", fenced(case.best[0].diff), ""]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no link, mention, HTML or table cell can come of it."""
    return _SPECIAL.sub(r"\\\1", safe(text))


def fenced(diff: str) -> str:
    """Return a diff in a fence that is longer than any run of back-ticks in it."""
    from remediator.redact import printable

    longest = max((len(run) for run in re.findall("`+", diff)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}diff\n{printable(diff, keep_newlines=True).rstrip()}\n{fence}"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    body = [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    return [f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""]


def _fix(case: Case) -> tuple[str, ...]:
    verdict = case.best[1] if case.best else None
    told = case_view.evidence(verdict, limit=0) if verdict else ""
    return case_view.label(case.finding), case_view.place(case.finding), case_view.change(case), told, class_of(case)


def _other(case: Case) -> tuple[str, ...]:
    why = case_view.why_not(case)
    return case_view.label(case.finding), case_view.place(case.finding), f"{why.reason}: {why.detail}" if why.detail else why.reason


def _finding(finding: Finding) -> tuple[str, ...]:
    return case_view.label(finding), case_view.place(finding), finding.severity, finding.headline
