"""Whether a patch that was made for one finding removes another one too. Pure."""

from __future__ import annotations

from remediator.diff import LineMap, parse
from remediator.records.finding import Finding
from remediator.records.scan import ScanReport


def removes(diff: str, finding: Finding, before: ScanReport, after: ScanReport) -> bool:
    """Return whether the finding of the base is gone from the patched file. Not complete is never gone.

    A finding whose line changed around it has another key and is still there: what counts is also what is reported where it stood.
    """
    if after.unread_for(finding.scanner) or finding.path not in after.covered:
        return False
    if _count(after, finding.key) >= _count(before, finding.key):
        return False
    return not any(_is_same_flaw(finding, other) for other in after.findings if _lines(other) & _place(finding, diff))


def _count(report: ScanReport, key: str) -> int:
    return sum(finding.key == key for finding in report.findings)


def _is_same_flaw(finding: Finding, other: Finding) -> bool:
    same_rule = (other.scanner, other.rule_id) == (finding.scanner, finding.rule_id)
    return other.path == finding.path and (same_rule or bool(set(finding.cwe).intersection(other.cwe)))


def _place(finding: Finding, diff: str) -> frozenset[int]:
    """Return the lines of the patched file that stand where the finding stood."""
    change = next((change for change in parse(diff) if change.path == finding.path), None)
    if change is None or not (lines := _lines(finding)):
        return _lines(finding)
    return frozenset(LineMap(change).region(min(lines), max(lines)))


def _lines(finding: Finding) -> frozenset[int]:
    if finding.location is None:
        return frozenset()
    return frozenset(range(finding.location.start_line, max(finding.location.start_line, finding.location.end_line) + 1))
