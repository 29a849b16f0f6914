"""The JSON documents that commands print: whole, or some of their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from remediator.cli import case_view, json_fields
from remediator.cli.fix_class import class_of
from remediator.cli.session import Session
from remediator.errors import UsageError
from remediator.records.case import Case
from remediator.records.verdict import Verdict

if TYPE_CHECKING:
    from remediator.engine.request import RunReport

SCHEMA_VERSION = 1
Document = dict[str, Any]


def run_document(report: RunReport, exit_code: int) -> Document:
    """Return a run as plain JSON."""
    scan = report.scan
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": report.run_id,
        "target": report.target,
        "source": report.source.as_json() if report.source else None,
        "findings": [finding.as_json() for finding in scan.known] if scan else [],
        "left_out": report.left_out,
        "cases": [case_document(case) for case in case_view.ordered(report.cases)],
        "scanners": dict(scan.scanners) if scan else {},
        "unchecked": [item.as_json() for item in scan.unchecked] if scan else [],
        "uncovered": dict(scan.uncovered) if scan else {},
        "could_not_check": list(report.could_not_check),
        "interrupted": report.interrupted,
        "budget_hit": report.budget_hit,
        "spend": report.spend.as_json(),
        "usd_per_fix": None if report.usd_per_fix is None else str(report.usd_per_fix),
        "resumed": report.resumed,
        "seconds": report.seconds,
        "exit_code": int(exit_code),
    }


def case_document(case: Case) -> Document:
    """Return a case as plain JSON, with what is derived from it."""
    plain = case.as_json()
    why = case_view.why_not(case)
    derived = {
        "state": case.state.value,
        "fixed": case.fixed,
        "fix_class": class_of(case).value,
        "level": case.best[1].level.name if case.best and case.best[1].level is not None else None,
        "reason": why.reason.value,
        "detail": why.detail,
    }
    plain.pop("closed")
    return {name: {**plain, **derived}[name] for name in json_fields.CASE}


def verdict_document(verdict: Verdict, bundle_path: str, bundle_digest: str, exit_code: int) -> Document:
    """Return a verdict as plain JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict.as_json(),
        "sufficient": verdict.sufficient,
        "bundle_path": bundle_path,
        "bundle_digest": bundle_digest,
        "exit_code": int(exit_code),
    }


def print_json(session: Session, document: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print a document, or those of its fields that were asked for. Raises UsageError naming the fields that there are."""
    import click

    click.echo(to_text(selected(document, session.json or ())))


def selected(document: Mapping[str, Any] | Sequence[Mapping[str, Any]], fields: Sequence[str]) -> Any:
    """Return the document with these fields only; of a list, each of its items."""
    if not fields:
        return document
    if isinstance(document, Mapping):
        if unknown := [name for name in fields if name not in document]:
            raise UsageError(f"--json: no field {unknown[0]!r}", hint=f"there is: {', '.join(document)}")
        return {name: document[name] for name in fields}
    return [selected(item, fields) for item in document]


def to_text(document: Any) -> str:
    """Return JSON in which no character can act on a terminal."""
    return json.dumps(document, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f")
