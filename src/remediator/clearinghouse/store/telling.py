"""What a flaw's record tells, kept apart by the mark under which it was said: a reader is told the parts that are marked for it.

The record's `doc` has one part for each mark: {"amber": {"first": micros, "at": micros, "said": flaw}}. Its `tlp` is the laxest of them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.wire.identity import naming
from remediator.clearinghouse.wire.terms import Tlp
from remediator.records.record import canonical_json

MARKS = tuple(each.value for each in Tlp)
"""From the laxest to the strictest."""
_SEVERITIES = ("critical", "high", "medium", "low", "info")
_MINUTE, _SINCE, _MINUTES = 60_000_000, 1_577_836_800_000_000, 40_000_000
"""Ages in the queue: microseconds, the beginning of 2020, and how many minutes are told apart from then on."""
_MOST_NAMES, _MOST_WEAKNESSES = 50, 20


class Part(NamedTuple):
    """What was said under one mark, since when, and when something was last added to it (microseconds)."""

    tlp: str
    first: int
    at: int
    said: dict[str, Any]


def begun(tlp: str, said: str, at: int) -> str:
    """Return the `doc` of a flaw of which one thing was said: `said` is canonical JSON."""
    return f'{{"{tlp}":{{"at":{at},"first":{at},"said":{said}}}}}'


def place(urgency: int, first: int) -> int:
    """Return where a flaw stands in the queue: by urgency, the smallest first, then by age, to the minute."""
    return urgency * _MINUTES + min(max((first - _SINCE) // _MINUTE, 0), _MINUTES - 1)


def severity_place(severity: str, first: int) -> int:
    """Return where a flaw stands in the queue as long as nothing else is known of it."""
    return place(1_000_000 + 1_000 * _SEVERITIES.index(severity), first)


def tell(batch: Batch, flaw: Row, tlp: str, said: dict[str, Any]) -> None:
    """Add to a flaw's record what was said of it under a mark. Whoever may not know that mark reads the record as it read before."""
    parts, before = json.loads(flaw["doc"]), flaw["tlp"]
    part = parts.setdefault(tlp, {"at": 0, "first": batch.at, "said": said})
    if part["at"] and not _add(part["said"], said):
        return
    part["at"] = batch.at
    flaw["doc"] = canonical_json(parts).decode("ascii")
    flaw["tlp"] = min(parts, key=MARKS.index)
    if tlp == flaw["tlp"]:
        rank = severity_place(part["said"]["severity"], part["first"])
        flaw["rank"] = rank if before != tlp else min(flaw["rank"], rank)
    # Where it stands in the list of what changed is seen by all of its readers: it moves with what all of them are told.
    batch.touch(flaw, moved=tlp == flaw["tlp"] and not flaw["embargoed"])


def tell_again(batch: Batch, flaw: Row, other: Row) -> None:
    """Add all that was said of another flaw that is the same."""
    for tlp, part in json.loads(other["doc"]).items():
        tell(batch, flaw, tlp, part["said"])


def parts_of(flaw: Row, marks: Collection[str] = MARKS) -> list[Part]:
    """Return the parts of a record that are marked so, the oldest first."""
    found = (Part(tlp, each["first"], each["at"], each["said"]) for tlp, each in json.loads(flaw["doc"]).items() if tlp in marks)
    return sorted(found, key=lambda part: (part.first, MARKS.index(part.tlp)))


def part_of(witness: Row) -> Part:
    """Return what one witness said."""
    return Part(witness["tlp"], witness["at"], witness["at"], json.loads(witness["doc"]))


def together(parts: Sequence[Part]) -> Part:
    """Return several parts as one: the words of the first, the names of all, under the strictest mark of them."""
    said = dict(parts[0].said)
    for part in parts[1:]:
        _add(said, part.said)
    strictest = max((part.tlp for part in parts), key=MARKS.index)
    return Part(strictest, min(part.first for part in parts), max(part.at for part in parts), said)


def _add(said: dict[str, Any], more: dict[str, Any]) -> bool:
    """Add names, kinds and the worse severity; return whether anything was new."""
    # What was there stays: cut after sorting, many made-up names would push out the one that everybody looks for.
    names = (alias.upper() if alias[:3].upper() == "CVE" else alias for alias in naming(more["aliases"]))
    found = {
        "aliases": _joined(said["aliases"], names, _MOST_NAMES),
        "cwe": _joined(said["cwe"], more["cwe"], _MOST_WEAKNESSES),
        "severity": min(said["severity"], more["severity"], key=_SEVERITIES.index),
    }
    fresh = any(found[name] != said[name] for name in found)
    if fresh:
        said.update(found)
    return fresh


def _joined(known: Sequence[Any], more: Iterable[Any], most: int) -> list[Any]:
    added = [each for each in dict.fromkeys(more) if each not in known][: max(0, most - len(known))]
    return sorted([*known, *added]) if added else list(known)
