"""Puts one patch through the ladder. Fix, verify and replay all judge here, and nowhere else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from remediator.contracts import Verifier
from remediator.diff import inspect
from remediator.engine.asker import Asker
from remediator.engine.project import Project
from remediator.engine.workspace import StepWorkspace
from remediator.errors import PatchError, RemediatorError, SandboxLostError, SandboxUnavailableError
from remediator.evidence.replay import NOT_REPLAYED, UNREPLAYABLE
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.reproducer import Reproducer
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel, Verdict, fold

OnCheck = Callable[[Check], Awaitable[None]]


async def judge(
    project: Project,
    finding: Finding,
    patch: Patch,
    required: EvidenceLevel,
    on_check: OnCheck,
    *,
    reproducer: Reproducer | None = None,
    asker: Asker | None = None,
    replaying: bool = False,
) -> Verdict:
    """Run the playbook's verifiers on base plus patch, in order, until one fails; fold what they say.

    Of a flaw that no scanner sees, only a reproducer shows that it is gone: E4 is then required, whatever was asked for.
    """
    required = project.required_for(finding, at_least=required)
    checks: list[Check] = []
    try:
        tree = await asyncio.to_thread(project.store.apply, project.base, patch.diff)
    except PatchError as error:
        checks.append(_unappliable(error, patch.diff))
        await on_check(checks[0])
    else:
        async with project.scratch() as scratch:
            workspace = StepWorkspace(project, tree, scratch, finding=finding, reproducer=reproducer, asker=asker)
            await _climb(project, finding, patch, workspace, checks, on_check, frozenset(UNREPLAYABLE if replaying else ()))
    return fold(checks, patch_id=patch.id, finding_id=finding.id, required=required, expected=project.kit.expected())


async def _climb(
    project: Project, finding: Finding, patch: Patch, workspace: StepWorkspace, checks: list[Check], on_check: OnCheck, left: frozenset[str]
) -> None:
    for verifier in project.kit.verifiers:
        began = time.monotonic()
        if verifier.name in left:
            told = _NOT_AGAIN[verifier.name]
            check = Check(name=verifier.name, level=verifier.level, status=CheckStatus.not_run, reason=NOT_REPLAYED, summary=told)
        else:
            check = await asked(verifier, finding, patch, workspace)
        checks.append(check.model_copy(update={"seconds": round(time.monotonic() - began, 3)}))
        await on_check(checks[-1])
        if check.status is CheckStatus.failed:
            return


_NOT_AGAIN = {"reviewer": "what a model says cannot be measured again", "replayed": "a replay does not judge itself"}


async def asked(verifier: Verifier, finding: Finding, patch: Patch, workspace: StepWorkspace) -> Check:
    """Return what a verifier says, or that it broke."""
    # The step boundary: a verifier that breaks has proven nothing, and says so under its own name.
    try:
        return await verifier.verify(finding, patch, workspace)
    except SandboxLostError as error:
        status, reason, told = CheckStatus.infra_error, "sandbox-lost", error.message
    except SandboxUnavailableError as error:
        status, reason, told = CheckStatus.not_run, "no-sandbox", error.message
    except RemediatorError as error:
        status, reason, told = CheckStatus.inconclusive, "verifier-error", error.message
    except Exception as error:
        status, reason, told = CheckStatus.inconclusive, "verifier-crashed", f"{type(error).__name__}: {error}"
    return Check(name=verifier.name, level=verifier.level, status=status, reason=reason, summary=told)


def _unappliable(error: PatchError, diff: str) -> Check:
    """Name what the rules have against the patch, so that a forbidden one is not just told to be malformed."""
    objections = [objection for objection in inspect(diff) if objection.certain]
    named = next((objection.code for objection in objections if objection.code != "malformed-patch"), "does-not-apply")
    return Check(
        name="applies",
        level=EvidenceLevel.E0,
        status=CheckStatus.failed,
        reason=named,
        summary=error.message,
        evidence={"objections": [objection.as_json() for objection in objections[:20]]},
    )
