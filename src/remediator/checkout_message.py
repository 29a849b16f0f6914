"""What the commit of a fix says."""

from __future__ import annotations

from remediator.records.case import Case
from remediator.redact import printable


def commit_message(case: Case) -> str:
    """Return the title of a case's best patch, and below it which finding it fixes, where, and how far that is proven."""
    if case.best is None:
        raise ValueError(f"{case.id} has no patch")
    patch, verdict = case.best
    finding = case.finding
    what = ", ".join(f"CWE-{number}" for number in finding.cwe[:3]) or finding.rule_id
    where = f" at {finding.path}:{finding.location.start_line}" if finding.location else ""
    level = verdict.level.name if verdict.level is not None else "nothing"
    return f"{printable(patch.title)}\n\n{printable(f'Fixes {what}{where} ({case.id}), proven to {level} by remediator.')}\n"
