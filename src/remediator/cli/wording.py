"""One plain line for each event, safe for a terminal."""

from __future__ import annotations

from remediator.cli import case_view
from remediator.cli.console import safe
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
from remediator.records.finding import Finding
from remediator.records.patch import ReasonCode
from remediator.records.verdict import CheckStatus, EvidenceLevel

_MOST = 160


class Wording:
    """Puts events into words. It remembers which finding each case is about, so that lines can name a place."""

    def __init__(self, *, every_check: bool = False) -> None:
        self._findings: dict[str, Finding] = {}
        self._every_check = every_check

    def remember(self, event: Event) -> None:
        """Know which finding the event's case is about, without a line."""
        if isinstance(event, FindingReported):
            self._findings[event.case_id] = event.finding

    def line(self, event: Event) -> str:
        """Return the event as one line: what it belongs to, then what happened."""
        match event:
            case RunStarted():
                return _row("run", f"{event.run_id} on {event.target}")
            case RunProgress():
                return _row(event.phase, event.message or event.state)
            case RunFinished():
                return _row("run", event.outcome)
            case FindingReported():
                self.remember(event)
                return _row("found", f"{self._about(event.case_id)} {event.finding.headline}")
            case _:
                return self._of_case(event)

    def below(self, event: Event) -> list[str]:
        """Return what stands below the event's line for those who asked for more: the hint that came with it, such as the end of a log."""
        told = str(event.data.get("hint") or "") if isinstance(event, RunProgress) else ""
        return [f"{'':<9} {safe(line)}".rstrip() for line in told.splitlines()]

    def is_detail(self, event: Event) -> bool:
        """Return whether only those who asked for more want to see this."""
        match event:
            case CheckDone():
                # What E4 and E5 lack is said once, with the verdict; most runs have nobody to show the flaw.
                lacking = event.check.status is CheckStatus.not_run and event.check.level > EvidenceLevel.E3
                return not self._every_check and (lacking or event.check.status is CheckStatus.passed)
            case RunProgress():
                return event.state == "started"
            case FindingReported() | FixDeclined() | BundleWritten() | RunStarted() | RunFinished():
                return True
            case CaseClosed():
                # Cases that nothing was tried for are in the table at the end; thousands of lines would say no more.
                return event.reason is not ReasonCode.fixed
            case _:
                return False

    def doing(self, event: Event) -> str:
        """Return what is being done after this event, in a few words; empty where that does not change."""
        match event:
            case RunProgress(state="started"):
                return safe(f"{event.phase} {event.message}".strip(), limit=70)
            case PatchProposed():
                return f"verify {self._about(event.case_id)}"
            case CheckDone():
                return f"verify {self._about(event.case_id)} after {safe(event.check.name)}"
            case VerdictReached() | FixDeclined() | CaseClosed():
                return "fix"
            case _:
                return ""

    def _of_case(self, event: Event) -> str:
        about = self._about(getattr(event, "case_id", ""))
        match event:
            case PatchProposed():
                return _row("fix", f"{about} {event.patch.fixer}: {event.patch.transform or event.patch.title}")
            case FixDeclined():
                return _row("no fix", f"{about} {case_view.declined(event.declined)}")
            case CheckDone():
                check = event.check
                told = check.summary or check.reason
                return _row("check", f"{about} {check.name}: {case_view.MARKS[check.status][0]} {told}".rstrip())
            case VerdictReached():
                return _row("verify", f"{about} {event.verdict.outcome}: {case_view.evidence(event.verdict)}")
            case ReproducerAccepted():
                worth = event.acceptance
                shown = f"{len(worth.shows)} show it, {len(worth.variants)} variants, {len(worth.controls)} controls"
                return _row("shown", f"{about} reproducer by {event.reproducer.author}: {shown}")
            case ReproducerDeclined():
                return _row("not shown", f"{about} {event.author}: {event.reason} {event.detail}".rstrip())
            case PatchChosen():
                return _row("choose", f"{about} {case_view.chosen(event.choice)}")
            case BundleWritten():
                return _row("bundle", f"{about} {event.bundle_path}")
            case SubmissionAccepted():
                if not event.receipt.delivered:
                    return _row("submit", f"{about} {event.receipt.sink} keeps it: {event.receipt.detail}")
                again = " (was there already)" if event.receipt.duplicate else ""
                return _row("submit", f"{about} {event.receipt.sink} took it{again} {event.receipt.location}".rstrip())
            case CaseClosed():
                return _row("case", f"{about} {event.reason} {event.detail}".rstrip())
            case _:
                return _row("event", event.type)

    def _about(self, case_id: str) -> str:
        finding = self._findings.get(case_id)
        return f"{case_view.place(finding)} {case_view.label(finding)}" if finding else safe(case_id)


def _row(phase: str, text: str) -> str:
    return f"{safe(phase):<9} {safe(text, limit=_MOST)}".rstrip()
