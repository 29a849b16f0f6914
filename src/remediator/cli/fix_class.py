"""How much a person has to look at a fix before taking it: derived from its evidence, never from anybody's word."""

from __future__ import annotations

from enum import StrEnum

from remediator.records.case import Case
from remediator.records.verdict import EvidenceLevel, Outcome, Verdict


class FixClass(StrEnum):
    """`safe`: proven, by a transform or by a reproducer. `review`: something is proven, look at it. `none`: no patch to show."""

    safe = "safe"
    review = "review"
    none = "none"


def class_of(case: Case) -> FixClass:
    """Return the class of a case's best patch.

    A patch that a model wrote is safe only from E4 on: passing tests and a quiet scanner do not show that it is right. A passed check
    that carries a warning (no test runs the changed lines) is a doubt, and a doubt is for a person.
    """
    best = case.best
    if best is None:
        return FixClass.none
    verdict = best[1]
    if verdict.outcome is not Outcome.verified or verdict.level is None:
        return FixClass.none
    paid = case.spend.input_tokens + case.spend.output_tokens > 0
    enough = EvidenceLevel.E4 if paid else EvidenceLevel.E3
    if verdict.sufficient and verdict.level >= enough and not warnings(verdict):
        return FixClass.safe
    return FixClass.review if verdict.sufficient or verdict.level >= EvidenceLevel.E2 else FixClass.none


def warnings(verdict: Verdict) -> tuple[str, ...]:
    """Return what checks that passed want to be known before anybody relies on them."""
    return tuple(f"{check.name}: {told}" for check in verdict.checks if (told := str(check.evidence.get("warning") or "")))
