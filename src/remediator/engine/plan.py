"""What is next for a case: the whole policy, pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from remediator.diff import Policy
from remediator.diff.roles import objections_of
from remediator.playbook import Playbook
from remediator.records.case import Case
from remediator.records.patch import Patch, ReasonCode
from remediator.records.verdict import CheckStatus, EvidenceLevel, Outcome, Verdict

SUPPLIED = "supplied"
_MOST_INFRA_TRIES = 3
_PATCHS_OWN = frozenset(("unneeded-hunk", "too-many-hunks", "variant-unclear", "objection-open"))


class Reproduce(NamedTuple):
    """Have a test written that shows the flaw, by this fixer; or take the one that was supplied."""

    author: str


class Propose(NamedTuple):
    """Ask the fixer of this name."""

    fixer: str


class Judge(NamedTuple):
    """Put this patch through the ladder."""

    patch: Patch


class Choose(NamedTuple):
    """Take one of these patches, which are worth the same."""

    patches: tuple[Patch, ...]


class Seal(NamedTuple):
    """Write the evidence bundle of everything tried, to be closed with this reason."""

    reason: ReasonCode
    detail: str


class Submit(NamedTuple):
    """Hand the proven fix to the sink of this name."""

    sink: str


class Close(NamedTuple):
    """End the case."""

    reason: ReasonCode
    detail: str


Step = Reproduce | Propose | Judge | Choose | Seal | Submit | Close


def next_step(
    playbook: Playbook,
    case: Case,
    *,
    minutes: float = 0.0,
    fixed_by: str = "",
    authors: Sequence[str] = (),
    required: EvidenceLevel = EvidenceLevel.E3,
) -> Step | None:
    """Return the next step, or None where the case is closed.

    `minutes` is how long the case has been worked on, `fixed_by` the case whose proven patch already removes this finding, `authors` who
    can come up with a reproducer (`supplied`, or fixers of the playbook), `required` the level that a fix has to reach.
    """
    if case.closed:
        return None
    if case.fixed and _unjudged(case) is None:
        return _hand_over(playbook, case)
    if not case.patches and (end := _needless(playbook, case, fixed_by)):
        return _end(case, *end)
    author = _next_author(case, authors)
    if author == SUPPLIED or (author and required >= EvidenceLevel.E4 and not _over_budget(playbook, case, minutes)):
        return Reproduce(author)
    if (patch := _unjudged(case)) is not None:
        return Judge(patch)
    if over := _over_budget(playbook, case, minutes):
        return _end(case, ReasonCode.budget, over)
    best = case.best
    if best and best[1].outcome is Outcome.verified and not _may_do_better(best[1], required):
        # What is missing (no tests, no sandbox) is not the patch's fault; another patch would stop at the same rung.
        return _end(case, ReasonCode.below_required, best[1].summary)
    return _ask(playbook, case, authors, required)


def _needless(playbook: Playbook, case: Case, fixed_by: str) -> tuple[ReasonCode, str] | None:
    if fixed_by:
        return ReasonCode.duplicate, f"already gone with {fixed_by}"
    why = _out_of_reach(playbook, case)
    return (ReasonCode.out_of_scope, why) if why else None


def _ask(playbook: Playbook, case: Case, authors: Sequence[str], required: EvidenceLevel) -> Step:
    declined = {answer.fixer for answer in case.declined}
    fixer = next((use.name for use in playbook.fix if use.name not in declined and _can_try(use.name, case)), None)
    if fixer is None or len(case.patches) >= playbook.limits.attempts:
        return _end(case, *_why_unfixed(case))
    if fixer in authors and case.reproducer is None:
        if fixer not in case.unreproduced:
            return Reproduce(fixer)
        if required >= EvidenceLevel.E4:
            # Whatever it proposed could not be shown to be right: nothing more is paid for it.
            return _end(case, *_why_unreproduced(case))
    return Propose(fixer)


def _next_author(case: Case, authors: Sequence[str]) -> str:
    if case.reproducer is not None:
        return ""
    return next((author for author in authors if author not in case.unreproduced), "")


def _why_unreproduced(case: Case) -> tuple[ReasonCode, str]:
    told = next(iter(reversed(case.unreproduced.values())), "")
    reason = ReasonCode.budget if told.startswith(ReasonCode.budget) else ReasonCode.could_not_check
    return reason, f"nothing shows the flaw: {told}"


def _may_do_better(verdict: Verdict, required: EvidenceLevel) -> bool:
    """Return whether the patch itself (a hunk too many, say) kept a check of E4 or E5 from its answer, so that another may pass."""
    return any(
        check.status is CheckStatus.inconclusive and EvidenceLevel.E4 <= check.level <= required and check.reason in _PATCHS_OWN
        for check in verdict.checks
    )


def _hand_over(playbook: Playbook, case: Case) -> Step:
    if not case.bundle_digest:
        return Choose(case.equals) if len(case.equals) > 1 and case.choice is None else Seal(ReasonCode.fixed, "")
    taken = {receipt.sink for receipt in case.receipts}
    sink = next((use.name for use in playbook.submit if use.name not in taken), None)
    return Submit(sink) if sink else Close(ReasonCode.fixed, "")


def _end(case: Case, reason: ReasonCode, detail: str) -> Step:
    return Close(reason, detail) if case.bundle_digest else Seal(reason, detail)


def _out_of_reach(playbook: Playbook, case: Case) -> str:
    """Return why no patch could touch the finding's file anyway: the gate would refuse it by its path."""
    guards = next((use for use in playbook.verify if use.name == "guards"), None)
    if guards is None or not case.finding.path:
        return ""
    if Policy(allow=tuple(guards.options.get("allow", ()))).allows(case.finding.path):
        return ""
    return next((f"no patch may touch this file ({objection.code})" for objection in objections_of(case.finding.path)), "")


def _can_try(fixer: str, case: Case) -> bool:
    """Return whether asking a fixer has a point: these two work at the finding's place, which one in words may not have."""
    return fixer not in ("suggested", "codemod") or case.finding.location is not None


def _unjudged(case: Case) -> Patch | None:
    for patch in case.patches:
        verdicts = [verdict for verdict in case.verdicts if verdict.patch_id == patch.id]
        if not verdicts or (verdicts[-1].outcome is Outcome.infra_error and len(verdicts) < _MOST_INFRA_TRIES):
            return patch
    return None


def _over_budget(playbook: Playbook, case: Case, minutes: float) -> str:
    limits = playbook.limits
    if minutes > limits.minutes:
        return f"{limits.minutes:g} minutes are used up"
    if case.spend.usd > 0 and case.spend.usd >= limits.usd:
        return f"{limits.usd} USD are used up"
    return ""


def _why_unfixed(case: Case) -> tuple[ReasonCode, str]:
    if case.verdicts:
        verdict = case.verdicts[-1]
        infra = verdict.outcome is Outcome.infra_error
        return (ReasonCode.could_not_check if infra else ReasonCode.verify_failed), _told(verdict)
    if case.declined:
        # The last fixer asked is the most able one: its reason says what would be needed.
        return case.declined[-1].reason, case.declined[-1].detail
    return ReasonCode.needs_model, "the playbook has no fixer for it"


def _told(verdict: Verdict) -> str:
    return f"{verdict.outcome}: {verdict.summary}" if verdict.summary else str(verdict.outcome)
