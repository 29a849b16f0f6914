"""What the journal remembers: one record for each thing that happened."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from remediator.records.choice import Choice
from remediator.records.finding import Finding
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.record import Record
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.source import Source
from remediator.records.spend import Spend
from remediator.records.submission import Receipt
from remediator.records.verdict import Check, Verdict


class _Event(Record):
    run_id: str
    at: datetime


class _CaseEvent(_Event):
    case_id: str


class RunStarted(_Event):
    """A run began; `configuration` holds the playbook, plugins and versions that it runs with."""

    type: Literal["RunStarted"] = "RunStarted"
    target: str
    configuration: dict[str, Any] = {}


class RunProgress(_Event):
    """A phase of the run began or ended; for people who watch. `phase` is checkout, prepare, baseline, scan, fix or report."""

    type: Literal["RunProgress"] = "RunProgress"
    phase: str
    state: Literal["started", "finished", "noted"] = "noted"
    message: str = ""
    source: Source | None = None
    data: dict[str, Any] = {}


class RunFinished(_Event):
    """A run ended."""

    type: Literal["RunFinished"] = "RunFinished"
    outcome: str
    data: dict[str, Any] = {}


class FindingReported(_CaseEvent):
    """A scanner reported a finding; opens the case."""

    type: Literal["FindingReported"] = "FindingReported"
    finding: Finding


class PatchProposed(_CaseEvent):
    """A fixer proposed a patch."""

    type: Literal["PatchProposed"] = "PatchProposed"
    patch: Patch
    spend: Spend = Spend()


class FixDeclined(_CaseEvent):
    """A fixer declined."""

    type: Literal["FixDeclined"] = "FixDeclined"
    declined: Declined
    spend: Spend = Spend()


class ReproducerAccepted(_CaseEvent):
    """A test shows the flaw on the unpatched tree: red in every run, for an assertion."""

    type: Literal["ReproducerAccepted"] = "ReproducerAccepted"
    reproducer: Reproducer
    acceptance: Acceptance
    spend: Spend = Spend()


class ReproducerDeclined(_CaseEvent):
    """No test was made that shows the flaw. `acceptance` tells of the last one that was tried, if any was."""

    type: Literal["ReproducerDeclined"] = "ReproducerDeclined"
    author: str
    reason: str
    detail: str = ""
    acceptance: Acceptance | None = None
    spend: Spend = Spend()


class CheckDone(_CaseEvent):
    """A verifier answered."""

    type: Literal["CheckDone"] = "CheckDone"
    patch_id: str
    check: Check


class VerdictReached(_CaseEvent):
    """All checks of a patch are in."""

    type: Literal["VerdictReached"] = "VerdictReached"
    verdict: Verdict
    spend: Spend = Spend()


class PatchChosen(_CaseEvent):
    """Of several patches that are worth the same, one was taken."""

    type: Literal["PatchChosen"] = "PatchChosen"
    choice: Choice
    spend: Spend = Spend()


class BundleWritten(_CaseEvent):
    """The evidence of a case was sealed: everything that was tried, signed."""

    type: Literal["BundleWritten"] = "BundleWritten"
    bundle_path: str
    bundle_digest: str


class SubmissionAccepted(_CaseEvent):
    """A sink took the fix."""

    type: Literal["SubmissionAccepted"] = "SubmissionAccepted"
    receipt: Receipt


class CaseClosed(_CaseEvent):
    """The end of a case, always with a reason."""

    type: Literal["CaseClosed"] = "CaseClosed"
    reason: ReasonCode
    detail: str = ""


Event = Annotated[
    RunStarted
    | RunProgress
    | RunFinished
    | FindingReported
    | PatchProposed
    | FixDeclined
    | ReproducerAccepted
    | ReproducerDeclined
    | CheckDone
    | VerdictReached
    | PatchChosen
    | BundleWritten
    | SubmissionAccepted
    | CaseClosed,
    Field(discriminator="type"),
]

event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads any event from its JSON form."""
