"""OpenVEX 0.2.0. Nothing is ever called `fixed` or `not_affected` here: a patch that was proven elsewhere is not yet applied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from remediator import __version__
from remediator.clearinghouse.exports import told
from remediator.clearinghouse.exports.product import Product, component_purl
from remediator.clearinghouse.sbom import Component, Match
from remediator.clearinghouse.wire.answers import Flaw, Published

CONTEXT = "https://openvex.dev/ns/v0.2.0"


def document(published: told.Given, *, publisher: str, at: datetime) -> dict[str, Any]:
    """Return the document: a statement for each flaw. Raises ValueError where there is nothing to tell."""
    found = told.several(published)
    told.not_nothing(found)
    statements = []
    for flaw, fixes in told.by_flaw(found):
        product = Product(flaw)
        purl = product.at(product.shown_in)
        why = "" if product.shown_in else "Which versions are affected was not told."
        statements.append(_statement(flaw, fixes, {"@id": purl, "identifiers": {"purl": purl}}, why, affected=bool(product.shown_in)))
    return _document(statements, publisher, at)


def of_matches(matches: Sequence[Match], *, publisher: str, at: datetime) -> dict[str, Any]:
    """Return the document about an operator's own components. Raises ValueError where there is nothing to tell."""
    told.not_nothing([match.published for match in matches])
    groups: dict[tuple[Component, str], list[Match]] = {}
    for match in matches:
        groups.setdefault((match.component, match.published.flaw.id), []).append(match)
    statements = []
    for (component, _), found in groups.items():
        why = f"{found[0].level}: {told.line(found[0].why)}."
        fixes = [match.published for match in found]
        affected = any(match.affected for match in found)
        statements.append(_statement(told.joined(fixes), fixes, _product(component), why, affected=affected))
    return _document(_once(statements), publisher, at)


def _once(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # A bill may list a component twice; the schema wants each statement once.
    return list({told.identity("statement", each): each for each in statements}.values())


def _product(component: Component) -> dict[str, Any]:
    named = [component.purl or component.repositories, component.version, component.name]
    return {"@id": told.identity("component", named).urn, "identifiers": {"purl": component_purl(component)}}


def _statement(flaw: Flaw, fixes: Sequence[Published], product: dict[str, Any], why: str, *, affected: bool) -> dict[str, Any]:
    name, *aliases = told.names(flaw)
    statement: dict[str, Any] = {
        "vulnerability": {"name": name, "description": told.title(flaw), **({"aliases": aliases} if aliases else {})},
        "products": [product],
        "timestamp": told.stamp(min(each.published_at for each in fixes)),
        "last_updated": told.stamp(told.changed_at(fixes)),
        "status": "affected" if affected else "under_investigation",
    }
    actions = " ".join(told.action(each) for each in fixes)
    if affected:
        statement["action_statement"] = actions
        statement |= {"status_notes": why} if why else {}
    else:
        statement["status_notes"] = f"{why} {actions}"
    return statement


def _document(statements: list[dict[str, Any]], publisher: str, at: datetime) -> dict[str, Any]:
    body = {
        "@context": CONTEXT,
        "author": told.line(publisher) or "unknown",
        "timestamp": told.stamp(at),
        "version": 1,
        "tooling": f"remediator {__version__}",
        "statements": statements,
    }
    return {**body, "@id": told.identity("openvex", body).urn}
