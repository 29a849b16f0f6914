"""What two scans have in common: which findings are gone, which remain or moved, which are new. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from remediator.diff import FileChange, LineMap
from remediator.records.finding import Finding, Location
from remediator.records.scan import ScanReport

# Families so wide that sharing one says nothing.
_WIDE_CWE = frozenset((16, 19, 20, 74, 254, 264, 284, 399, 657, 664, 682, 691, 693, 697, 703, 707, 710, 937, 1000, 1035))


class Comparison(NamedTuple):
    """Two scans of the changed files, side by side. `before` and `after` count their findings.

    `altered` are findings of the base that are still there with another text around them.
    """

    before: int
    after: int
    remains: tuple[Finding, ...]
    moved: tuple[Finding, ...]
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    altered: tuple[Finding, ...]


def compared(finding: Finding, before: ScanReport, after: ScanReport, changes: Sequence[FileChange]) -> Comparison:
    """Compare the reports on the files that changed, with an eye on one finding."""
    maps = {change.path: LineMap(change) for change in changes}
    touched = {path for change in changes for path in change.touched}
    old = [item for item in before.findings if item.path in touched]
    new = [item for item in after.findings if item.path in touched]
    gone, come = _unmatched(old, new), _unmatched(new, old)
    region = _region(finding, maps)
    remains = _remains(finding, new, come, region, maps, bool(_count(old, finding.key) <= _count(new, finding.key)))
    rest = [item for item in come if item not in remains]
    moved = [item for item in rest if _is_same_flaw_elsewhere(finding, item)]
    altered, really_new = _altered([item for item in gone if item.key != finding.key], [item for item in rest if item not in moved], maps)
    return Comparison(len(old), len(new), tuple(remains), tuple(moved), tuple(really_new), tuple(gone), tuple(altered))


def same_flaw(one: Finding, other: Finding) -> bool:
    """Return whether two findings of one tree are about the same weakness at the same place."""
    if one.location is None or other.location is None or one.path != other.path:
        return False
    return _overlap(_lines(one.location), _lines(other.location)) and bool(set(one.cwe) & set(other.cwe) - _WIDE_CWE)


def _lines(location: Location) -> range:
    return range(location.start_line, max(location.start_line, location.end_line) + 1)


def _count(findings: Sequence[Finding], key: str) -> int:
    return sum(item.key == key for item in findings)


def _unmatched(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Return those of `findings` beyond what `others` has of the same key, the last of each key first to be left over."""
    left = Counter(item.key for item in others)
    found = []
    for item in findings:
        left[item.key] -= 1
        if left[item.key] < 0:
            found.append(item)
    return found


def _region(finding: Finding, maps: Mapping[str, LineMap]) -> range:
    if finding.location is None or finding.path not in maps:
        return range(0)
    return maps[finding.path].region(finding.location.start_line, max(finding.location.start_line, finding.location.end_line))


def _remains(
    finding: Finding, new: Sequence[Finding], come: Sequence[Finding], region: range, maps: Mapping[str, LineMap], no_fewer: bool
) -> list[Finding]:
    """Return what shows that the flaw is still at its place: its own key, its rule, or its weakness under another rule."""
    if finding.location is None:
        return []
    same_key = [item for item in new if item.key == finding.key]
    if same_key and no_fewer:
        return same_key
    stayed = maps[finding.path].moved(finding.location.start_line) if finding.path in maps else None
    weaknesses = set(finding.cwe) - _WIDE_CWE
    found = []
    for item in new:
        if item.path != finding.path or item.location is None:
            continue
        if not _overlap(_lines(item.location), region):
            continue
        same_place = item.key == finding.key and stayed == item.location.start_line
        same_rule = item.rule_id == finding.rule_id and item.scanner == finding.scanner and item in come
        same_weakness = bool(weaknesses.intersection(item.cwe)) and (item in come or _is_other_rule(item, finding))
        if same_place or same_rule or same_weakness:
            found.append(item)
    return found


def _is_other_rule(item: Finding, finding: Finding) -> bool:
    return (item.scanner, item.rule_id) != (finding.scanner, finding.rule_id)


def _overlap(one: range, other: range) -> bool:
    return bool(one) and bool(other) and one.start < other.stop and other.start < one.stop


def _is_same_flaw_elsewhere(finding: Finding, item: Finding) -> bool:
    same_rule = (item.scanner, item.rule_id) == (finding.scanner, finding.rule_id)
    return same_rule and (_squeezed(item.snippet) == _squeezed(finding.snippet) or item.path != finding.path)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _altered(gone: Sequence[Finding], come: Sequence[Finding], maps: Mapping[str, LineMap]) -> tuple[list[Finding], list[Finding]]:
    """Pair findings that came with ones that went, of the same rule at the same place: the line around them changed, no more."""
    left = list(gone)
    altered: list[Finding] = []
    really_new: list[Finding] = []
    for item in come:
        twin = next((old for old in left if _is_twin(old, item, maps)), None)
        if twin is None:
            really_new.append(item)
        else:
            left.remove(twin)
            altered.append(item)
    return altered, really_new


def _is_twin(old: Finding, new: Finding, maps: Mapping[str, LineMap]) -> bool:
    if (old.scanner, old.rule_id, old.path) != (new.scanner, new.rule_id, new.path) or new.location is None:
        return False
    return _overlap(_lines(new.location), _region(old, maps))
