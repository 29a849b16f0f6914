"""Tells equal findings of one file apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from remediator.records.finding import Finding


def numbered(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings in file order with ordinals set; the same key at the same place is kept once."""
    seen: Counter[str] = Counter()
    places: set[tuple[str, tuple[str, int, int, int, int]]] = set()
    result: list[Finding] = []
    for finding in sorted(findings, key=_place):
        if (finding.key, _place(finding)) in places:
            continue
        places.add((finding.key, _place(finding)))
        result.append(_with_ordinal(finding, seen[finding.key]))
        seen[finding.key] += 1
    return result


def _place(finding: Finding) -> tuple[str, int, int, int, int]:
    at = finding.location
    return (at.path, at.start_line, at.start_column, at.end_line, at.end_column) if at else ("", 0, 0, 0, 0)


def _with_ordinal(finding: Finding, ordinal: int) -> Finding:
    if finding.ordinal == ordinal:
        return finding
    parts = {
        name: getattr(finding, name) for name in type(finding).model_fields if name not in ("id", "key", "ordinal", "tool", "contract")
    }
    return Finding.at(ordinal=ordinal, **parts).model_copy(update={"tool": finding.tool, "contract": finding.contract})
