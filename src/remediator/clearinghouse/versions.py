"""Whether one version of a package is older than another, by the rules of its ecosystem. What cannot be said is None."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

# The kinds of package whose order of versions is defined; of others, such as `generic` or `github`, only sameness can be told.
_ORDERED = frozenset(
    ("alpm", "apk", "cargo", "composer", "conan", "deb", "ebuild", "gem", "golang", "hex", "maven", "npm", "nuget", "pypi", "rpm")
)
# The reader of semantic versions makes one of nearly any text; what is none cannot be placed.
_SEMANTIC = frozenset(("cargo", "hex", "npm"))
_SEMANTIC_FORM = re.compile(r"v?\d+(\.\d+){0,2}([-+][0-9A-Za-z.+-]+)?", re.ASCII)
_MOST_CHARACTERS = 200
# Longer numbers than any release has; some readers turn each into an int, which Python refuses above 4,300 digits.
_LONG_NUMBER = re.compile(r"\d{40}")
# What the readers of the ecosystems raise for text that is no version of theirs.
_ODD = (ValueError, TypeError, AttributeError, RuntimeError, IndexError, KeyError)


def same(kind: str, one: str, other: str) -> bool:
    """Return whether both are the same version: as text, or by the rules of the purl type `kind`."""
    if not one or not other:
        return False
    if one == other:
        return True
    first, second = _read(kind, one), _read(kind, other)
    return first is not None and second is not None and _held(first, second, "==") is True


def older(kind: str, one: str, other: str) -> bool | None:
    """Return whether `one` is older than `other`; None where the ecosystem has no order or a version is not one of its own."""
    first, second = _read(kind, one), _read(kind, other)
    if first is None or second is None:
        return None
    return _held(first, second, "<")


def _held(first: Any, second: Any, relation: str) -> bool | None:
    try:
        return bool(first < second if relation == "<" else first == second)
    except _ODD:
        # Hostile text that passed as a version may still not be comparable.
        return None


@lru_cache(maxsize=65_536)
def _read(kind: str, text: str) -> Any:
    if kind not in _ORDERED or not text or len(text) > _MOST_CHARACTERS or _LONG_NUMBER.search(text) or not text.isprintable():
        return None
    if kind in _SEMANTIC and not _SEMANTIC_FORM.fullmatch(text):
        return None
    from univers.nuget import InvalidNuGetVersion
    from univers.version_range import RANGE_CLASS_BY_SCHEMES

    known = RANGE_CLASS_BY_SCHEMES.get(kind)
    if known is None or known.version_class is None:
        return None
    try:
        return known.version_class(text)
    except (*_ODD, InvalidNuGetVersion):
        return None
