"""What is next for a case: the whole policy, pure."""

from __future__ import annotations

from typing import NamedTuple

from remediator.diff import Policy
from remediator.diff.roles import objections_of
from remediator.playbook import Playbook
from remediator.records.case import Case
from remediator.records.patch import Patch, ReasonCode
from remediator.records.verdict import Outcome, Verdict

_MOST_INFRA_TRIES = 3


class Propose(NamedTuple):
    """Ask the fixer of this name."""

    fixer: str


class Judge(NamedTuple):
    """Put this patch through the ladder."""

    patch: Patch


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


Step = Propose | Judge | Seal | Submit | Close


def next_step(playbook: Playbook, case: Case, *, minutes: float = 0.0, fixed_by: str = "") -> Step | None:
    """Return the next step, or None where the case is closed.

    `minutes` is how long the case has been worked on, `fixed_by` the case whose proven patch already removes this finding.
    """
    if case.closed:
        return None
    if case.fixed:
        return _hand_over(playbook, case)
    if fixed_by and not case.patches:
        return _end(case, ReasonCode.duplicate, f"already gone with {fixed_by}")
    if (why := _out_of_reach(playbook, case)) and not case.patches:
        return _end(case, ReasonCode.out_of_scope, why)
    if (patch := _unjudged(case)) is not None:
        return Judge(patch)
    if over := _over_budget(playbook, case, minutes):
        return _end(case, ReasonCode.budget, over)
    best = case.best
    if best and best[1].outcome is Outcome.verified:
        # What is missing (no tests, no sandbox) is not the patch's fault; another patch would stop at the same rung.
        return _end(case, ReasonCode.below_required, best[1].summary)
    declined = {answer.fixer for answer in case.declined}
    fixer = next((use.name for use in playbook.fix if use.name not in declined and _can_try(use.name, case)), None)
    if fixer is None or len(case.patches) >= playbook.limits.attempts:
        return _end(case, *_why_unfixed(case))
    return Propose(fixer)


def _hand_over(playbook: Playbook, case: Case) -> Step:
    if not case.bundle_digest:
        return Seal(ReasonCode.fixed, "")
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
