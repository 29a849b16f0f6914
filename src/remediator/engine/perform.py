"""Does one step of a case and tells what happened, as events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from remediator.contracts import Attempt, Fixer, Sink
from remediator.engine import plan
from remediator.engine.judge import judge
from remediator.engine.project import Project
from remediator.engine.seal import seal_case
from remediator.engine.workspace import StepWorkspace
from remediator.errors import RemediatorError, SinkError
from remediator.evidence.bundle import BundleRef
from remediator.records.case import Case
from remediator.records.event import (
    BundleWritten,
    CaseClosed,
    CheckDone,
    Event,
    FixDeclined,
    PatchProposed,
    SubmissionAccepted,
    VerdictReached,
)
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.submission import Receipt, Submission
from remediator.records.verdict import Check

Tell = Callable[[Event], Awaitable[None]]
_SINK_TRIES = 3


class Performer:
    """Performs steps for the cases of one run."""

    def __init__(self, project: Project, run_id: str, state: Path) -> None:
        self._project = project
        self._run_id = run_id
        self._state = state

    async def perform(self, case: Case, step: plan.Step, tell: Tell) -> Event:
        """Do the step; return the event that it ends with. What happens on the way is told at once."""
        match step:
            case plan.Propose(fixer):
                return await self._propose(case, fixer)
            case plan.Judge(patch):
                return await self._judge(case, patch, tell)
            case plan.Seal(reason, detail):
                sealed = await asyncio.to_thread(self.seal, case, reason, detail)
                return BundleWritten(
                    run_id=self._run_id, case_id=case.id, at=_now(), bundle_path=str(sealed.path), bundle_digest=sealed.digest
                )
            case plan.Submit(sink):
                return await self._submit(case, sink)
            case plan.Close(reason, detail):
                return CaseClosed(run_id=self._run_id, case_id=case.id, at=_now(), reason=reason, detail=detail)

    async def _propose(self, case: Case, name: str) -> Event:
        fixer = next(fixer for fixer in self._project.kit.fixers if fixer.name == name)
        answer = await self._answer(fixer, case)
        if isinstance(answer, Patch) and answer.id in {patch.id for patch in case.patches}:
            answer = Declined(
                finding_id=case.finding.id,
                fixer=name,
                reason=ReasonCode.no_safe_transform,
                detail="has no other fix than the one that fell",
            )
        if isinstance(answer, Declined):
            return FixDeclined(run_id=self._run_id, case_id=case.id, at=_now(), declined=answer)
        return PatchProposed(run_id=self._run_id, case_id=case.id, at=_now(), patch=answer)

    async def _answer(self, fixer: Fixer, case: Case) -> Patch | Declined:
        async with self._project.scratch() as scratch:
            workspace = StepWorkspace(self._project, self._project.base, scratch)
            # The step boundary: a fixer that breaks has declined, and the next one is asked.
            try:
                return await fixer.fix(case.finding, workspace, attempts_of(case))
            except RemediatorError as error:
                reason, detail = ReasonCode.could_not_check, error.message
            except Exception as error:
                reason, detail = ReasonCode.could_not_check, f"the fixer broke: {type(error).__name__}: {error}"
        return Declined(finding_id=case.finding.id, fixer=fixer.name, reason=reason, detail=detail)

    async def _judge(self, case: Case, patch: Patch, tell: Tell) -> Event:
        required = self._project.kit.playbook.required(case.finding.severity)

        async def on_check(check: Check) -> None:
            await tell(CheckDone(run_id=self._run_id, case_id=case.id, at=_now(), patch_id=patch.id, check=check))

        verdict = await judge(self._project, case.finding, patch, required, on_check)
        return VerdictReached(run_id=self._run_id, case_id=case.id, at=_now(), verdict=verdict)

    def seal(self, case: Case, reason: ReasonCode, detail: str) -> BundleRef:
        """Write the case's evidence bundle."""
        return seal_case(self._project, case, reason, detail, self._state)

    async def _submit(self, case: Case, name: str) -> Event:
        sink = next(sink for sink in self._project.kit.sinks if sink.name == name)
        patch, verdict = next((p, v) for p in case.patches for v in case.verdicts if v.patch_id == p.id and v.sufficient)
        submission = Submission(
            id=Submission.identify(self._project.source, case.finding, patch, verdict),
            case_id=case.id,
            source=self._project.source,
            finding=case.finding,
            patch=patch,
            verdict=verdict,
            bundle_digest=case.bundle_digest,
            bundle_path=case.bundle_path,
        )
        receipt = await _handed_over(sink, submission)
        return SubmissionAccepted(run_id=self._run_id, case_id=case.id, at=_now(), receipt=receipt)


def attempts_of(case: Case) -> Sequence[Attempt]:
    """Return the case's judged patches with their last verdicts."""
    judged = {verdict.patch_id: verdict for verdict in case.verdicts}
    return [Attempt(patch, judged[patch.id]) for patch in case.patches if patch.id in judged]


async def _handed_over(sink: Sink, submission: Submission) -> Receipt:
    for attempt in range(_SINK_TRIES):
        try:
            return await sink.submit(submission)
        except SinkError:
            if attempt == _SINK_TRIES - 1:
                raise
            await asyncio.sleep(2**attempt)
    raise AssertionError("unreachable")


def _now() -> datetime:
    return datetime.now(UTC)
