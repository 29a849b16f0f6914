"""How a flaw is recognised: the same from many submitters, after lines moved, and under each of its names."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from packageurl import PackageURL

from remediator.clearinghouse.wire.verbs import FlawBody
from remediator.records.record import canonical_json, digest_of

_GIT_SUFFIX = re.compile(r"(\.git)?/*\Z")
_SCHEME = re.compile(r"\A(?:git\+)?(?:https?|ssh|git)://(?:[^@/]*@)?", re.IGNORECASE)
_SCP = re.compile(r"\A[^@/\s]+@([^:/\s]+):(?!/)")


MOST_CHARACTERS = 500


@lru_cache(maxsize=4096)
def project(text: str) -> str:
    """Return the one spelling of a repository or package, without version and credentials. Raises ValueError.

    Purls by the Package URL specification; git URLs as `host/path` in lower case for the host, without scheme and `.git`.
    """
    text = text.strip()
    if text.lower().startswith("pkg:"):
        found = PackageURL.from_string(text)
        name = re.sub(r"[-_.]+", "-", found.name).lower() if found.type == "pypi" else found.name
        # Other scripts grow threefold when they are quoted: what is stored and read again is the quoted name.
        return _short(PackageURL(type=found.type, namespace=found.namespace, name=name).to_string())
    rest = _SCP.sub(r"\1/", text)
    rest = _GIT_SUFFIX.sub("", _SCHEME.sub("", rest))
    host, slash, path = rest.partition("/")
    if not slash or not host or not path or ".." in path.split("/") or any(char.isspace() for char in rest):
        raise ValueError(f"{text[:100]!r} is neither a purl nor the URL of a repository")
    return _short(f"{host.lower()}/{path.lower() if host.lower() in _CASELESS else path}")


def _short(spelled: str) -> str:
    if len(spelled) > MOST_CHARACTERS:
        raise ValueError(f"the project's one spelling has more than {MOST_CHARACTERS} characters")
    return spelled


_CASELESS = frozenset(("github.com", "gitlab.com", "codeberg.org", "bitbucket.org"))


def naming(aliases: Iterable[str]) -> tuple[str, ...]:
    """Return the aliases that name the flaw: those that are the only one of their kind in a report.

    A flaw has one CVE id. A report that lists two is about two flaws or wrong of one, and must not make one of others' two.
    """
    kinds: dict[str, list[str]] = {}
    for alias in dict.fromkeys(each.upper() for each in aliases):
        kinds.setdefault(kind_of(alias), []).append(alias)
    alone = {each[0] for each in kinds.values() if len(each) == 1}
    return tuple(each for each in aliases if each.upper() in alone)


def kind_of(alias: str) -> str:
    """Return who gave the id: `CVE` of `CVE-2026-0001`; without a hyphen, the id is a kind of its own."""
    return alias.upper().partition("-")[0]


def contradicts(known: Iterable[str], aliases: Iterable[str]) -> bool:
    """Return whether a report names another flaw than the one that is known so: by CVE where both have one, else by GHSA."""
    names, here = {each.upper() for each in known}, {each.upper() for each in naming(aliases)}
    for kind in LEADING:
        ours, theirs = ({each for each in some if kind_of(each) == kind} for some in (names, here))
        if ours and theirs:
            return not ours & theirs
    return False


LEADING = ("CVE", "GHSA")
"""The kinds of ids of which a flaw has one, the first one deciding."""


def fingerprints(flaw: FlawBody) -> tuple[str, ...]:
    """Return the flaw's fingerprints, hex: two reports that share one are about the same flaw.

    One for each alias within the project that names it; one for the place, where there is a path: the kind of flaw and the source text,
    without white space, line or version. A report without alias and place is known by its title.
    """
    where = project(flaw.project)
    found = [alias_print(where, alias) for alias in naming(flaw.aliases)]
    body = re.sub(r"\s+", " ", flaw.snippet).strip()
    if flaw.path and body:
        found.append(_hash("place", where, flaw.path, str(min(flaw.cwe, default=0)), body))
    if not found:
        found.append(_hash("words", where, flaw.path, re.sub(r"\s+", " ", flaw.title).strip().lower()))
    return tuple(sorted(set(found)))


def alias_print(where: str, alias: str) -> str:
    """Return the fingerprint of one name of a flaw in a project, hex."""
    return _hash("alias", where, alias.upper())


def claims(prints: Iterable[str], epoch_key: bytes) -> tuple[str, ...]:
    """Return what is asked for in a claim-check: each fingerprint under the epoch's key, hex."""
    return tuple(hmac.new(epoch_key, bytes.fromhex(each), hashlib.sha256).hexdigest() for each in prints)


def _hash(*parts: str) -> str:
    framed = b"".join(len(data).to_bytes(4, "big") + data for data in (part.encode("utf-8", "surrogateescape") for part in parts))
    return hashlib.sha256(framed).hexdigest()


_TOLD = ("project", "version", "commit", "path", "line", "cwe", "aliases", "references", "severity", "title", "details")
_TOLD_OF_SSVC = ("automatable", "technical_impact_total")


def about(flaw: Mapping[str, Any], fixed_version: str) -> str:
    """Return the digest of what a fix is said to mend, which the ledger records when it is let out.

    Without it one proven patch could be told to one subscriber as the fix of this flaw, and to the next as that of another.
    """
    told = {name: flaw[name] for name in (*_TOLD, *_TOLD_OF_SSVC)}
    return digest_of(canonical_json({**told, "fixed_version": fixed_version}))
