"""One case on one page: finding, diff, evidence ladder, what was not checked, bundle."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from remediator.cli import case_view
from remediator.cli.console import columns, safe
from remediator.cli.fix_class import class_of, warnings
from remediator.records.case import Case
from remediator.records.finding import Finding
from remediator.records.verdict import Check, EvidenceLevel, Verdict

_MOST_STEPS, _MOST_LINES = 12, 40


def print_case(out: Console, case: Case) -> None:
    """Print everything that a reviewer needs about a case."""
    print_finding(out, case)
    if case.best:
        patch, verdict = case.best
        out.print(Text(f"\n{safe(patch.fixer)}: {safe(patch.title)}", style="bold"))
        if patch.behaviour:
            out.print(f"may change: {safe(patch.behaviour)}")
        if case.choice:
            out.print(Text(safe(case_view.chosen(case.choice)), style="dim"))
        print_diff(out, patch.diff)
        print_verdict(out, verdict)
    print_reproducer(out, case)
    print_attempts(out, case)
    if case.spend.tokens:
        out.print(f"models: {case_view.money(case.spend)}, {case.spend.tokens} tokens · remediator logs {case.id}")
    if case.bundle_path:
        out.print(f"bundle: {safe(case.bundle_path)}  {safe(case.bundle_digest)}")
        out.print(f"replay: remediator replay {safe(case.bundle_path)}")
    for receipt in case.receipts:
        if receipt.delivered:
            out.print(f"handed over: {safe(receipt.sink)} {safe(receipt.location)}{' (was there already)' if receipt.duplicate else ''}")
        else:
            out.print(f"not handed over yet: {safe(receipt.sink)} {safe(receipt.detail)}")


def print_finding(out: Console, case: Case) -> None:
    """Print what is wrong, and where."""
    finding = case.finding
    why = case_view.why_not(case)
    state = f"{class_of(case)}" if case.fixed else f"{why.reason}"
    out.print(Text(f"{safe(case.id)} · {case_view.place(finding)} · {finding.severity} · {state}", style="bold"))
    cwes = ", ".join(f"CWE-{number}" for number in finding.cwe)
    out.print(f"{cwes + ' ' if cwes else ''}{safe(finding.rule_id)} ({safe(finding.scanner)}, {finding.id})")
    for line in finding.message.splitlines()[:_MOST_LINES]:
        out.print(safe(line))
    if finding.contract:
        out.print(f"must hold after the fix: {safe(finding.contract)}")
    if finding.aliases:
        out.print(Text(f"also known as {safe(', '.join(finding.aliases[:_MOST_STEPS]))}", style="dim"))
    for line in finding.snippet.splitlines()[:8]:
        out.print(Text(f"    {safe(line)}", style="dim"))
    _print_trace(out, finding)
    if not case.fixed:
        out.print(f"no proven fix: {why.reason}{': ' + safe(why.detail) if why.detail else ''}")


def print_diff(out: Console, diff: str) -> None:
    """Print a diff with colours; every line of it is hostile."""
    for line in diff.split("\n"):
        shown = safe(line.replace("\t", "    "))
        if line.startswith(("+++", "---", "diff ", "index ")):
            out.print(Text(shown, style="bold"))
        elif line.startswith("@@"):
            out.print(Text(shown, style="cyan"))
        else:
            out.print(Text(shown, style="green" if line.startswith("+") else "red" if line.startswith("-") else ""))


def print_verdict(out: Console, verdict: Verdict) -> None:
    """Print the ladder: every check with its status, then what nobody knows."""
    level = f"{verdict.level.name} {verdict.level.meaning}" if verdict.level is not None else "no level"
    level += "" if verdict.shown else ", not shown"
    enough = "enough" if verdict.sufficient else "not enough"
    out.print(Text(f"evidence: {verdict.outcome}, {level} (required: {verdict.required.name}, {enough})", style="bold"))
    for line in columns([_check_row(check) for check in verdict.checks]):
        out.print(line)
    for doubt in warnings(verdict):
        out.print(Text(f"  doubt: {safe(doubt)}", style="yellow"))
    # What did not run stands among the checks already.
    for unknown in _never_asked(verdict):
        out.print(Text(f"  not checked: {unknown}", style="yellow"))


def _never_asked(verdict: Verdict) -> list[str]:
    asked = {check.level for check in verdict.checks}
    return [f"{level.name} {level.meaning}: no such check in this playbook" for level in EvidenceLevel if level not in asked]


def print_reproducer(out: Console, case: Case) -> None:
    """Print the test that shows the flaw, or why there is none."""
    if case.reproducer is None:
        for author, why in case.unreproduced.items():
            out.print(Text(f"no reproducer by {safe(author)}: {safe(why)}", style="dim"))
        return
    out.print(
        Text(f"reproducer {case.reproducer.id} by {safe(case.reproducer.author)}: {safe(case.reproducer.claim)}".rstrip(" :"), style="bold")
    )
    for name, text in sorted(case.reproducer.files.items()):
        out.print(Text(safe(name), style="bold"))
        for line in text.split("\n"):
            out.print(Text(f"    {safe(line.replace(chr(9), '    '))}", style="dim"))


def print_attempts(out: Console, case: Case) -> None:
    """Print what else was tried, and why it fell."""
    best = case.best[0].id if case.best else ""
    for line in case_view.tried(case, but=best):
        out.print(Text(f"tried: {safe(line)}", style="dim"))


def _print_trace(out: Console, finding: Finding) -> None:
    for step in finding.trace[:_MOST_STEPS]:
        out.print(Text(f"    via {safe(step.location.path)}:{step.location.start_line} {safe(step.message)}".rstrip(), style="dim"))
    if len(finding.trace) > _MOST_STEPS:
        out.print(Text(f"    … {len(finding.trace) - _MOST_STEPS} more steps", style="dim"))


def _check_row(check: Check) -> list[Text]:
    mark, style = case_view.MARKS[check.status]
    told = f"{check.reason}: {check.summary}" if check.reason and check.summary else check.summary or check.reason
    return [Text(check.level.name), Text(mark, style=style), Text(safe(check.name)), Text(safe(told))]
