"""Reads a CVE record of version 5."""

from __future__ import annotations

import re
from collections.abc import Iterator

from remediator.records.advisory_parts import Link, Parts, cwe_numbers, score
from remediator.records.affected import AffectedPackage
from remediator.records.cvss import severity_of_score, severity_of_vector, severity_of_word
from remediator.records.finding import Severity
from remediator.records.json_node import JsonNode

_KINDS = {"patch": "FIX", "issue-tracking": "REPORT", "exploit": "EVIDENCE", "vendor-advisory": "ADVISORY"}
_ANY = ("", "*", "0", "n/a", "unspecified", "unknown")


def read_cve(node: JsonNode) -> Parts:
    """Return the parts of a CVE record, its publisher's words first. Raises ConfigError where a field is not of its kind."""
    meta, containers = node.object("cveMetadata"), node.object("containers")
    cna = containers.object("cna")
    places = [cna, *containers.items("adp")]
    products = [one for place in places for one in place.items("affected")]
    state = meta.text("state")
    return Parts(
        id=meta.text("cveId"),
        summary=cna.text("title"),
        details="\n\n".join(_english(cna.items("descriptions"), "value")),
        withdrawn=f"its state is {state}" if state not in ("", "PUBLISHED") else "",
        severity=next((found for place in places if (found := _severity(place))), None),
        aliases=tuple(_aliases(cna)),
        cwe=cwe_numbers(word for place in places for word in _weaknesses(place)),
        references=tuple(_link(one) for place in places for one in place.items("references")),
        packages=tuple(package for one in products if (package := _package(one)) is not None),
        repositories=tuple(one.text("repo") for one in products if one.text("repo")),
    )


def _english(texts: list[JsonNode], key: str) -> Iterator[str]:
    for one in texts:
        if one.text("lang").lower().startswith("en") or not one.text("lang"):
            yield one.text(key)


def _severity(place: JsonNode) -> Severity | None:
    for metric in place.items("metrics"):
        for version in ("cvssV3_1", "cvssV3_0", "cvssV4_0", "cvssV2_0"):
            rated = metric.object(version)
            number = score(rated, "baseScore")
            found = (
                severity_of_word(rated.text("baseSeverity"))
                or severity_of_vector(rated.text("vectorString"))
                or (severity_of_score(number) if number is not None else None)
            )
            if found:
                return found
    return None


def _aliases(cna: JsonNode) -> Iterator[str]:
    source = cna.object("source")
    if isinstance(advisory := source.value.get("advisory"), str):
        yield advisory
    for link in cna.items("references"):
        yield from re.findall(r"GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d+", link.text("url"))


def _weaknesses(place: JsonNode) -> Iterator[str]:
    for kind in place.items("problemTypes"):
        for one in kind.items("descriptions"):
            yield one.text("cweId") or one.text("description").partition(" ")[0].rstrip(":")


def _link(one: JsonNode) -> Link:
    tags = one.value.get("tags")
    kinds = [_KINDS[tag] for tag in tags if tag in _KINDS] if isinstance(tags, list) else []
    return Link(one.text("url"), kinds[0] if kinds else "WEB")


def _package(product: JsonNode) -> AffectedPackage | None:
    """Return the product. Only one with a package index's address is known by its exact name; all others are words."""
    index = re.search(r"(?:pypi|npmjs|rubygems|crates|nuget|packagist|maven)", product.text("collectionURL").lower())
    exact = product.text("packageName") if index else ""
    name = exact or product.text("packageName") or product.text("product")
    if name.lower() in _ANY:
        return None
    ecosystem = index[0] if index and exact else ""
    spans = [span for one in product.items("versions") if (one.text("status") or "affected") == "affected" for span in _spans(one)]
    return AffectedPackage(name=name, ecosystem=ecosystem, ranges=tuple(spans))


def _spans(version: JsonNode) -> Iterator[str]:
    first, below, last = version.text("version"), version.text("lessThan"), version.text("lessThanOrEqual")
    if version.text("versionType") == "git":
        return
    start = "" if first.lower() in _ANY else f">={first}"
    if below or last:
        end = "" if "*" in (below, last) else f"<{below}" if below else f"<={last}"
        yield ",".join(part for part in (start, end) if part) or ">=0"
    elif first.lower() in ("*", "0"):
        yield ">=0"
    elif start:
        # Many write a whole range where one version should stand.
        yield first if re.search(r"[<>=]", first) else f"=={first}"
