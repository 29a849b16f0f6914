"""What every form of advisory says, before it becomes a finding."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from remediator.records.affected import AffectedPackage
from remediator.records.finding import Severity
from remediator.records.json_node import JsonNode

_CWE = re.compile(r"(?:CWE-)?0*(\d{1,5})", re.IGNORECASE)


class Link(NamedTuple):
    """A reference; `kind` in the words of OSV: FIX, REPORT, EVIDENCE, WEB and so on."""

    url: str
    kind: str = "WEB"


class Parts(NamedTuple):
    """The parts of an advisory. `withdrawn` says why it no longer counts, empty where it does."""

    id: str
    summary: str = ""
    details: str = ""
    withdrawn: str = ""
    severity: Severity | None = None
    aliases: tuple[str, ...] = ()
    cwe: tuple[int, ...] = ()
    references: tuple[Link, ...] = ()
    packages: tuple[AffectedPackage, ...] = ()
    repositories: tuple[str, ...] = ()


def cwe_numbers(words: Iterable[str]) -> tuple[int, ...]:
    """Return the weaknesses that are named, whatever else stands there left out."""
    found = (_CWE.fullmatch(word.strip()) for word in words)
    return tuple(int(match[1]) for match in found if match)


def strings(node: JsonNode, key: str) -> tuple[str, ...]:
    """Return the strings of the array at `key`, none where it is missing. Raises ConfigError where it is something else."""
    value = node.child(key).value
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        node.child(key).refuse("an array of strings")
    return tuple(value)


def score(node: JsonNode, key: str) -> float | None:
    """Return the number at `key`, None where there is none."""
    value = node.value.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 10 else None
