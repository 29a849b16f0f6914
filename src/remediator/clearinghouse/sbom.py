"""A bill of materials, and which published fixes concern what it lists. Read on the operator's machine, from hostile text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from packageurl import PackageURL

from remediator.clearinghouse.sbom_forms import SbomError, listed
from remediator.clearinghouse.versions import older, same
from remediator.clearinghouse.wire.answers import Published
from remediator.clearinghouse.wire.identity import project
from remediator.clearinghouse.wire.terms import FixState

__all__ = ["Component", "Match", "MatchLevel", "Sbom", "SbomError", "matches", "parse_sbom", "read_sbom", "said_fixed"]

MOST_BYTES = 256 * 1024 * 1024
MOST_COMPONENTS = 500_000

_FORGES = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}


class Component(NamedTuple):
    """What is listed. `purl` is as it stands in the file; `project` its one spelling without version, `repositories` where it is made."""

    ref: str
    name: str
    version: str
    purl: str
    project: str
    repositories: tuple[str, ...] = ()


class Sbom(NamedTuple):
    """What was read. `unnamed` are components without a usable purl or repository: whether they are affected cannot be said."""

    source: str
    form: str
    components: tuple[Component, ...]
    unnamed: tuple[str, ...]


class MatchLevel(StrEnum):
    """How sure a match is."""

    exact = "exact"
    """The very version (or commit) in which the flaw was shown."""
    range = "range"
    """Another version of the same package, older than the release with the fix."""
    name_only = "name-only"
    """The same package; whether this version is affected cannot be said."""
    said_fixed = "said-fixed"
    """The release that the submitter names as fixed, or a newer one. Nobody checked that, and `matches` leaves it out."""


class Match(NamedTuple):
    """A component that a published fix concerns. `why` is a sentence for people."""

    component: Component
    published: Published
    level: MatchLevel
    why: str

    @property
    def affected(self) -> bool:
        """Return whether the component is taken to have the flaw: where it was shown, or before the release with the fix."""
        return self.level in (MatchLevel.exact, MatchLevel.range)

    @property
    def withdrawn(self) -> bool:
        """Return whether the fix was revoked or superseded since: it is told, and must not be applied."""
        return self.published.fix.state in (FixState.revoked, FixState.superseded)


def read_sbom(path: Path) -> Sbom:
    """Read a CycloneDX (JSON, XML) or SPDX 2 (JSON) file. Raises SbomError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SbomError(f"{path} cannot be read: {error.strerror}") from error
    return parse_sbom(data, source=str(path))


def parse_sbom(data: bytes, *, source: str) -> Sbom:
    """Read what is in such a file. Raises SbomError."""
    if len(data) > MOST_BYTES:
        raise SbomError(f"{source} has more than {MOST_BYTES} bytes")
    form, found = listed(data, source)
    components: list[Component] = []
    unnamed: list[str] = []
    for item in found:
        if len(components) + len(unnamed) >= MOST_COMPONENTS:
            raise SbomError(f"{source} lists more than {MOST_COMPONENTS} components")
        component = _component(item.ref, item.name, item.version, item.purls, item.repositories)
        if component is None:
            unnamed.append(f"{item.name} {item.version}".strip()[:200] or item.ref[:200] or "(no name)")
        else:
            components.append(component)
    return Sbom(source, form, tuple(components), tuple(unnamed))


def _component(ref: str, name: str, version: str, purls: Iterable[str], urls: Iterable[str]) -> Component | None:
    for purl in purls:
        try:
            found = PackageURL.from_string(purl)
            spelled = project(purl)
        except ValueError:
            continue
        places = _repositories(found, urls)
        return Component(ref, name or found.name, version or found.version or "", purl, spelled, places)
    places = tuple(sorted({place for place in map(_place, urls) if place}))
    return Component(ref, name, version, "", "", places) if places else None


def _repositories(purl: PackageURL, urls: Iterable[str]) -> tuple[str, ...]:
    places = {_place(url) for url in urls}
    qualifiers = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
    places.add(_place(qualifiers.get("vcs_url", "")))
    if purl.type in _FORGES and purl.namespace:
        places.add(_place(f"https://{_FORGES[purl.type]}/{purl.namespace}/{purl.name}"))
    if purl.type == "golang":
        # A module's path begins with its repository, on forges with the first three parts.
        places.add(_place("https://" + "/".join(f"{purl.namespace or ''}/{purl.name}".split("/")[:3])))
    return tuple(sorted(place for place in places if place))


def _place(url: str) -> str:
    bare = url.partition("#")[0].partition("?")[0]
    head, at, tail = bare.rpartition("@")
    # `git+https://host/path@commit` ends with a commit; `git@host:path` begins with a user.
    if at and "/" not in tail and ":" not in tail and "/" in head.partition("://")[2]:
        bare = head
    try:
        return project(bare)
    except ValueError:
        return ""


def matches(sbom: Sbom, published: Iterable[Published]) -> list[Match]:
    """Return which published fixes concern what the bill lists, in the bill's order; not those that `said_fixed` tells."""
    return [match for match in _all(sbom, published) if match.level is not MatchLevel.said_fixed]


def said_fixed(sbom: Sbom, published: Iterable[Published]) -> list[Match]:
    """Return the components that need nothing if what submitters say of their releases is true."""
    return [match for match in _all(sbom, published) if match.level is MatchLevel.said_fixed]


def _all(sbom: Sbom, published: Iterable[Published]) -> Iterator[Match]:
    by_name: dict[str, list[Published]] = defaultdict(list)
    for each in published:
        by_name[_spelled(each.flaw.project)].append(each)
    by_name.pop("", None)
    for component in sbom.components:
        for name in dict.fromkeys(filter(None, (component.project, *component.repositories))):
            for each in by_name.get(name, ()):
                yield _match(component, each, by_package=name == component.project)


def _spelled(text: str) -> str:
    try:
        spelled = project(text)
        purl = PackageURL.from_string(spelled) if spelled.startswith("pkg:") else None
    except ValueError:
        return ""
    # A package that is itself a repository at a forge is known by the repository, as in the components.
    if purl is not None and purl.type in _FORGES and purl.namespace:
        return _place(f"https://{_FORGES[purl.type]}/{purl.namespace}/{purl.name}")
    return spelled


def _match(component: Component, published: Published, *, by_package: bool) -> Match:
    flaw, fixed, has = published.flaw, published.fix.fixed_version, component.version
    kind = PackageURL.from_string(component.project).type if by_package else ""
    if has and flaw.commit and has.lower() == flaw.commit.lower():
        return Match(component, published, MatchLevel.exact, f"the flaw was shown at this commit, {has}")
    if not has:
        return Match(component, published, MatchLevel.name_only, "the bill of materials gives no version")
    if not by_package:
        return _by_repository(component, published)
    if same(kind, has, flaw.version):
        return Match(component, published, MatchLevel.exact, f"the flaw was shown in this version, {has}")
    if fixed and _agrees(kind, flaw.version, fixed):
        before = older(kind, has, fixed)
        if before:
            return Match(component, published, MatchLevel.range, f"{has} is older than {fixed}, the release with the fix")
        if before is False:
            said = f"{has} is no older than {fixed}, which the submitter names as the release with the fix; that was not checked"
            return Match(component, published, MatchLevel.said_fixed, said)
    return Match(component, published, MatchLevel.name_only, _unsure(has, flaw.version, fixed))


def _by_repository(component: Component, published: Published) -> Match:
    # The version of a package and that of the repository it is made in need not be the same numbers.
    has, flaw = component.version, published.flaw
    if same("", has, flaw.version):
        return Match(component, published, MatchLevel.exact, f"the flaw was shown in this repository's version {has}")
    return Match(component, published, MatchLevel.name_only, f"it is made in {flaw.project}; {has} cannot be placed among its commits")


def _agrees(kind: str, vulnerable: str, fixed: str) -> bool:
    """Return whether a release can carry the fix: not where it is said to be no newer than a version with the flaw."""
    return not vulnerable or older(kind, vulnerable, fixed) is True


def _unsure(has: str, vulnerable: str, fixed: str) -> str:
    shown = f"the flaw was shown in {vulnerable}" if vulnerable else "no vulnerable version is told"
    release = f"the release said to carry the fix, {fixed}, cannot be compared" if fixed else "no release with the fix is told"
    return f"{shown}, {release}; {has} may or may not be affected"
