"""Does one step of a case and tells what happened, as events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from remediator.contracts import Attempt, Fixer, Sink
from remediator.engine import plan
from remediator.engine.asker import Asker
from remediator.engine.judge import judge
from remediator.engine.project import Project
from remediator.engine.seal import seal_case
from remediator.engine.workspace import StepWorkspace
from remediator.errors import BudgetError, LlmAuthError, RecipeError, RemediatorError, SinkError
from remediator.evidence.bundle import BundleRef
from remediator.records.case import Case
from remediator.records.choice import Choice
from remediator.records.event import (
    BundleWritten,
    CaseClosed,
    CheckDone,
    Event,
    FixDeclined,
    PatchChosen,
    PatchProposed,
    ReproducerAccepted,
    ReproducerDeclined,
    SubmissionAccepted,
    VerdictReached,
)
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.record import digest_of
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.spend import Spend
from remediator.records.submission import Receipt, Submission
from remediator.records.verdict import Check

T = TypeVar("T")
Tell = Callable[[Event], Awaitable[None]]
_SINK_TRIES = 3


class Performer:
    """Performs steps for the cases of one run."""

    def __init__(self, project: Project, run_id: str, state: Path, asker: Asker, supplied: Reproducer | None = None) -> None:
        self._project = project
        self._run_id = run_id
        self._state = state
        self._asker = asker
        self._supplied = supplied

    async def perform(self, case: Case, step: plan.Step, tell: Tell) -> Sequence[Event]:
        """Do the step; return the events that it ends with. What happens on the way is told at once."""
        if isinstance(step, plan.Propose):
            return await self._propose(case, step.fixer)
        return (await self._performed(case, step, tell),)

    async def _performed(
        self, case: Case, step: plan.Reproduce | plan.Judge | plan.Choose | plan.Seal | plan.Submit | plan.Close, tell: Tell
    ) -> Event:
        match step:
            case plan.Reproduce(author):
                return await self._reproduce(case, author)
            case plan.Judge(patch):
                return await self._judge(case, patch, tell)
            case plan.Choose(patches):
                return await self._choose(case, patches)
            case plan.Seal(reason, detail):
                sealed = await asyncio.to_thread(self.seal, case, reason, detail)
                return BundleWritten(
                    run_id=self._run_id, case_id=case.id, at=_now(), bundle_path=str(sealed.path), bundle_digest=sealed.digest
                )
            case plan.Submit(sink):
                return await self._submit(case, sink)
            case plan.Close(reason, detail):
                return CaseClosed(run_id=self._run_id, case_id=case.id, at=_now(), reason=reason, detail=detail)

    async def _reproduce(self, case: Case, author: str) -> Event:
        told: Reproducer | Declined
        acceptance: Acceptance | None = None
        async with self._workspace(case, self._asker) as workspace:
            if author == plan.SUPPLIED:
                assert self._supplied is not None
                told = self._supplied.model_copy(update={"finding_id": case.finding.id})
            else:
                fixer = self._fixer(author)
                told = await self._guarded(fixer, case, fixer.reproduce(case.finding, workspace))
            if isinstance(told, Reproducer):
                # Whoever wrote it, what it is worth is measured here.
                try:
                    acceptance = await workspace.acceptance(told)
                except RecipeError as error:
                    told = Declined(
                        finding_id=case.finding.id,
                        fixer=author,
                        reason=ReasonCode.could_not_check,
                        detail=f"{error.message} {error.hint}".strip(),
                    )
        spend = await self._spent()
        if isinstance(told, Reproducer) and acceptance is not None and acceptance.accepted:
            return ReproducerAccepted(run_id=self._run_id, case_id=case.id, at=_now(), reproducer=told, acceptance=acceptance, spend=spend)
        reason, detail = ("not-reproduced", acceptance.detail) if acceptance is not None else ("", "")
        if isinstance(told, Declined):
            reason, detail = told.reason, told.detail
        return ReproducerDeclined(
            run_id=self._run_id, case_id=case.id, at=_now(), author=author, reason=reason, detail=detail, acceptance=acceptance, spend=spend
        )

    async def _propose(self, case: Case, name: str) -> Sequence[Event]:
        candidates = self._fixer(name).candidates(case.finding)
        alone = len(candidates) == 1
        try:
            async with asyncio.TaskGroup() as group:
                asked = [
                    group.create_task(self._answer(fixer, case, self._asker if alone else self._asker.within(str(number))))
                    for number, fixer in enumerate(candidates, 1)
                ]
        except ExceptionGroup as failed:
            # What stops a run is told as itself, whichever candidate met it; a bare group would look like a bug.
            known_ones, _ = failed.split(RemediatorError)
            raise (known_ones or failed).exceptions[0] from None
        events: list[Event] = []
        known = {patch.id for patch in case.patches}
        answers = [task.result() for task in asked]
        fresh = list({answer.id: answer for answer in answers if isinstance(answer, Patch) and answer.id not in known}.values())
        spend = await self._spent()
        if not fresh:
            declined = next((answer for answer in answers if isinstance(answer, Declined)), None) or Declined(
                finding_id=case.finding.id,
                fixer=name,
                reason=ReasonCode.no_safe_transform,
                detail="has no other fix than the one that fell",
            )
            return (FixDeclined(run_id=self._run_id, case_id=case.id, at=_now(), declined=declined, spend=spend),)
        for patch in fresh:
            events.append(PatchProposed(run_id=self._run_id, case_id=case.id, at=_now(), patch=patch, spend=Spend() if events else spend))
        return events

    def _fixer(self, name: str) -> Fixer:
        return next(fixer for fixer in self._project.kit.fixers if fixer.name == name)

    async def _answer(self, fixer: Fixer, case: Case, asker: Asker) -> Patch | Declined:
        async with self._workspace(case, asker) as workspace:
            return await self._guarded(fixer, case, fixer.fix(case.finding, workspace, attempts_of(case)))

    async def _guarded(self, fixer: Fixer, case: Case, answer: Awaitable[T]) -> T | Declined:
        # The step boundary: a fixer that breaks has declined, and the next one is asked.
        try:
            return await answer
        except LlmAuthError:
            # Every other question would end alike: the run stops, and goes on when the key is mended.
            raise
        except BudgetError as error:
            reason, detail = ReasonCode.budget, error.message
        except RecipeError as error:
            # Its hint is the end of the log: without it nobody knows what to mend.
            reason, detail = ReasonCode.could_not_check, " ".join(f"{error.message}; {error.hint}".split()).rstrip("; ")
        except RemediatorError as error:
            reason, detail = ReasonCode.could_not_check, error.message
        except Exception as error:
            reason, detail = ReasonCode.could_not_check, f"the fixer broke: {type(error).__name__}: {error}"
        return Declined(finding_id=case.finding.id, fixer=fixer.name, reason=reason, detail=detail)

    @contextlib.asynccontextmanager
    async def _workspace(self, case: Case, asker: Asker) -> AsyncIterator[StepWorkspace]:
        async with self._project.scratch() as scratch:
            yield StepWorkspace(self._project, self._project.base, scratch, finding=case.finding, reproducer=case.reproducer, asker=asker)

    async def _spent(self) -> Spend:
        return await asyncio.to_thread(self._asker.spent)

    async def _judge(self, case: Case, patch: Patch, tell: Tell) -> Event:
        required = self._project.kit.playbook.required(case.finding.severity)

        async def on_check(check: Check) -> None:
            await tell(CheckDone(run_id=self._run_id, case_id=case.id, at=_now(), patch_id=patch.id, check=check))

        verdict = await judge(self._project, case.finding, patch, required, on_check, reproducer=case.reproducer, asker=self._asker)
        return VerdictReached(run_id=self._run_id, case_id=case.id, at=_now(), verdict=verdict, spend=await self._spent())

    async def _choose(self, case: Case, patches: Sequence[Patch]) -> Event:
        """Take one of several patches that are proven alike. Whatever comes of asking, nothing that was proven changes."""
        # By digests, the same on every run: the place of a patch tells nothing of who wrote it, or when.
        shuffled = sorted(patches, key=lambda patch: digest_of(f"{case.finding.id}\0{patch.id}".encode("utf-8", "surrogateescape")))
        told = await self._opinion(case, patches[0].fixer, shuffled)
        valid = isinstance(told, int) and not isinstance(told, bool) and 0 <= told < len(shuffled)
        choice = Choice(
            patch_id=shuffled[int(told)].id if valid else patches[0].id,
            among=tuple(patch.id for patch in patches),
            decided_by="selector" if valid else "first",
            detail="" if valid else told if isinstance(told, str) else f"the fixer named no patch of these: {told!r:.40}",
        )
        return PatchChosen(run_id=self._run_id, case_id=case.id, at=_now(), choice=choice, spend=await self._spent())

    async def _opinion(self, case: Case, name: str, patches: Sequence[Patch]) -> int | str:
        fixer = self._fixer(name)
        async with self._workspace(case, self._asker) as workspace:
            # The step boundary. Even a refused key or used-up money stops nothing here: each of these is a proven fix.
            try:
                return await fixer.choose(case.finding, [patch.diff for patch in patches], workspace)
            except RemediatorError as error:
                return error.message
            except Exception as error:
                return f"the fixer broke: {type(error).__name__}: {error}"

    def seal(self, case: Case, reason: ReasonCode, detail: str) -> BundleRef:
        """Write the case's evidence bundle."""
        return seal_case(self._project, case, reason, detail, self._state)

    async def _submit(self, case: Case, name: str) -> Event:
        sink = next(sink for sink in self._project.kit.sinks if sink.name == name)
        best = case.best
        assert best is not None and best[1].sufficient, "only a proven fix is handed over"
        patch, verdict = best
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
