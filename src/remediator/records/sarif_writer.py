"""Findings as a SARIF 2.1.0 log: one run for each tool, and fixes only where they are proven."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from remediator.records.finding import Finding, Location, SuggestedFix
from remediator.records.record import Record
from remediator.records.scan import Unchecked
from remediator.records.verdict import EvidenceLevel
from remediator.redact import printable

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0", "info": "0.0"}
_RUNS, _RESULTS, _RULES, _STEPS, _TAGS, _BYTES = 20, 25_000, 25_000, 10_000, 20, 10 * 1024 * 1024


class SarifNote(Record):
    """What remediator has to say of a finding: the evidence level of its fix, why it stands where it stands, and its case."""

    level: EvidenceLevel | None = None
    outcome: str = ""
    reason: str = ""
    case: str = ""


def to_sarif(
    findings: Sequence[Finding],
    *,
    fixes: Mapping[str, SuggestedFix] | None = None,
    notes: Mapping[str, SarifNote] | None = None,
    unchecked: Sequence[Unchecked] = (),
    tools: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a log with one run for each tool that found something or could not check something.

    `fixes` maps finding ids to proven fixes, and only these are written: what a tool merely suggested is left out. `tools` maps
    tool or scanner names to versions; one that found nothing gets an empty run. The order is stable.
    """
    fixes, notes, tools = fixes or {}, notes or {}, tools or {}
    by_tool: dict[str, list[Finding]] = {name: [] for name in tools}
    for finding in findings:
        by_tool.setdefault(finding.tool or finding.scanner, []).append(finding)
    missed: dict[str, list[Unchecked]] = {}
    for item in unchecked:
        missed.setdefault(item.scanner, []).append(item)
    runs = [_run(name, by_tool.get(name, []), fixes, notes, missed.get(name, []), tools) for name in sorted(by_tool.keys() | missed.keys())]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": runs}


def github_limits(log: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which of GitHub's upload limits a log breaks, in words; nothing where it fits."""
    runs = log["runs"]
    told = [f"{len(runs)} runs, {_RUNS} are taken"] if len(runs) > _RUNS else []
    for run in runs:
        name = run["tool"]["driver"]["name"]
        results, rules = run.get("results", []), run["tool"]["driver"].get("rules", [])
        if len(results) > _RESULTS:
            told.append(f"{name}: {len(results)} results, {_RESULTS} are taken")
        if len(rules) > _RULES:
            told.append(f"{name}: {len(rules)} rules, {_RULES} are taken")
        if any(len(rule.get("properties", {}).get("tags", ())) > _TAGS for rule in rules):
            told.append(f"{name}: a rule with more than {_TAGS} tags")
        if any(_steps(result) > _STEPS for result in results):
            told.append(f"{name}: a result with more than {_STEPS} thread flow locations")
    if (size := _packed(log)) > _BYTES:
        told.append(f"{size} bytes when packed, {_BYTES} are taken")
    return tuple(told)


def _steps(result: Mapping[str, Any]) -> int:
    return sum(len(thread["locations"]) for flow in result.get("codeFlows", ()) for thread in flow["threadFlows"])


def _packed(log: Mapping[str, Any]) -> int:
    import gzip

    return len(gzip.compress(json.dumps(log).encode("ascii"), mtime=0))


def _run(
    tool: str,
    findings: Sequence[Finding],
    fixes: Mapping[str, SuggestedFix],
    notes: Mapping[str, SarifNote],
    missed: Sequence[Unchecked],
    tools: Mapping[str, str],
) -> dict[str, Any]:
    ordered = sorted(findings, key=_order)
    rules = sorted({finding.rule_id for finding in ordered})
    index = {rule: number for number, rule in enumerate(rules)}
    driver: dict[str, Any] = {"name": _text(tool) or "unknown", "rules": [_rule(rule, ordered) for rule in rules]}
    if version := tools.get(tool):
        driver["version"] = _text(version)
    return {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "invocations": [_invocation(missed)],
        "results": [_result(finding, index, fixes.get(finding.id), notes.get(finding.id)) for finding in ordered],
    }


def _order(finding: Finding) -> tuple[str, int, int, str, int, str]:
    at = finding.location
    return (finding.path, at.start_line if at else 0, at.start_column if at else 0, finding.rule_id, finding.ordinal, finding.id)


def _rule(rule: str, findings: Sequence[Finding]) -> dict[str, Any]:
    mine = [finding for finding in findings if finding.rule_id == rule]
    worst = min(mine, key=lambda finding: finding.severity.rank)
    cwe = sorted({number for finding in mine for number in finding.cwe})[: _TAGS - 1]
    tags = ["security", *(f"external/cwe/cwe-{number:03d}" for number in cwe)]
    entry: dict[str, Any] = {
        "id": _text(rule),
        "shortDescription": {"text": _text(worst.message)[:1000] or _text(rule)},
        "defaultConfiguration": {"level": _LEVELS[worst.severity]},
        "properties": {"tags": tags, "security-severity": _SCORES[worst.severity], "severity": str(worst.severity)},
    }
    links = [link for finding in mine for link in finding.references if link.startswith(("https://", "http://"))]
    if link := next(iter(links), f"https://cwe.mitre.org/data/definitions/{cwe[0]}.html" if cwe else ""):
        entry["helpUri"] = quote(_text(link), safe=":/?#[]@!$&'()*+,;=%-._~")
    return entry


def _result(finding: Finding, index: Mapping[str, int], fix: SuggestedFix | None, note: SarifNote | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": _text(finding.rule_id),
        "ruleIndex": index[finding.rule_id],
        "level": _LEVELS[finding.severity],
        "message": {"text": _text(finding.message) or _text(finding.rule_id)},
        "locations": [{"physicalLocation": _physical(finding.location, finding.snippet)}] if finding.location else [],
        "partialFingerprints": {"remediatorKey/v1": finding.key, "remediatorFinding/v1": finding.id},
        "properties": {"security-severity": _SCORES[finding.severity], "remediator": _said(finding, note)},
    }
    if finding.trace:
        result["codeFlows"] = [{"threadFlows": [{"locations": [_step(step.location, step.message) for step in finding.trace]}]}]
    if fix:
        result["fixes"] = [_fix(fix)]
    return result


def _said(finding: Finding, note: SarifNote | None) -> dict[str, Any]:
    said: dict[str, Any] = {"finding": finding.id, "severity": str(finding.severity), "cwe": list(finding.cwe)}
    if note:
        level = None if note.level is None else note.level.name
        said |= {"level": level, "outcome": note.outcome, "reason": note.reason, "case": note.case}
    return said


def _physical(location: Location, snippet: str = "") -> dict[str, Any]:
    region = _region(location)
    if snippet:
        region["snippet"] = {"text": _text(snippet)}
    return {"artifactLocation": _artifact(location.path), "region": region}


def _region(location: Location) -> dict[str, Any]:
    return {
        "startLine": location.start_line,
        "startColumn": location.start_column,
        "endLine": location.end_line,
        "endColumn": location.end_column,
    }


def _artifact(path: str) -> dict[str, Any]:
    # Bytes that are not UTF-8 are percent-encoded like all others; a colon in the first segment would read as a scheme.
    return {"uri": quote(path.encode("utf-8", "surrogateescape"), safe="/"), "uriBaseId": "%SRCROOT%"}


def _step(location: Location, message: str) -> dict[str, Any]:
    place: dict[str, Any] = {"physicalLocation": _physical(location)}
    if message:
        place["message"] = {"text": _text(message)}
    return {"location": place}


def _fix(fix: SuggestedFix) -> dict[str, Any]:
    by_path: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        replacement = {"deletedRegion": _region(edit.location), "insertedContent": {"text": edit.text}}
        by_path.setdefault(edit.location.path, []).append(replacement)
    changes = [{"artifactLocation": _artifact(path), "replacements": parts} for path, parts in sorted(by_path.items())]
    return {"description": {"text": _text(fix.description) or "A proven fix."}, "artifactChanges": changes}


def _invocation(missed: Sequence[Unchecked]) -> dict[str, Any]:
    invocation: dict[str, Any] = {"executionSuccessful": not any(not item.path for item in missed)}
    if missed:
        invocation["toolExecutionNotifications"] = [_notification(item) for item in _sorted(missed)]
    return invocation


def _sorted(missed: Iterable[Unchecked]) -> list[Unchecked]:
    return sorted(missed, key=lambda item: (item.path, item.reason, item.detail))


def _notification(item: Unchecked) -> dict[str, Any]:
    text = f"{item.reason}: {item.detail}" if item.detail else item.reason
    said: dict[str, Any] = {"level": "error", "message": {"text": _text(text)}, "descriptor": {"id": item.reason}}
    if item.path:
        said["locations"] = [{"physicalLocation": {"artifactLocation": _artifact(item.path)}}]
    return said


def _text(text: str) -> str:
    """Return text that any reader of JSON and any terminal can take."""
    return printable(text, keep_newlines=True)
