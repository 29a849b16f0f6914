"""What was checked, what came out, and the level that adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Any

from remediator.records.record import Record


class EvidenceLevel(IntEnum):
    """The ladder of DESIGN §4. A level is reached only if every level below it is."""

    E0 = 0
    E1 = 1
    E2 = 2
    E3 = 3
    E4 = 4
    E5 = 5

    @property
    def meaning(self) -> str:
        """Return the level's one word."""
        return ("applies", "builds", "rescanned", "tested", "reproduced", "attacked")[self]


class CheckStatus(StrEnum):
    """How one check ended. Only `passed` is a pass."""

    passed = "passed"
    failed = "failed"
    inconclusive = "inconclusive"
    not_run = "not_run"
    infra_error = "infra_error"


class Check(Record):
    """One verifier's answer.

    `reason` is a stable code (empty when passed), `summary` a sentence for people, `evidence` plain JSON facts,
    `artefacts` names of logs and reports to their digests in the artefact store.
    """

    name: str
    level: EvidenceLevel
    status: CheckStatus
    reason: str = ""
    summary: str = ""
    evidence: dict[str, Any] = {}
    artefacts: dict[str, str] = {}
    seconds: float = 0.0


class Outcome(StrEnum):
    """The five ways a verdict can end."""

    verified = "verified"
    rejected = "rejected"
    inconclusive = "inconclusive"
    blocked = "blocked"
    infra_error = "infra_error"


class Verdict(Record):
    """What the checks add up to. `level` is the highest level reached, None where not even E0 holds."""

    patch_id: str
    finding_id: str
    outcome: Outcome
    level: EvidenceLevel | None = None
    required: EvidenceLevel = EvidenceLevel.E3
    reason: str = ""
    summary: str = ""
    checks: tuple[Check, ...] = ()

    @property
    def shown(self) -> bool:
        """Return whether something shows that the flaw is gone: a scanner that saw it before, or a reproducer (E4)."""
        reproduced = self.level is not None and self.level >= EvidenceLevel.E4
        return reproduced or not _says_unseen(self.checks)

    @property
    def seen(self) -> bool:
        """Return whether a scanner saw the flaw before, and sees it no longer. Without a re-scan that passed, none did."""
        rescanned = any(check.level is EvidenceLevel.E2 and check.status is CheckStatus.passed for check in self.checks)
        return rescanned and not _says_unseen(self.checks)

    @property
    def sufficient(self) -> bool:
        """Return whether the patch may be handed over as proven."""
        return self.outcome is Outcome.verified and self.level is not None and self.level >= self.required


def fold(
    checks: Sequence[Check],
    *,
    patch_id: str,
    finding_id: str,
    required: EvidenceLevel,
    expected: Sequence[tuple[str, EvidenceLevel]],
) -> Verdict:
    """Fold checks into a verdict, failing closed.

    `expected` names every check of the playbook with its level. One that is missing from `checks` counts as not_run. A level with
    no expected check at all is not reached, and caps the ladder there. Any failed check rejects, whatever passed above it, also one
    that nobody expected. Of several answers under one name the worst counts; one at another level than expected proves nothing.

    A check whose evidence has `shown: false` cannot show that the flaw is gone; below E4 the verdict then says that nothing does.
    """
    ladder = (*(_answer(name, level, checks) for name, level in expected), *_unexpected(checks, expected))
    level = _reached(ladder)
    failed, infra = _first(ladder, CheckStatus.failed), _first(ladder, CheckStatus.infra_error)
    # What is not proven is told from the ground up: the lowest gap is what caps the level.
    gap = min((c for c in ladder if c.status is not CheckStatus.passed), key=lambda c: c.level, default=None)
    told: Check | None
    if failed:
        outcome, told = Outcome.rejected, failed
    elif infra:
        outcome, told = Outcome.infra_error, infra
    elif level is None:
        unsure = _first(ladder, CheckStatus.inconclusive)
        outcome, told = (Outcome.inconclusive if unsure else Outcome.blocked), unsure or gap
    else:
        # What was proven stands; what is missing above it caps the level and is told.
        outcome, told = Outcome.verified, gap
    reason = told.reason if told else ("" if ladder else "nothing-expected")
    summary = f"{told.name}: {told.summary}" if told else ("" if ladder else "the playbook names no check")
    if outcome is Outcome.verified and (level is None or level < EvidenceLevel.E4) and _says_unseen(ladder):
        reason, summary = reason or "not-shown", f"{_NOT_SHOWN}; {summary}" if summary else _NOT_SHOWN
    return Verdict(
        patch_id=patch_id,
        finding_id=finding_id,
        outcome=outcome,
        level=None if failed else level,
        required=required,
        reason=reason,
        summary=summary,
        checks=ladder,
    )


_NOT_SHOWN = "not shown: no scanner sees this flaw, and no reproducer shows that it is gone"
_WORST_FIRST = (CheckStatus.failed, CheckStatus.infra_error, CheckStatus.inconclusive, CheckStatus.not_run, CheckStatus.passed)


def _answer(name: str, level: EvidenceLevel, checks: Sequence[Check]) -> Check:
    given = sorted((check for check in checks if check.name == name), key=lambda check: _WORST_FIRST.index(check.status))
    if not given:
        return Check(name=name, level=level, status=CheckStatus.not_run, reason="not-run", summary="did not run")
    worst = given[0]
    if worst.status is CheckStatus.passed and any(check.level is not level for check in given):
        told = f"answered for {worst.level.name} where {level.name} was asked"
        return worst.model_copy(update={"level": level, "status": CheckStatus.inconclusive, "reason": "wrong-level", "summary": told})
    return worst.model_copy(update={"level": level})


def _unexpected(checks: Sequence[Check], expected: Sequence[tuple[str, EvidenceLevel]]) -> tuple[Check, ...]:
    """Return the failed checks that the playbook does not name: they prove nothing, but speak against the patch."""
    names = {name for name, _ in expected}
    return tuple(check for check in checks if check.name not in names and check.status is CheckStatus.failed)


def _says_unseen(checks: Sequence[Check]) -> bool:
    return any(check.evidence.get("shown") is False for check in checks)


def _first(ladder: Sequence[Check], status: CheckStatus) -> Check | None:
    return next((check for check in ladder if check.status is status), None)


def _reached(ladder: Sequence[Check]) -> EvidenceLevel | None:
    reached: EvidenceLevel | None = None
    for level in EvidenceLevel:
        at_level = [check for check in ladder if check.level is level]
        if not at_level or any(check.status is not CheckStatus.passed for check in at_level):
            return reached
        reached = level
    return reached
