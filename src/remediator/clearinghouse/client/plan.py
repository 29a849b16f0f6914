"""What an operator is to do: one row for each component that a fix concerns, the most urgent first; for tables and for people."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from remediator.artefacts import private_folder, state_error, write_atomically
from remediator.clearinghouse.client import plan_page
from remediator.clearinghouse.exports.cyclonedx import of_matches as cyclonedx
from remediator.clearinghouse.exports.openvex import of_matches as openvex
from remediator.clearinghouse.priority.feeds import Feeds
from remediator.clearinghouse.priority.rank import AssetFacts, rank
from remediator.clearinghouse.sbom import Match
from remediator.evidence.content import json_file
from remediator.redact import printable

_SURE_FIRST = ("exact", "range", "name-only")
_SEVERITIES = ("critical", "high", "medium", "low", "info")
_FORMULA = re.compile(r"((?:\A|;)\s*)([=+\-@])")
_PATCH = re.compile(r"fix-[0-9a-f]{24}\.diff\Z")
VEX = ("vex.openvex.json", "vex.cdx.json")


class Row(NamedTuple):
    """One row: its facts by name, for tables and programs, and what it was made from."""

    facts: Mapping[str, Any]
    match: Match


def rows(matches: Sequence[Match], feeds: Feeds, exposed: bool | None) -> list[Row]:
    """Return the rows, the most urgent first. `exposed` None is: not known."""
    affected = {(match.component, match.published.flaw.id) for match in matches if match.affected}
    made = [Row(_facts(match, feeds, exposed, (match.component, match.published.flaw.id) in affected), match) for match in matches]
    return sorted(made, key=lambda row: _urgency(row.facts))


def write(out: Path, plan: Sequence[Row], page: plan_page.About, fields: Sequence[str]) -> None:
    """Write patches, VEX documents, `plan.csv` and `plan.html` into a folder, in the place of what an earlier plan left there.

    A patch that is in the plan no more, because it was withdrawn or nothing needs it, does not stay where it could be applied.
    """
    patches = private_folder(private_folder(out) / "patches")
    found = [row.match for row in plan]
    fixes = {match.published.fix.id: match.published for match in found if not match.withdrawn}
    for old in [*patches.iterdir(), *(out / name for name in VEX if not found)]:
        if old.name in VEX or (_PATCH.match(old.name) and old.stem not in fixes):
            _remove(old)
    for fix_id, told in sorted(fixes.items()):
        write_atomically(patches / f"{fix_id}.diff", told.patch.encode("utf-8", "surrogateescape"), mode=0o644)
    now = datetime.now(UTC)
    for name, document in zip(VEX, (openvex, cyclonedx), strict=True):
        if found:
            write_atomically(out / name, json_file(document(found, publisher="operator", at=now)), mode=0o644)
    write_atomically(out / "plan.csv", _csv([row.facts for row in plan], fields), mode=0o644)
    write_atomically(out / "plan.html", plan_page.page(plan, page), mode=0o644)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise state_error(error, path) from error


def _facts(match: Match, feeds: Feeds, exposed: bool | None, affected: bool) -> dict[str, Any]:
    told, flaw = match.published, match.published.flaw
    priority = rank(flaw, AssetFacts(exposed=exposed), feeds)
    return {
        "fix_id": told.fix.id,
        "component": match.component.purl or match.component.name,
        "version": match.component.version,
        "match": match.level.value,
        "why": match.why,
        "state": told.fix.state.value,
        "project": flaw.project,
        "aliases": list(flaw.aliases),
        "severity": flaw.severity,
        "level": told.fix.level,
        "shown_by": told.fix.validation.shown_by if told.fix.validation else "",
        "fixed_version": told.fix.fixed_version,
        "due_days": priority.due_days,
        "due_on": _due_on(told.published_at, priority.due_days),
        "forensics": priority.forensics,
        "timeline": priority.timeline,
        "sentence": priority.sentence,
        "assumed": list(priority.assumed),
        "patch_file": "" if match.withdrawn else f"patches/{told.fix.id}.diff",
        "vex": "affected" if affected else "under_investigation",
    }


def _due_on(published_at: datetime, days: int | None) -> str | None:
    try:
        return None if days is None else (published_at + timedelta(days=days)).astimezone(UTC).date().isoformat()
    except OverflowError:
        # Others wrote the time: one at the end of all years is none.
        return None


def _urgency(row: Mapping[str, Any]) -> tuple[Any, ...]:
    due = row["due_days"] if row["due_days"] is not None else 10_000
    # A word that is none of ours is taken for the worst.
    severity = _SEVERITIES.index(row["severity"]) if row["severity"] in _SEVERITIES else 0
    return (_SURE_FIRST.index(row["match"]), due, severity, row["fix_id"], row["component"])


def _csv(found: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> bytes:
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(fields)
    for row in found:
        writer.writerow([_cell(row[name]) for name in fields])
    return made.getvalue().encode()


def _cell(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    # A spreadsheet would run what begins like this as a formula; in some countries it begins a cell at each semicolon, too.
    return _FORMULA.sub(r"\1'\2", printable(text))
