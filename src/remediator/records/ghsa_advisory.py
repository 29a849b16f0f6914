"""Reads an advisory as GitHub's interface tells it, global or of one repository."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.records.advisory_parts import Link, Parts, cwe_numbers, score, strings
from remediator.records.affected import AffectedPackage
from remediator.records.cvss import severity_of_score, severity_of_vector, severity_of_word
from remediator.records.finding import Severity
from remediator.records.json_node import JsonNode


def read_ghsa(node: JsonNode) -> Parts:
    """Return the parts of such an advisory. Raises ConfigError where a field is not of its kind."""
    vulnerable = node.items("vulnerabilities")
    named = sorted({name for one in vulnerable for name in strings(one, "vulnerable_functions")})
    details = node.text("description")
    return Parts(
        id=node.text("ghsa_id"),
        summary=node.text("summary"),
        details="\n\n".join(part for part in (details, f"Functions named: {', '.join(named[:50])}" if named else "") if part),
        withdrawn=_withdrawn(node),
        severity=_severity(node),
        aliases=(node.text("cve_id"), *(one.text("value") for one in node.items("identifiers"))),
        cwe=cwe_numbers([*strings(node, "cwe_ids"), *(one.text("cwe_id") for one in node.items("cwes"))]),
        references=tuple(_links(node)),
        packages=tuple(package for one in vulnerable if (package := _package(one)) is not None),
        repositories=(node.text("source_code_location"),) if node.text("source_code_location") else (),
    )


def _withdrawn(node: JsonNode) -> str:
    if when := node.text("withdrawn_at"):
        return f"withdrawn on {when[:10]}"
    state = node.text("state")
    return f"its state is {state}" if state in ("withdrawn", "closed") else ""


def _severity(node: JsonNode) -> Severity | None:
    if found := severity_of_word(node.text("severity")):
        return found
    rated = node.object("cvss_severities")
    for one in (rated.object("cvss_v3"), node.object("cvss"), rated.object("cvss_v4")):
        if found := severity_of_vector(one.text("vector_string")):
            return found
        if (number := score(one, "score")) is not None:
            return severity_of_score(number)
    return None


def _links(node: JsonNode) -> Iterator[Link]:
    listed = node.child("references")
    if listed.value is not None and not isinstance(listed.value, list):
        listed.refuse("an array")
    for value in listed.value or ():
        url = value.get("url") if isinstance(value, dict) else value
        if isinstance(url, str):
            yield Link(url)
    yield Link(node.text("html_url"), "ADVISORY")


def _package(vulnerable: JsonNode) -> AffectedPackage | None:
    package = vulnerable.object("package")
    if not package.text("name"):
        return None
    spans = [span.strip() for span in vulnerable.text("vulnerable_version_range").split("||")]
    return AffectedPackage(name=package.text("name"), ecosystem=package.text("ecosystem"), ranges=tuple(span for span in spans if span))
