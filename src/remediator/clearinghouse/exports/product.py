"""What a flaw is in, as a Package URL and as each format wants it."""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple
from urllib.parse import quote

from packageurl import PackageURL

from remediator.clearinghouse.sbom import Component
from remediator.clearinghouse.wire.answers import Flaw
from remediator.clearinghouse.wire.identity import project
from remediator.redact import printable

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?")
_FORGES = {"github.com": "github", "bitbucket.org": "bitbucket"}
_ECOSYSTEMS = {
    "cargo": "crates.io",
    "composer": "Packagist",
    "conan": "ConanCenter",
    "cran": "CRAN",
    "gem": "RubyGems",
    "golang": "Go",
    "hackage": "Hackage",
    "hex": "Hex",
    "maven": "Maven",
    "npm": "npm",
    "nuget": "NuGet",
    "opam": "opam",
    "pub": "Pub",
    "pypi": "PyPI",
    "swift": "SwiftURL",
}


class Ecosystem(NamedTuple):
    """A package as OSV names it."""

    ecosystem: str
    name: str


class Product:
    """The package or repository of a flaw, and the version in which it was shown. Built from hostile text, so nothing raises."""

    def __init__(self, flaw: Flaw) -> None:
        self.version = _clean(flaw.version)
        commit = flaw.commit.lower()
        self.commit = commit if COMMIT.fullmatch(commit) else ""
        self._text = _clean(flaw.project)
        try:
            self._spelled = project(flaw.project)
        except ValueError:
            self._spelled = ""

    @cached_property
    def _package(self) -> PackageURL:
        if self._spelled.startswith("pkg:"):
            return PackageURL.from_string(self._spelled)
        host, _, path = self._spelled.partition("/")
        namespace, _, name = path.rpartition("/")
        if host in _FORGES and namespace and "/" not in namespace:
            return PackageURL(type=_FORGES[host], namespace=namespace, name=name)
        if self.repository:
            return PackageURL(type="generic", name=name or path, qualifiers={"vcs_url": f"git+{self.repository}"})
        # Not the name of anything; told as it is, so that a reader sees what was said.
        return PackageURL(type="generic", name=re.sub(r"[/\s]+", "-", self._text).strip("-") or "unknown")

    @property
    def kind(self) -> str:
        """Return the purl type."""
        return str(self._package.type)

    @property
    def repository(self) -> str:
        """Return the repository's address, empty for a package."""
        host, slash, path = self._spelled.partition("/")
        if self._spelled.startswith("pkg:") or not slash or not _HOST.fullmatch(host):
            return ""
        return f"https://{host}/{quote(path, safe='/-._~')}"

    @property
    def shown_in(self) -> str:
        """Return the version, or for a repository the commit, in which the flaw was shown; empty where neither is told."""
        return self.version or (self.commit if self.repository or self.kind in _FORGES.values() else "")

    @property
    def purl(self) -> str:
        """Return the purl without a version."""
        return self._package.to_string()

    def at(self, version: str) -> str:
        """Return the purl with a version, without one where it is empty."""
        found = self._package
        return PackageURL(found.type, found.namespace, found.name, version or None, found.qualifiers, found.subpath).to_string()

    @property
    def name(self) -> str:
        """Return what people call it."""
        if self.repository:
            return _clean(self._spelled)
        found = self._package
        return _clean(f"{found.namespace}/{found.name}" if found.namespace else found.name)

    @property
    def ecosystem(self) -> Ecosystem | None:
        """Return what OSV calls it, None for what is in none of its ecosystems."""
        found = self._package
        if found.type not in _ECOSYSTEMS:
            return None
        separator = ":" if found.type == "maven" else "/"
        name = f"{found.namespace}{separator}{found.name}" if found.namespace else found.name
        return Ecosystem(_ECOSYSTEMS[found.type], _clean(name))


def component_purl(component: Component) -> str:
    """Return the purl of a listed component with its version; for one that has none, one by its name."""
    version = _clean(component.version) or None
    try:
        found = PackageURL.from_string(component.purl)
    except ValueError:
        name = re.sub(r"[/\s]+", "-", _clean(component.name)).strip("-") or "unknown"
        return PackageURL("generic", None, name, version).to_string()
    return PackageURL(found.type, found.namespace, found.name, found.version or version, found.qualifiers, found.subpath).to_string()


def _clean(text: str) -> str:
    return printable(" ".join(text.split()))[:500]
