"""How a flaw is recognised: the same from many submitters, after lines moved, and under each of its names."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache

from packageurl import PackageURL

from remediator.clearinghouse.wire.verbs import FlawBody

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


def fingerprints(flaw: FlawBody) -> tuple[str, ...]:
    """Return the flaw's fingerprints, hex: two reports that share one are about the same flaw.

    One for each alias within the project; one for the place, where there is a path: the kind of flaw and the source text, without white
    space, line or version. A report without alias and place is known by its title.
    """
    where = project(flaw.project)
    found = [alias_print(where, alias) for alias in flaw.aliases]
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
