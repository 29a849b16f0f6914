"""Reads an SBOM, and says which of its components a published fix is about. Nothing of it leaves this machine.

Formats: CycloneDX 1.x as JSON or XML, SPDX 2.2/2.3 as JSON. Components are known by their package URL; one without it cannot be matched,
and is counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from packageurl import PackageURL

from remediator.artefacts import read_regular
from remediator.clearinghouse.wire.answers import Published
from remediator.clearinghouse.wire.identity import project as normalised
from remediator.errors import UsageError

MOST_BYTES = 256 * 1024 * 1024
_DEEPEST = 200


class Component(NamedTuple):
    """One component. `ref` is its name within the SBOM."""

    purl: str
    name: str
    version: str
    ref: str = ""


class Sbom(NamedTuple):
    """The components that can be matched, and how many cannot for want of a package URL."""

    path: Path
    components: tuple[Component, ...]
    nameless: int


class How(StrEnum):
    """How sure a match is."""

    exact = "exact"
    """The very version that was shown to be vulnerable."""
    older = "older"
    """Another version before the release that has the fix."""
    unsure = "unsure"
    """The same package, but nothing says whether this version has the flaw."""
    fixed = "fixed"
    """A version that has the fix already."""


class Match(NamedTuple):
    """A component that a fix is about."""

    component: Component
    published: Published
    how: How


def read(path: Path) -> Sbom:
    """Read an SBOM. Raises UsageError where it cannot be read or is of no format that is known."""
    try:
        data = read_regular(path, limit_bytes=MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=f"an SBOM of at most {MOST_BYTES} bytes") from error
    found = _xml(data, path) if data.lstrip()[:1] == b"<" else _json(data, path)
    components = [each for each in found if each.purl]
    return Sbom(path, tuple(dict.fromkeys(components)), len(found) - len(components))


def _json(data: bytes, path: Path) -> list[Component]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unknown(path) from error
    if isinstance(value, dict) and value.get("bomFormat") == "CycloneDX":
        top = value.get("metadata")
        own = [top["component"]] if isinstance(top, dict) and isinstance(top.get("component"), dict) else []
        return [*_cyclonedx([*own, *_list(value.get("components"))], 0)]
    if isinstance(value, dict) and str(value.get("spdxVersion", "")).startswith("SPDX-2."):
        return [_spdx(each) for each in _list(value.get("packages"))]
    raise _unknown(path)


def _cyclonedx(items: Sequence[Any], depth: int) -> Iterator[Component]:
    if depth > _DEEPEST:
        return
    for each in items:
        if isinstance(each, dict):
            yield _component(_text(each, "purl"), _text(each, "name"), _text(each, "version"), _text(each, "bom-ref"))
            yield from _cyclonedx(_list(each.get("components")), depth + 1)


def _spdx(package: Any) -> Component:
    told = package if isinstance(package, dict) else {}
    purls = [
        _text(each, "referenceLocator")
        for each in _list(told.get("externalRefs"))
        if isinstance(each, dict) and each.get("referenceType") == "purl"
    ]
    return _component(purls[0] if purls else "", _text(told, "name"), _text(told, "versionInfo"), _text(told, "SPDXID"))


def _xml(data: bytes, path: Path) -> list[Component]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        # Entities are how a small file becomes a large one, and how it reads others: they are refused.
        root: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        raise _unknown(path) from error
    space, _, tag = root.tag.rpartition("}")
    if tag != "bom" or "cyclonedx.org/schema/bom" not in space:
        raise _unknown(path)
    names = [f"{space}}}component"]

    def text(element: Element, name: str) -> str:
        return (element.findtext(f"{space}}}{name}") or "").strip()

    return [
        _component(text(each, "purl"), text(each, "name"), text(each, "version"), each.get("bom-ref", ""))
        for name in names
        for each in root.iter(name)
    ]


def _component(purl: str, name: str, version: str, ref: str) -> Component:
    try:
        found = PackageURL.from_string(purl) if purl else None
    except ValueError:
        found = None
    if found is None:
        return Component("", name, version, ref)
    return Component(purl, found.name, found.version or version, ref)


def matches(sbom: Sbom, published: Sequence[Published]) -> list[Match]:
    """Return every component that a fix is about, and how sure that is; what has the fix already is told, too."""
    by_project: dict[str, list[Component]] = {}
    for component in sbom.components:
        try:
            by_project.setdefault(normalised(component.purl), []).append(component)
        except ValueError:
            continue
    return [Match(component, each, how(component, each)) for each in published for component in by_project.get(each.flaw.project, ())]


def how(component: Component, published: Published) -> How:
    """Return how sure it is that a component of the flaw's package has the flaw.

    One version was shown to be vulnerable, and one release may have the fix: what lies between them has it, what is older than both may.
    """
    shown, fixed, own = published.flaw.version, published.fix.fixed_version, component.version
    if not own:
        return How.unsure
    if shown and own == shown:
        return How.exact
    kind = PackageURL.from_string(component.purl).type
    if fixed:
        order = _compared(kind, own, fixed)
        if order is not None and order >= 0:
            return How.fixed
        if order is not None and shown and (_compared(kind, own, shown) or 0) > 0:
            return How.older
    equal = _compared(kind, own, shown) if shown else None
    return How.exact if equal == 0 else How.unsure


def _compared(kind: str, one: str, other: str) -> int | None:
    """Return -1, 0 or 1 by the ecosystem's own order; None where it is not known or one of them is no version of it."""
    from univers.version_range import RANGE_CLASS_BY_SCHEMES
    from univers.versions import InvalidVersion

    family: Any = RANGE_CLASS_BY_SCHEMES.get(kind)
    if family is None or kind == "generic":
        return None
    try:
        left, right = family.version_class(one), family.version_class(other)
        return int(left > right) - int(left < right)
    except (InvalidVersion, ValueError, TypeError, AttributeError):
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found.strip() if isinstance(found, str) else ""


def _unknown(path: Path) -> UsageError:
    return UsageError(f"{path} is no SBOM that is known", hint="CycloneDX as JSON or XML, or SPDX 2.3 as JSON")
