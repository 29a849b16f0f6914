"""CycloneDX 1.6 VEX: the components concerned, and what is known about their flaws.

`rejected` is never set: a fix that was taken back says nothing against the flaw.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from remediator import __version__
from remediator.clearinghouse.exports import told
from remediator.clearinghouse.exports.product import Product, component_purl
from remediator.clearinghouse.sbom import Component, Match
from remediator.clearinghouse.wire.answers import Flaw, Published

_SEVERITIES = ("critical", "high", "medium", "low", "info")
_SOURCES = {"CVE-": ("NVD", "https://nvd.nist.gov/vuln/detail/"), "GHSA-": ("GitHub Advisories", "https://github.com/advisories/")}


def document(published: told.Given, *, publisher: str, at: datetime) -> dict[str, Any]:
    """Return the document: a vulnerability for each flaw. One without any fix is allowed, and says nothing."""
    components: dict[str, dict[str, Any]] = {}
    found = []
    for flaw, fixes in told.by_flaw(told.several(published)):
        product = Product(flaw)
        ref = product.at(product.shown_in)
        components[ref] = _component(ref, product.name, product.shown_in, ref)
        found.append(_vulnerability(flaw, fixes, publisher, [_affects(ref, product.shown_in, "affected")], shown=bool(product.shown_in)))
    return _document(list(components.values()), found, publisher, at)


def of_matches(matches: Sequence[Match], *, publisher: str, at: datetime) -> dict[str, Any]:
    """Return the document about an operator's own components."""
    components: dict[Component, dict[str, Any]] = {}
    found = []
    for flaw, fixes in told.by_flaw(match.published for match in matches):
        mine = [match for match in matches if match.published.flaw.id == flaw.id]
        affects = {}
        for match in mine:
            part = match.component
            if part not in components:
                ref = told.identity("component", list(part)).urn
                components[part] = _component(ref, told.line(part.name), told.line(part.version), component_purl(part))
            ref = components[part]["bom-ref"]
            affects[ref] = _affects(ref, told.line(part.version), "affected" if match.affected else "unknown")
        shown = any(match.affected for match in mine)
        found.append(
            _vulnerability(flaw, list({each.fix.id: each for each in fixes}.values()), publisher, list(affects.values()), shown=shown)
        )
    return _document(list(components.values()), found, publisher, at)


def _component(ref: str, name: str, version: str, purl: str) -> dict[str, Any]:
    found = {"type": "library", "bom-ref": ref, "name": name or "unknown"}
    # Longer texts are no versions that the schema takes; the reference still tells them apart.
    found |= {"version": version[:1024]} if version else {}
    return found | ({"purl": purl} if purl else {})


def _affects(ref: str, version: str, status: str) -> dict[str, Any]:
    return {"ref": ref, "versions": [{"version": version[:1024], "status": status}]} if version else {"ref": ref}


def _vulnerability(flaw: Flaw, fixes: Sequence[Published], publisher: str, affects: list[dict[str, Any]], *, shown: bool) -> dict[str, Any]:
    name, *others = told.names(flaw)
    kept = [each for each in fixes if not told.withdrawn(each)]
    properties = [
        {"name": "remediator:flaw", "value": told.line(flaw.id)},
        *({"name": "remediator:fix", "value": told.line(each.fix.id)} for each in kept),
        *({"name": "remediator:patch-digest", "value": told.patch_digest(each)} for each in kept),
        *({"name": "remediator:withdrawn-fix", "value": told.withdrawal(each)} for each in fixes if told.withdrawn(each)),
    ]
    return {
        "bom-ref": told.line(flaw.id),
        "id": name,
        "source": _source(name, publisher),
        "references": [{"id": other, "source": _source(other, publisher)} for other in others],
        "ratings": [
            {
                "source": {"name": told.line(publisher)},
                "severity": flaw.severity if flaw.severity in _SEVERITIES else "unknown",
                "method": "other",
            }
        ],
        "cwes": sorted({number for number in flaw.cwe if number > 0}),
        "description": told.title(flaw),
        "detail": told.block(flaw.details),
        "recommendation": " ".join(told.action(each) for each in fixes),
        "advisories": [{"url": url} for url in told.links(flaw)],
        "created": told.stamp(flaw.first_seen),
        "published": told.stamp(min(each.published_at for each in fixes)),
        "updated": told.stamp(told.changed_at(fixes)),
        "analysis": {
            "state": "exploitable" if shown else "in_triage",
            "response": ["workaround_available"] if kept else [],
            "detail": _analysis(kept),
        },
        "affects": affects,
        "properties": properties,
    }


def _analysis(kept: Sequence[Published]) -> str:
    if not kept:
        return "No fix is left: each that was published has been taken back."
    levels = [each.fix.level for each in kept if each.fix.level is not None]
    best = f", at best to evidence level E{max(levels)}" if levels else ""
    return f"A patch was proven{best}; it is not applied by this document."


def _source(name: str, publisher: str) -> dict[str, str]:
    for start, (source, place) in _SOURCES.items():
        if name.startswith(start) and told.is_link(f"{place}{name}"):
            return {"name": source, "url": f"{place}{name}"}
    return {"name": told.line(publisher)}


def _document(components: list[dict[str, Any]], found: list[dict[str, Any]], publisher: str, at: datetime) -> dict[str, Any]:
    body = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": told.stamp(at),
            "authors": [{"name": told.line(publisher)}],
            "tools": {"components": [{"type": "application", "name": "remediator", "version": __version__}]},
        },
        "components": components,
        "vulnerabilities": found,
    }
    return {**body, "serialNumber": told.identity("cyclonedx", body).urn}
