"""Reads an advisory in the form of OSV, which GHSA's, PyPI's and many other databases publish."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from remediator.records.advisory_parts import Link, Parts, cwe_numbers, strings
from remediator.records.affected import AffectedPackage
from remediator.records.cvss import severity_of_vector, severity_of_word
from remediator.records.finding import Severity
from remediator.records.json_node import JsonNode


def read_osv(node: JsonNode) -> Parts:
    """Return the parts of an OSV record. Raises ConfigError where a field is not of its kind."""
    affected = node.items("affected")
    withdrawn = node.text("withdrawn")
    more = node.object("database_specific")
    return Parts(
        id=node.text("id"),
        summary=node.text("summary"),
        details=node.text("details"),
        withdrawn=f"withdrawn on {withdrawn[:10]}" if withdrawn else "",
        severity=_severity(node, affected),
        aliases=(*strings(node, "aliases"), *strings(node, "upstream")),
        cwe=cwe_numbers([*strings(more, "cwe_ids"), *(word for one in affected for word in _weaknesses(one))]),
        references=tuple(Link(link.text("url"), link.text("type") or "WEB") for link in node.items("references")),
        packages=tuple(package for one in affected if (package := _package(one)) is not None),
        repositories=tuple(part.text("repo") for one in affected for part in one.items("ranges") if part.text("repo")),
    )


def _severity(node: JsonNode, affected: list[JsonNode]) -> Severity | None:
    for place in (node, *affected):
        for key in ("database_specific", "ecosystem_specific"):
            word = place.object(key).value.get("severity")
            if isinstance(word, str) and (named := severity_of_word(word)):
                return named
    listed = [one for place in (node, *affected) for one in place.items("severity")]
    # What is computed exactly goes before what is read from another version.
    for kind in ("CVSS_V3", "CVSS_V4", "CVSS_V2"):
        for one in listed:
            if one.text("type") == kind and (found := severity_of_vector(one.text("score"))):
                return found
    return next((found for one in listed if (found := severity_of_word(one.text("score")))), None)


def _weaknesses(affected: JsonNode) -> Iterator[str]:
    cwes = affected.object("database_specific").value.get("cwes")
    for one in cwes if isinstance(cwes, list) else ():
        if isinstance(one, dict) and isinstance(one.get("cweId"), str):
            yield one["cweId"]


def _package(affected: JsonNode) -> AffectedPackage | None:
    named = affected.object("package")
    purl = re.fullmatch(r"pkg:([^/]+)/([^@?#]+).*", named.text("purl"))
    name = named.text("name") or (unquote(purl[2]) if purl else "")
    if not name:
        return None
    # `PyPI:suffix` is an ecosystem with its release.
    ecosystem = named.text("ecosystem").partition(":")[0] or (purl[1] if purl else "")
    ranges = [span for part in affected.items("ranges") if part.text("type") != "GIT" for span in _spans(part)]
    return AffectedPackage(name=name, ecosystem=ecosystem, versions=strings(affected, "versions"), ranges=tuple(ranges))


def _spans(part: JsonNode) -> Iterator[str]:
    """Yield one range for each `introduced` with the event that ends it."""
    start: str | None = None
    for event in part.items("events"):
        if begun := event.text("introduced"):
            if start is not None:
                yield start
            start = f">={begun}"
        elif start is not None and (end := event.text("fixed")):
            yield f"{start},<{end}"
            start = None
        elif start is not None and (end := event.text("last_affected")):
            yield f"{start},<={end}"
            start = None
    if start is not None:
        yield start
