"""A finding in somebody's own words: what is wrong, and, where they know it, which weakness it is and where."""

from __future__ import annotations

import re

from remediator.errors import UsageError
from remediator.records.finding import DESCRIBED, Finding, Location, Severity
from remediator.redact import printable

_MOST_TEXT = 16_000


def described(text: str, *, cwe: tuple[int, ...] = (), at: str = "", contract: str = "", severity: Severity = Severity.medium) -> Finding:
    """Return the finding that a description makes. Raises UsageError where it says nothing, too much, or names no place by `at`."""
    plain = text.strip()
    if not plain:
        raise UsageError("the description is empty", hint="say what is wrong, and what an attacker gains by it")
    if len(plain) > _MOST_TEXT:
        raise UsageError(f"the description has {len(plain)} characters, {_MOST_TEXT} are taken", hint="say it shorter")
    place = location_of(at) if at else None
    made = Finding.at(rule_id="described", scanner=DESCRIBED, message=plain, location=place, snippet="", severity=severity, cwe=cwe)
    return made.model_copy(update={"contract": contract.strip()})


def location_of(text: str) -> Location:
    """Return the place that `path` or `path:line` names; without a line, the file's first. Raises UsageError where it is none."""
    path, colon, line = text.rpartition(":")
    if not (colon and line.isdecimal()):
        path, line = text, "1"
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or "" in parts or not 0 < int(line) < 10_000_000:
        raise UsageError(f"{printable(text)!r} is no place in the target", hint="name a file as the target does: package/module.py:12")
    return Location(path=re.sub(r"^(?:\./)+", "", path), start_line=int(line), end_line=int(line))
