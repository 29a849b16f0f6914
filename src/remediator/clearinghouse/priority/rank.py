"""Where a flaw stands in the queue: the table's row, the sentence that says why, and one number to sort by."""

from __future__ import annotations

from typing import NamedTuple

from remediator.clearinghouse.priority.bod import Decision, Factors, Timeline, decide, sentence
from remediator.clearinghouse.priority.feeds import Feeds, Points, worst
from remediator.clearinghouse.wire.answers import Flaw, Priority

_SEVERITIES = ("critical", "high", "medium", "low", "info")


class AssetFacts(NamedTuple):
    """What only the operator knows about the asset; None is: not known. A clearinghouse knows nothing of it."""

    exposed: bool | None = None


UNKNOWN_ASSET = AssetFacts()


def rank(flaw: Flaw, facts: AssetFacts, feeds: Feeds) -> Priority:
    """Return the flaw's priority. What is not known is counted as what gives least time, and is listed in `assumed`."""
    names = tuple(dict.fromkeys(alias.upper() for alias in flaw.aliases))
    points, score = feeds.points(names), feeds.score(names)
    factors = Factors(
        kev=feeds.in_kev(names),
        exposed=facts.exposed,
        automatable=worst((points.automatable, flaw.automatable)),
        total=worst((points.total, flaw.technical_impact_total)),
    )
    decision = decide(factors)
    return Priority(
        timeline=decision.timeline.value,
        due_days=decision.timeline.due_days,
        forensics=decision.timeline is Timeline.days_3_forensics,
        row=decision.row,
        kev=factors.kev,
        exposed=factors.exposed,
        automatable=factors.automatable,
        technical_impact_total=factors.total,
        epss=score.epss if score else None,
        epss_date=f"{feeds.epss.as_of:%Y-%m-%d}" if score and feeds.epss else "",
        assumed=(*_assumed(decision, feeds), *_noted(flaw, factors, points, names)),
        sentence=sentence(decision),
    )


def _assumed(decision: Decision, feeds: Feeds) -> list[str]:
    told = {
        "kev": ("in KEV", "no KEV feed is loaded" if feeds.kev is None else "the KEV feed is stale, and does not list it"),
        "exposed": ("publicly exposed", "nothing is known about the asset"),
        "automatable": ("automatable", "neither SSVC nor a submitter says"),
        "total": ("total technical impact", "neither SSVC nor a submitter says"),
    }
    words = []
    for name in decision.unknown:
        what, why = told[name]
        words.append(f"{what}: {'yes' if getattr(decision.counted, name) else 'no'} ({why})")
    return words


def _noted(flaw: Flaw, factors: Factors, points: Points, names: tuple[str, ...]) -> list[str]:
    notes = []
    if factors.kev is False and not any(name.startswith("CVE-") for name in names):
        notes.append("in KEV: no (it has no CVE id, and KEV lists no other)")
    pairs = (
        ("automatable", points.automatable, flaw.automatable),
        ("total technical impact", points.total, flaw.technical_impact_total),
    )
    notes += [
        f"{what}: yes (SSVC says {'yes' if decided else 'no'}, a submitter {'yes' if told else 'no'})"
        for what, decided, told in pairs
        if None not in (decided, told) and decided != told
    ]
    return notes


def queue_rank(flaw: Flaw) -> int:
    """Return a number below 2**38 that orders the queue, the smallest first; flaws without a priority come before all others.

    By timeline; within it, what is known to be exploited, then where less was assumed, then EPSS, then severity. EPSS that is not known
    counts as the highest. Flaws of the same number are taken by age, which the store adds.
    """
    if flaw.priority is None:
        return 0
    found = flaw.priority
    urgency = next((each.urgency for each in Timeline if each.value == found.timeline), len(Timeline) - 1)
    unknown = (found.kev, found.exposed, found.automatable, found.technical_impact_total).count(None)
    epss = 1.0 if found.epss is None else min(max(found.epss, 0.0), 1.0)
    severity = _SEVERITIES.index(flaw.severity) if flaw.severity in _SEVERITIES else 0
    digits = ((len(Timeline) - 1 - urgency, 10), (0 if found.kev else 1, 10), (unknown, 10), (round((1 - epss) * 1e6), 10_000_000))
    number = 1
    for digit, base in (*digits, (severity, 10)):
        number = number * base + digit
    return number
