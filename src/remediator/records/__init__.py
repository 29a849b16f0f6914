"""The values that flow through remediator: frozen, closed, without I/O."""

from __future__ import annotations

from remediator.records.case import Case, CaseState
from remediator.records.choice import Choice
from remediator.records.event import (
    BundleWritten,
    CaseClosed,
    CheckDone,
    Event,
    FindingReported,
    FixDeclined,
    PatchChosen,
    PatchProposed,
    ReproducerAccepted,
    ReproducerDeclined,
    RunFinished,
    RunProgress,
    RunStarted,
    SubmissionAccepted,
    VerdictReached,
)
from remediator.records.finding import Finding, Location, Severity, SuggestedFix, TextEdit, TraceStep
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.recipe import Baseline, BuildRun, Recipe, RecipeStep, TestOutcome, TestRun
from remediator.records.record import Record, canonical_json, digest_of
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.scan import Covered, ScanItem, ScanReport, Unchecked
from remediator.records.source import Source, SourceKind
from remediator.records.spend import Spend
from remediator.records.submission import Receipt, Submission
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel, Outcome, Verdict

__all__ = [
    "Acceptance",
    "Baseline",
    "BuildRun",
    "BundleWritten",
    "Case",
    "CaseClosed",
    "CaseState",
    "Check",
    "CheckDone",
    "CheckStatus",
    "Choice",
    "Covered",
    "Declined",
    "Event",
    "EvidenceLevel",
    "Finding",
    "FindingReported",
    "FixDeclined",
    "Location",
    "Outcome",
    "Patch",
    "PatchChosen",
    "PatchProposed",
    "ReasonCode",
    "Receipt",
    "Recipe",
    "RecipeStep",
    "Record",
    "Reproducer",
    "ReproducerAccepted",
    "ReproducerDeclined",
    "RunFinished",
    "RunProgress",
    "RunStarted",
    "ScanItem",
    "ScanReport",
    "Severity",
    "Source",
    "SourceKind",
    "Spend",
    "Submission",
    "SubmissionAccepted",
    "SuggestedFix",
    "TestOutcome",
    "TestRun",
    "TextEdit",
    "TraceStep",
    "Unchecked",
    "Verdict",
    "VerdictReached",
    "canonical_json",
    "digest_of",
]
