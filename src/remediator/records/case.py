"""One finding's journey, told by its events."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from remediator.records.choice import Choice
from remediator.records.event import (
    BundleWritten,
    CaseClosed,
    Event,
    FindingReported,
    FixDeclined,
    PatchChosen,
    PatchProposed,
    ReproducerAccepted,
    ReproducerDeclined,
    SubmissionAccepted,
    VerdictReached,
)
from remediator.records.finding import Finding
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.record import Record
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.spend import Spend
from remediator.records.submission import Receipt
from remediator.records.verdict import Verdict


class CaseState(StrEnum):
    """Where a case stands."""

    open = "open"
    proposed = "proposed"
    judged = "judged"
    submitted = "submitted"
    closed = "closed"


class Case(Record):
    """The state of a case: what `Case.replay` makes of its events.

    `patches` and `verdicts` are in the order of the attempts; `verdicts[i]` judges the patch with its `patch_id`.
    """

    id: str
    run_id: str
    finding: Finding
    patches: tuple[Patch, ...] = ()
    declined: tuple[Declined, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    reproducer: Reproducer | None = None
    acceptance: Acceptance | None = None
    unreproduced: dict[str, str] = {}
    """Who was asked for a reproducer and has none, with the reason."""
    choice: Choice | None = None
    bundle_path: str = ""
    bundle_digest: str = ""
    closed: ReasonCode | None = None
    detail: str = ""
    spend: Spend = Spend()

    @classmethod
    def replay(cls, events: Iterable[Event]) -> Case | None:
        """Return the case that the events tell of, or None where none of them opens one."""
        case: Case | None = None
        for event in events:
            case = _step(case, event)
        return case

    @property
    def state(self) -> CaseState:
        """Return where the case stands."""
        if self.closed:
            return CaseState.closed
        if self.receipts:
            return CaseState.submitted
        if len(self.verdicts) == len(self.patches) and self.verdicts:
            return CaseState.judged
        return CaseState.proposed if self.patches else CaseState.open

    @property
    def best(self) -> tuple[Patch, Verdict] | None:
        """Return the patch that reached the highest level, with its verdict.

        Among equals the smaller one wins, then the one of whose changed lines more were run, then the one that was chosen, then the
        earlier one.
        """
        chosen = self.choice.patch_id if self.choice else ""
        return next((pair for pair in self._tied if pair[0].id == chosen), next(iter(self._tied), None))

    @property
    def equals(self) -> tuple[Patch, ...]:
        """Return the patches that are worth as much as the best one, that one included, in the order of the attempts."""
        return tuple(patch for patch, _ in self._tied)

    @property
    def _tied(self) -> list[tuple[Patch, Verdict]]:
        judged = {verdict.patch_id: verdict for verdict in self.verdicts}
        pairs = [(patch, judged[patch.id]) for patch in self.patches if patch.id in judged]
        most = max((_worth(*pair) for pair in pairs), default=None)
        return [pair for pair in pairs if _worth(*pair) == most]

    @property
    def fixed(self) -> bool:
        """Return whether a patch is proven to the level that was required."""
        return any(verdict.sufficient for verdict in self.verdicts)


def _worth(patch: Patch, verdict: Verdict) -> tuple[bool, int, int, int]:
    level = -1 if verdict.level is None else int(verdict.level)
    return verdict.outcome == "verified", level, -patch.size, _run_lines(verdict)


def _run_lines(verdict: Verdict) -> int:
    told = (check.evidence.get("changed_lines") for check in verdict.checks)
    return sum(int(lines.get("executed", 0)) for lines in told if isinstance(lines, dict))


def _step(case: Case | None, event: Event) -> Case | None:
    if isinstance(event, FindingReported):
        return Case(id=event.case_id, run_id=event.run_id, finding=event.finding)
    if case is None:
        return None
    match event:
        case PatchProposed():
            changes: dict[str, object] = {
                "patches": (*case.patches, event.patch),
                "spend": case.spend + event.spend,
            }
        case FixDeclined():
            changes = {"declined": (*case.declined, event.declined), "spend": case.spend + event.spend}
        case ReproducerAccepted():
            changes = {"reproducer": event.reproducer, "acceptance": event.acceptance, "spend": case.spend + event.spend}
        case ReproducerDeclined():
            told = f"{event.reason}: {event.detail}" if event.detail else event.reason
            changes = {"unreproduced": {**case.unreproduced, event.author: told}, "spend": case.spend + event.spend}
        case VerdictReached():
            changes = {"verdicts": (*case.verdicts, event.verdict), "spend": case.spend + event.spend}
        case PatchChosen():
            changes = {"choice": event.choice, "spend": case.spend + event.spend}
        case BundleWritten():
            changes = {"bundle_path": event.bundle_path, "bundle_digest": event.bundle_digest}
        case SubmissionAccepted():
            changes = {"receipts": (*case.receipts, event.receipt)}
        case CaseClosed():
            changes = {"closed": event.reason, "detail": event.detail}
        case _:
            return case
    return case.model_copy(update=changes)
