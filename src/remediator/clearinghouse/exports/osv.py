"""OSV records (schema 1.7): one for each fix, so that a fix which is taken back can be withdrawn without the flaw's being called gone.

Only the version or commit in which the flaw was shown is said to be affected. The release that a submitter names as fixed was not
replayed, so it makes no `fixed` event; it stands in `database_specific`, as what it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from remediator.clearinghouse.exports import told
from remediator.clearinghouse.exports.product import Product
from remediator.clearinghouse.wire.answers import Published

SCHEMA_VERSION = "1.7.5"


def document(published: told.Given, *, publisher: str, at: datetime) -> dict[str, Any]:
    """Return the record of one fix; of several, `{"vulns": […]}` as OSV's own interface answers."""
    if isinstance(published, Published):
        return _record(published, publisher, at)
    return {"vulns": [_record(each, publisher, at) for each in published]}


def _record(published: Published, publisher: str, at: datetime) -> dict[str, Any]:
    fix, flaw = published.fix, published.flaw
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "id": f"x_remediator-{told.line(fix.id)}",
        "modified": told.stamp(at),
        "published": told.stamp(published.published_at),
        "aliases": list(told.names(flaw)[:-1]),
        "summary": told.title(flaw),
        "details": _details(published),
        "affected": [_affected(published)],
        "references": [{"type": "WEB", "url": url} for url in told.links(flaw)],
        "database_specific": {
            "publisher": told.line(publisher),
            "flaw": told.line(flaw.id),
            "fix": told.line(fix.id),
            "cwe_ids": [f"CWE-{number}" for number in flaw.cwe],
            "severity": told.line(flaw.severity),
            "evidence_level": f"E{fix.level}" if fix.level is not None else None,
            "names_as_said_by_submitter": told.is_named_by_submitter(published),
            "patch_digest": told.patch_digest(published),
            "fixed_version_as_said_by_submitter": told.line(fix.fixed_version) or None,
        },
    }
    if told.withdrawn(published):
        record["withdrawn"] = told.stamp(fix.updated_at)
        record["summary"] = f"Withdrawn fix: {record['summary']}"
    return record


def _details(published: Published) -> str:
    return "\n\n".join(filter(None, (told.action(published), told.block(published.flaw.details))))


def _affected(published: Published) -> dict[str, Any]:
    product = Product(published.flaw)
    found: dict[str, Any] = {}
    if product.ecosystem is not None:
        found["package"] = {**product.ecosystem._asdict(), "purl": product.purl}
        if product.version:
            found["versions"] = [product.version]
    if product.repository and product.commit:
        # Until when is not known, and nobody has said: an open end, as the schema has it.
        found["ranges"] = [{"type": "GIT", "repo": product.repository, "events": [{"introduced": product.commit}]}]
    if "package" not in found:
        found["database_specific"] = {"project": product.name, "purl": product.at(product.shown_in)}
        if product.version and "ranges" in found:
            found["versions"] = [product.version]
    return found
