"""Turns semgrep's report into findings, and what it says of failures into unchecked files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from remediator.records import Finding, Location, Severity, SuggestedFix, TextEdit, TraceStep, Unchecked
from remediator.records.ordinals import numbered
from remediator.records.source_text import SourceText
from remediator_semgrep.rule_set import RuleSet
from remediator_semgrep.targets import Target, normalised

_LEVELS = {"critical": "critical", "error": "high", "high": "high", "warning": "medium", "medium": "medium", "low": "low"}
_CWE = re.compile(r"CWE-?(\d{1,5})", re.IGNORECASE)
_SNIPPET = 10_000
_MESSAGE = 2_000
_STEPS = 100


class Reader(NamedTuple):
    """What is needed to read a report: whose it is, and the files that it speaks of by their names on disk."""

    scanner: str
    rules: RuleSet
    there: Mapping[str, Target]
    read: Callable[[str], bytes]

    def findings(self, report: Mapping[str, Any]) -> Iterator[Finding | Unchecked]:
        """Yield the report's findings, in file order with ordinals, and what could not be placed."""
        by_file: dict[str, list[Mapping[str, Any]]] = {}
        for result in report.get("results", ()):
            by_file.setdefault(_name(result), []).append(result)
        for name, results in sorted(by_file.items()):
            target = self.there.get(name)
            if target is None:
                yield Unchecked(
                    scanner=self.scanner, path="", reason="scanner-error", detail=f"semgrep names a file that is not there: {name!r}"
                )
                continue
            yield from self._in_file(target, results)

    def unchecked(self, report: Mapping[str, Any]) -> Iterator[Unchecked]:
        """Yield what the report says of files that were not read to the end, and every file that it does not mention as scanned."""
        told: set[str] = set()
        for error in report.get("errors", ()):
            name = _strip(str(error.get("path", "")))
            target = self.there.get(name)
            told.add(name)
            path = target.path if target else ""
            yield Unchecked(scanner=self.scanner, path=path, reason=_reason(error), detail=_detail(error))
        for skipped in report.get("paths", {}).get("skipped") or ():
            name = _name(skipped)
            if name in self.there and name not in told:
                told.add(name)
                detail = f"semgrep skipped it: {skipped.get('reason', 'no reason given')}"
                yield Unchecked(scanner=self.scanner, path=self.there[name].path, reason="scanner-error", detail=detail)
        scanned = {_strip(str(name)) for name in report.get("paths", {}).get("scanned") or ()}
        for name in self.there.keys() - scanned - told:
            yield Unchecked(scanner=self.scanner, path=self.there[name].path, reason="scanner-error", detail="semgrep did not read it")

    def _in_file(self, target: Target, results: list[Mapping[str, Any]]) -> Iterator[Finding | Unchecked]:
        data = self.read(target.path)
        seen = SourceText(normalised(data) if target.is_python else data)
        source = _Source(target.path, seen, SourceText(data))
        findings: list[Finding] = []
        for result in results:
            try:
                findings.append(self._finding(source, result))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                detail = f"semgrep reports {result.get('check_id')} at a place that is not in the file: {error}"
                yield Unchecked(scanner=self.scanner, path=target.path, reason="scanner-error", detail=detail)
        yield from numbered(findings)

    def _finding(self, source: _Source, result: Mapping[str, Any]) -> Finding:
        extra = result["extra"]
        metadata = extra.get("metadata") or {}
        location = source.location(result)
        return Finding.at(
            rule_id=self.rules.id_of(str(result["check_id"])),
            scanner=self.scanner,
            message=" ".join(str(extra.get("message", "")).split())[:_MESSAGE],
            location=location,
            snippet=source.own.text(location)[:_SNIPPET],
            severity=severity_of(metadata.get("severity"), extra.get("severity")),
            cwe=cwe_of(metadata.get("cwe")),
            trace=tuple(self._trace(extra.get("dataflow_trace") or {})),
            fixes=source.fixes(result, location),
            references=tuple(str(reference) for reference in _listed(metadata.get("references")))[:10],
        )

    def _trace(self, trace: Mapping[str, Any]) -> Iterator[TraceStep]:
        steps = [("hostile data comes in", trace.get("taint_source"))]
        steps += [("it passes here", {"location": step.get("location", {})}) for step in trace.get("intermediate_vars") or ()]
        steps += [("it does harm here", trace.get("taint_sink"))]
        for message, step in steps[:_STEPS]:
            place = _place(step)
            target = self.there.get(_name(place)) if place else None
            if place and target:
                source = SourceText(self.read(target.path))
                yield TraceStep(location=_Source(target.path, source, source).location(place), message=message)


class _Source(NamedTuple):
    path: str
    seen: SourceText
    own: SourceText

    def location(self, result: Mapping[str, Any]) -> Location:
        start, end = self._offset(result["start"]), self._offset(result["end"])
        return self.own.location(self.path, start, end)

    def _offset(self, position: Mapping[str, Any]) -> int:
        # Lines and columns are semgrep's contract (columns in bytes); its offsets have changed their unit before.
        line = int(position["line"])
        at = self.seen.offset(line, 1) + int(position["col"]) - 1
        if line > 1 and line <= self.seen.line_count and at > len(self.seen.data):
            raise ValueError(f"line {line} has no byte {position['col']}")
        return at + len(self.own.data) - len(self.seen.data)

    def fixes(self, result: Mapping[str, Any], location: Location) -> tuple[SuggestedFix, ...]:
        text = result["extra"].get("fix")
        if not isinstance(text, str):
            return ()
        return (SuggestedFix(description="the rule's own fix", edits=(TextEdit(location=location, text=text),)),)


def severity_of(*words: object) -> Severity:
    """Return the severity that the first known of these words means: our five, or semgrep's own."""
    for word in words:
        text = str(word or "").lower()
        if text == "info":
            return Severity.info if word is words[0] else Severity.low
        if text in _LEVELS:
            return Severity(_LEVELS[text])
    return Severity.medium


def cwe_of(value: object) -> tuple[int, ...]:
    """Return the CWE numbers that a rule's metadata names."""
    found = (match for item in _listed(value) for match in _CWE.findall(str(item)))
    return tuple(dict.fromkeys(int(number) for number in found))


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _place(step: object) -> Mapping[str, Any] | None:
    """Return the location in one step of a trace, whichever of semgrep's shapes it has."""
    if isinstance(step, list) and step and step[0] in ("CliLoc", "CliCall"):
        inner = step[1]
        step = inner[0] if isinstance(inner, list) and inner else None
        step = step[0] if isinstance(step, list) and step else step
    if isinstance(step, dict) and isinstance(step.get("location"), dict):
        step = step["location"]
    return step if isinstance(step, dict) and "start" in step and "end" in step else None


def _name(item: Mapping[str, Any]) -> str:
    return _strip(str(item.get("path", "")))


def _strip(name: str) -> str:
    return name.removeprefix("./")


def _reason(error: Mapping[str, Any]) -> str:
    kind = error.get("type", "")
    word = str(kind[0] if isinstance(kind, list) and kind else kind).lower()
    if "timeout" in word or "memory" in word or "overflow" in word or "toomany" in word.replace(" ", ""):
        return "timeout" if "timeout" in word else "scanner-error"
    if "pars" in word or "syntax" in word or "lexical" in word or "ast" in word:
        return "parse-error"
    return "scanner-error"


def _detail(error: Mapping[str, Any]) -> str:
    text = str(error.get("message") or error.get("long_msg") or error.get("type") or "no message")
    return " ".join(text.split())[:500]
