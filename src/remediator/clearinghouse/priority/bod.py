"""The remediation timelines of CISA's Binding Operational Directive 26-04, as a table of four questions.

The rows and their numbers are those of CERT/CC's SSVC data, `cisa_bod_26_04_1_0_0.csv`.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import NamedTuple


class Timeline(StrEnum):
    """By when a flaw is to be mended; the most urgent last."""

    on_upgrade = "fix on system upgrade"
    days_60 = "60 days"
    days_14 = "14 days"
    days_3 = "3 days"
    days_3_forensics = "3 days & forensic investigation"

    @property
    def due_days(self) -> int | None:
        """Return the days, None where it is with the next upgrade."""
        return {"60 days": 60, "14 days": 14, "3 days": 3, "3 days & forensic investigation": 3}.get(self.value)

    @property
    def urgency(self) -> int:
        """Return 0 for the least urgent and 4 for the most."""
        return list(Timeline).index(self)


class Factors(NamedTuple):
    """The four questions. None is: not known."""

    kev: bool | None
    """Is it in the catalog of flaws that are known to be exploited?"""
    exposed: bool | None
    """Can the asset be reached publicly?"""
    automatable: bool | None
    """Can an attacker automate reconnaissance to exploitation?"""
    total: bool | None
    """Does exploitation give total control, or total disclosure?"""


class Decision(NamedTuple):
    """The row that holds, every unknown factor counted as what gives least time. `latest` is what it may be if they turn out otherwise."""

    row: int
    timeline: Timeline
    counted: Factors
    unknown: tuple[str, ...]
    latest: Timeline


_UP, _60, _14, _3, _3F = Timeline

# (In KEV, publicly exposed, automatable, technical impact total) -> row number and timeline.
TABLE: dict[tuple[bool, bool, bool, bool], tuple[int, Timeline]] = {
    (False, False, False, False): (0, _UP),
    (True, False, False, False): (1, _14),
    (False, True, False, False): (2, _60),
    (False, False, True, False): (3, _60),
    (False, False, False, True): (4, _UP),
    (True, True, False, False): (5, _14),
    (True, False, True, False): (6, _14),
    (False, True, True, False): (7, _14),
    (True, False, False, True): (8, _14),
    (False, True, False, True): (9, _14),
    (False, False, True, True): (10, _60),
    (True, True, True, False): (11, _3),
    (True, True, False, True): (12, _3F),
    (True, False, True, True): (13, _3F),
    (False, True, True, True): (14, _3),
    (True, True, True, True): (15, _3F),
}


def decide(factors: Factors) -> Decision:
    """Return the row for the factors; where some are not known, the most urgent of the rows that may hold."""
    choices = [(False, True) if value is None else (value,) for value in factors]
    rows = [(kev, exposed, automatable, total) for kev, exposed, automatable, total in product(*choices)]
    # Of rows that are equally urgent the last one, in which the most is counted as "yes".
    worst = max(rows, key=lambda row: (TABLE[row][1].urgency, TABLE[row][0]))
    number, timeline = TABLE[worst]
    latest = min((TABLE[row][1] for row in rows), key=lambda each: each.urgency)
    unknown = tuple(name for name, value in zip(Factors._fields, factors, strict=True) if value is None)
    return Decision(number, timeline, Factors(*worst), unknown, latest)


_WORDS = {
    "kev": ("not in KEV", "in KEV"),
    "exposed": ("not publicly exposed", "publicly exposed"),
    "automatable": ("not automatable", "automatable"),
    "total": ("partial technical impact", "total technical impact"),
}


def sentence(decision: Decision) -> str:
    """Return why, for people: the row with its number, what it asks, and what was only assumed."""
    told = [
        f"{_WORDS[name][bool(value)]}{' (assumed)' if name in decision.unknown else ''}"
        for name, value in zip(Factors._fields, decision.counted, strict=True)
    ]
    text = f"BOD 26-04 row {decision.row}: {', '.join(told)}: {_asked(decision.timeline)}."
    if decision.latest is not decision.timeline:
        text += f" If what is assumed turns out otherwise, it may be as late as: {_asked(decision.latest)}."
    return text


def _asked(timeline: Timeline) -> str:
    return {
        Timeline.on_upgrade: "fix with the next system upgrade",
        Timeline.days_3_forensics: "fix within 3 days, and look for signs of compromise",
    }.get(timeline, f"fix within {timeline.value}")
