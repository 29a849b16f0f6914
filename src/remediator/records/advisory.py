"""An advisory in OSV, GHSA or CVE JSON 5 form becomes a finding without a place. Pure: bytes in, records out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from remediator.errors import ConfigError
from remediator.records.advisory_parts import Parts
from remediator.records.affected import AffectedPackage, Fit, Subject, fit
from remediator.records.cve_advisory import read_cve
from remediator.records.finding import ADVISORY, Finding, Severity
from remediator.records.ghsa_advisory import read_ghsa
from remediator.records.json_node import JsonNode
from remediator.records.osv_advisory import read_osv
from remediator.records.record import Record
from remediator.redact import printable

_MOST_BYTES = 4 * 1024 * 1024
_MOST_TEXT, _MOST_LINKS, _MOST_PACKAGES, _MOST_VERSIONS = 8_000, 50, 200, 2_000
_HINT = "give one advisory in OSV, GHSA or CVE JSON 5 form, or say it in words: --describe"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_KNOWN_ID = re.compile(r"(?:CVE-\d{4}-\d{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d+)", re.IGNORECASE)


class Advisory(Record):
    """What an advisory says: the finding that it makes, the packages that it is about, and where their code is."""

    finding: Finding
    packages: tuple[AffectedPackage, ...] = ()
    repositories: tuple[str, ...] = ()

    def fits(self, subject: Subject) -> Fit:
        """Return whether the advisory is about a target."""
        return fit(self.finding.rule_id, self.packages, self.repositories, subject)


def read_advisory(data: bytes, origin: str) -> Advisory:
    """Read an advisory, its form known by its content.

    Its text is kept as the data that it is, cut where it is long. Raises ConfigError where it is malformed, too large or withdrawn.
    """
    node = JsonNode.parse(data, printable(origin), limit_bytes=_MOST_BYTES, hint=_HINT)
    if isinstance(node.value, list):
        raise ConfigError(f"{node.document} is a list: one advisory is taken from a file", hint="give each advisory as a file of its own")
    parts = _parts(node.checked())
    if parts.withdrawn:
        raise ConfigError(
            f"{node.document}: {parts.id} is not in force: {parts.withdrawn}", hint="work on the one that replaced it, if any"
        )
    if not _ID.fullmatch(parts.id):
        raise ConfigError(f"{node.document}: {printable(parts.id)[:100]!r} is no advisory's id", hint=_HINT)
    if not parts.summary.strip() and not parts.details.strip():
        raise ConfigError(f"{node.document}: {parts.id} says nothing: neither summary nor details", hint="say it in words: --describe")
    return Advisory(
        finding=_finding(parts),
        packages=tuple(_shortened(package) for package in parts.packages[:_MOST_PACKAGES]),
        repositories=_once(parts.repositories)[:_MOST_LINKS],
    )


def _parts(node: JsonNode) -> Parts:
    if "ghsa_id" in node:
        return read_ghsa(node)
    if "cveMetadata" in node or node.value.get("dataType") == "CVE_RECORD":
        return read_cve(node)
    if "id" in node and ("affected" in node or "schema_version" in node or "modified" in node):
        return read_osv(node)
    told = "is a CVE record of version 4" if node.value.get("data_type") == "CVE" else "is no advisory of a form that is known"
    raise ConfigError(f"{node.document} {told}", hint=_HINT)


def _finding(parts: Parts) -> Finding:
    # An advisory is known by its id: mending its text does not make it another finding.
    named = Finding.at(rule_id=parts.id, scanner=ADVISORY, message=parts.id, location=None, snippet="")
    said = {
        "message": _message(parts),
        "severity": parts.severity or Severity.medium,
        "cwe": tuple(dict.fromkeys(parts.cwe))[:_MOST_LINKS],
        "aliases": tuple(alias for alias in _once(parts.aliases) if _KNOWN_ID.fullmatch(alias) and alias != parts.id)[:_MOST_LINKS],
        "references": _references(parts),
    }
    return named.model_copy(update=said)


def _message(parts: Parts) -> str:
    summary, details = _clean(parts.summary), _clean(parts.details)
    text = details if details.startswith(summary) else f"{summary}\n\n{details}" if details else summary
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT].rstrip()}\n[cut here: {len(text)} characters]"


def _references(parts: Parts) -> tuple[str, ...]:
    """Return the links, the most useful first: the commits of the fix, then reports and evidence, then all others."""
    rank = {"FIX": 0, "REPORT": 1, "EVIDENCE": 1}
    ordered = sorted(parts.references, key=lambda link: 0 if _is_commit(link.url) else rank.get(link.kind, 2))
    return tuple(url for url in _once(link.url for link in ordered) if re.match(r"(?:https?|git)://\S+$", url) and len(url) < 2_000)[
        :_MOST_LINKS
    ]


def _is_commit(url: str) -> bool:
    return re.search(r"/commit/[0-9a-f]{7,64}\b", url) is not None


def _shortened(package: AffectedPackage) -> AffectedPackage:
    return package.model_copy(update={"versions": package.versions[:_MOST_VERSIONS], "ranges": package.ranges[:_MOST_VERSIONS]})


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_clean(text) for text in texts if text))


def _clean(text: str) -> str:
    """Return text without half characters, which nothing could write; all else of it stays."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
