"""Judges a bundle's patch again and compares what comes out with what was recorded."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

from remediator.errors import UsageError
from remediator.evidence.attest import SignatureState
from remediator.evidence.base import Base
from remediator.evidence.comparison import Difference, compare, evidence_digest, flaky, notes
from remediator.evidence.examine import Bundle
from remediator.evidence.scrub import Scrubber
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.recipe import Recipe
from remediator.records.record import Record
from remediator.records.reproducer import Reproducer
from remediator.records.source import Source
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel, Outcome, Verdict, fold

__all__ = ["Difference", "Judge", "ReplayOutcome", "ReplayReport", "ReplayRequest", "compare", "evidence_digest", "measured", "replay"]

NOT_REPLAYED = "not-replayed"
REPLAYED = "replayed"
REVIEWER = "reviewer"
UNREPLAYABLE = frozenset((REVIEWER, REPLAYED))
"""Checks whose answer no replay can measure, a model's or its own: their reason is NOT_REPLAYED in a replay."""
_NO_ANSWER = (CheckStatus.not_run, CheckStatus.infra_error, CheckStatus.inconclusive)


class ReplayRequest(NamedTuple):
    """All that a judge needs. `base` carries the tree where the bundle does; `playbook` is the resolved YAML, read it as any stranger's."""

    source: Source
    base: Base
    finding: Finding
    patch: Patch
    playbook: bytes
    expected: tuple[tuple[str, EvidenceLevel], ...]
    required: EvidenceLevel
    recipe: Recipe | None
    reproducer: Reproducer | None = None


class Judge(Protocol):
    """Judges a patch from scratch, in fresh sandboxes, seeing nothing of what was recorded about it."""

    async def __call__(self, request: ReplayRequest) -> Verdict:
        """Return the verdict. Raises whatever keeps it from judging, such as SandboxUnavailableError."""


class ReplayOutcome(StrEnum):
    """How a replay ended. Only `agreed` confirms the bundle."""

    agreed = "agreed"
    differs = "differs"
    could_not_check = "could-not-check"


class ReplayReport(Record):
    """What a replay says of a bundle. `differences` has the first one first; `notes` are about the environment and do not count."""

    case_id: str
    patch_id: str
    bundle_digest: str
    signature: SignatureState
    outcome: ReplayOutcome
    recorded: Verdict
    replayed: Verdict
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    recorded_digest: str = ""
    replayed_digest: str = ""
    same_recipe: bool = True
    """Whether the project was built and tested as the bundle says."""
    review: Check | None = None
    """What a reviewer of the replaying side said, where one was asked. It is no part of the comparison."""
    wants_review: bool = False
    """Whether the replaying side's own playbook has a reviewer asked, whatever the bundle's says."""

    @property
    def agreed(self) -> bool:
        """Return whether the replay came to the same evidence."""
        return self.outcome is ReplayOutcome.agreed

    @property
    def raises(self) -> EvidenceLevel | None:
        """Return the level that this replay raises the case to: E5, where it agrees, measured some of E5, and nothing else was missing."""
        others = [check for check in self.recorded.checks if check.name != REPLAYED]
        measured = any(check.level is EvidenceLevel.E5 and check.name not in UNREPLAYABLE for check in others)
        asked = len(others) < len(self.recorded.checks) and measured
        whole = all(check.status is CheckStatus.passed for check in others)
        return EvidenceLevel.E5 if self.agreed and asked and whole and self.recorded.level is EvidenceLevel.E4 else None


async def replay(bundle: Bundle, judge: Judge, *, scrub: Scrubber | None = None) -> ReplayReport:
    """Judge the bundle's patch again and compare; of a case that has none to hand over, the last patch that was judged.

    `scrub` takes this machine's folders out of the new verdict as the bundle's writer did with its own. Raises UsageError where no patch
    was ever judged.
    """
    patch, recorded = _judged(bundle)
    request = ReplayRequest(
        bundle.source,
        bundle.base,
        bundle.finding,
        patch,
        bundle.playbook,
        bundle.expected,
        recorded.required,
        bundle.recipe,
        bundle.reproducer,
    )
    replayed = taken_over((scrub or Scrubber()).verdict(await judge(request)), recorded)
    return report(bundle, recorded, replayed)


def taken_over(replayed: Verdict, recorded: Verdict) -> Verdict:
    """Return the replayed verdict with the answers that no replay can give (a model's, a person's) as they were recorded.

    They are told as notes; all that can be measured again is. What was asked, and at which level, is the judge's word alone: a bundle that
    says that nobody asked for tests, and that its reviewer stands for E4, moves nothing.
    """
    before = {check.name: check for check in recorded.checks}
    left = {check.name for check in replayed.checks if _unmeasured(check) and check.name in before}
    if not left:
        return replayed
    checks = [before[check.name] if check.name in left else check for check in replayed.checks]
    expected = [(check.name, check.level) for check in replayed.checks]
    return fold(checks, patch_id=replayed.patch_id, finding_id=replayed.finding_id, required=replayed.required, expected=expected)


def measured(replayed: Verdict, review: Check | None = None) -> Verdict:
    """Return a replayed verdict without the answers that were taken over: what is left was measured here.

    `review` is what our own reviewer said after the replay agreed: it stands in the place of the recorder's, and that agreement in the
    place of the replay that was still to be done.
    """
    checks = [(_own(check, review) if review else _left_open(check)) if check.name in UNREPLAYABLE else check for check in replayed.checks]
    expected = [(check.name, check.level) for check in replayed.checks]
    return fold(checks, patch_id=replayed.patch_id, finding_id=replayed.finding_id, required=replayed.required, expected=expected)


def _own(check: Check, review: Check) -> Check:
    if check.name == REVIEWER:
        return review.model_copy(update={"name": check.name, "level": check.level})
    told = "it was run again here, and came to the same evidence"
    return Check(name=check.name, level=check.level, status=CheckStatus.passed, summary=told)


def _left_open(check: Check) -> Check:
    told = "as its recorder says; no replay can give its answer"
    return Check(name=check.name, level=check.level, status=CheckStatus.not_run, reason=NOT_REPLAYED, summary=told)


def _unmeasured(check: Check) -> bool:
    return check.name in UNREPLAYABLE and check.reason == NOT_REPLAYED


def report(bundle: Bundle, recorded: Verdict, replayed: Verdict) -> ReplayReport:
    """Return what the two verdicts say of the bundle."""
    differences = compare(recorded, replayed)
    aside = flaky(recorded) | flaky(replayed)
    return ReplayReport(
        case_id=bundle.case_id,
        patch_id=recorded.patch_id,
        bundle_digest=bundle.digest,
        signature=bundle.signature,
        outcome=_outcome(recorded, replayed, differences),
        recorded=recorded,
        replayed=replayed,
        differences=differences,
        notes=(*bundle.notes, *notes(recorded, replayed), *_not_measured(recorded)),
        recorded_digest=evidence_digest(recorded, aside=aside),
        replayed_digest=evidence_digest(replayed, aside=aside),
    )


def _not_measured(recorded: Verdict) -> list[str]:
    return [
        f"check {check.name} is as recorded: no replay can give its answer"
        for check in recorded.checks
        if check.name in UNREPLAYABLE - {REPLAYED}
    ]


def _judged(bundle: Bundle) -> tuple[Patch, Verdict]:
    attempts = bundle.attempts if bundle.chosen is None else (bundle.attempts[bundle.chosen],)
    for attempt in reversed(attempts):
        if attempt.verdict is not None and attempt.verdict.outcome is not Outcome.infra_error:
            return attempt.patch, attempt.verdict
    raise UsageError(
        f"case {bundle.case_id} has no judged patch to replay",
        hint=f"it ended with {bundle.reason}: {bundle.detail}" if bundle.reason else "nothing was proposed, or the sandbox failed",
    )


def _outcome(recorded: Verdict, replayed: Verdict, differences: tuple[Difference, ...]) -> ReplayOutcome:
    if not differences:
        return ReplayOutcome.agreed
    if replayed.outcome is Outcome.infra_error or _lacking(recorded, replayed):
        return ReplayOutcome.could_not_check
    return ReplayOutcome.differs


def _lacking(recorded: Verdict, replayed: Verdict) -> bool:
    """Return whether all that went otherwise is that checks came to no answer here."""
    before = {check.name: check.status for check in recorded.checks}
    changed = [check for check in replayed.checks if before.get(check.name) != check.status]
    return bool(changed) and all(check.status in _NO_ANSWER for check in changed)
