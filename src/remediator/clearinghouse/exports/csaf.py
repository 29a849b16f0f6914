"""CSAF 2.0, profile "Security Advisory", with what the VEX profile asks for in each vulnerability.

A patch from somebody other than the vendor is a `mitigation`, for `vendor_fix` is the vendor's word. CWE ids stand in a note, since the
format wants the catalogue's exact name beside each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from remediator import __version__
from remediator.clearinghouse.exports import told
from remediator.clearinghouse.exports.product import Product
from remediator.clearinghouse.wire.answers import Flaw, Published
from remediator.clearinghouse.wire.terms import Tlp

# CSAF 2.0 knows the labels of TLP 1 only.
_LABELS = {Tlp.clear: "WHITE", Tlp.green: "GREEN", Tlp.amber: "AMBER", Tlp.red: "RED"}
_SYSTEMS = {"CVE-": "CVE", "GHSA-": "GitHub Advisory Database", "PYSEC-": "PyPI Advisory Database", "RUSTSEC-": "RustSec", "GO-": "Go"}


def document(published: told.Given, *, publisher: str, at: datetime, namespace: str = "") -> dict[str, Any]:
    """Return the document: a vulnerability for each flaw. Raises ValueError where there is nothing to tell.

    `namespace` is a web address of the publisher's own; without one a name is made that belongs to nobody else.
    """
    found = told.several(published)
    told.not_nothing(found)
    flaws = told.by_flaw(found)
    products = {flaw.id: (f"product-{number}", Product(flaw)) for number, (flaw, _) in enumerate(flaws, 1)}
    seen: set[str] = set()
    return {
        "document": _head(found, flaws, publisher, at, namespace),
        "product_tree": {"full_product_names": [_product(*each) for each in products.values()]},
        "vulnerabilities": [_vulnerability(flaw, fixes, *products[flaw.id], publisher, seen) for flaw, fixes in flaws],
    }


def _head(
    found: Sequence[Published], flaws: Sequence[tuple[Flaw, list[Published]]], publisher: str, at: datetime, namespace: str
) -> dict[str, Any]:
    name, tlp = told.line(publisher) or "unknown", told.strictest(found)
    titles = told.title(flaws[0][0]) if len(flaws) == 1 else f"{len(flaws)} flaws with fixes"
    gone = all(told.withdrawn(each) for each in found)
    return {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "lang": "en",
        "title": f"Withdrawn fix: {titles}" if gone else titles,
        "distribution": {
            "text": f"TLP:{tlp.value.upper()} (Traffic Light Protocol 2.0)",
            "tlp": {"label": _LABELS[tlp], "url": "https://www.first.org/tlp/"},
        },
        "notes": [
            {
                "category": "general",
                "title": "What this is",
                "text": "Fixes that a clearinghouse replayed itself before it gave them out. It is not the vendor of the products.",
            }
        ],
        "publisher": {
            "category": "coordinator",
            "name": name,
            "namespace": namespace if told.is_link(namespace) else f"urn:uuid:{told.identity('publisher', name)}",
        },
        "tracking": _tracking(found, at),
    }


def _tracking(found: Sequence[Published], at: datetime) -> dict[str, Any]:
    first, last = min(each.published_at for each in found), told.changed_at(found)
    history = [{"number": "1", "date": told.stamp(first), "summary": "Published."}]
    if told.stamp(last) != told.stamp(first):
        gone = [told.withdrawal(each) for each in found if told.withdrawn(each)]
        history.append({"number": "2", "date": told.stamp(last), "summary": " ".join(gone)[:4000] or "Changed."})
    ids = sorted(told.line(each.fix.id) for each in found)
    return {
        "id": f"remediator-{ids[0]}" if len(ids) == 1 else f"remediator-{told.identity('csaf', ids)}",
        "status": "final",
        "version": history[-1]["number"],
        "initial_release_date": told.stamp(first),
        "current_release_date": told.stamp(last),
        "revision_history": history,
        "generator": {"date": told.stamp(at), "engine": {"name": "remediator", "version": __version__}},
    }


def _product(ident: str, product: Product) -> dict[str, Any]:
    purl = product.at(product.shown_in)
    return {
        "product_id": ident,
        "name": f"{product.name} {product.shown_in}".strip(),
        "product_identification_helper": {"purl": purl},
    }


def _vulnerability(flaw: Flaw, fixes: Sequence[Published], ident: str, product: Product, publisher: str, seen: set[str]) -> dict[str, Any]:
    names = told.names(flaw)
    # The format wants a CVE id in no more than one vulnerability of a document; any further one stands among the other ids.
    cve = next((name for name in names if told.is_cve(name) and name not in seen), None)
    found: dict[str, Any] = {
        "title": told.title(flaw),
        "ids": [{"system_name": _system(name, publisher), "text": name} for name in names if name != cve],
        "notes": _notes(flaw),
        "product_status": {"known_affected" if product.shown_in else "under_investigation": [ident]},
        "remediations": [_remediation(each, ident) for each in fixes],
        "release_date": told.stamp(min(each.published_at for each in fixes)),
    }
    if cve is not None:
        seen.add(cve)
        found["cve"] = cve
    links = told.links(flaw)
    if links:
        found["references"] = [{"category": "external", "summary": url, "url": url} for url in links]
    return found


def _notes(flaw: Flaw) -> list[dict[str, str]]:
    notes = [{"category": "description", "title": "Summary", "text": told.title(flaw)}]
    if told.block(flaw.details):
        notes.append({"category": "details", "title": "Details", "text": told.block(flaw.details)})
    if flaw.cwe:
        notes.append({"category": "other", "title": "Weakness", "text": ", ".join(f"CWE-{number}" for number in flaw.cwe)})
    notes.append({"category": "other", "title": "Severity", "text": told.line(flaw.severity) or "unknown"})
    return notes


def _remediation(published: Published, ident: str) -> dict[str, Any]:
    gone = told.withdrawn(published)
    date = published.fix.updated_at if gone else published.published_at
    return {
        "category": "none_available" if gone else "mitigation",
        "details": told.action(published),
        "date": told.stamp(date),
        "product_ids": [ident],
    }


def _system(name: str, publisher: str) -> str:
    return next((system for start, system in _SYSTEMS.items() if name.startswith(start)), told.line(publisher) or "unknown")
