"""E5: the flaw does not come back in another shape, and what has nothing to do with it works as before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from remediator.builtin.answer import Answer, answered, some
from remediator.builtin.mutated_inputs import mutated
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.recipe import TestOutcome, TestRun
from remediator.records.reproducer import Reproducer
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel


class VariantsVerifier(Verifier):
    """Runs the reproducer's variants, and its tests with changed inputs, as far as they were red on the base."""

    name: ClassVar[str] = "variants"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E5

    mutations: int = 24

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: self._judged(workspace))

    async def _judged(self, workspace: Workspace) -> Answer:
        reproducer = workspace.reproducer
        if reproducer is None:
            return Answer(CheckStatus.not_run, "no-reproducer", "there is no reproducer to vary", {})
        acceptance = await workspace.acceptance(reproducer)
        if not acceptance.accepted:
            return Answer(CheckStatus.not_run, "not-reproduced", "the reproducer was not accepted", {})
        written = list(acceptance.variants)
        made, made_red = await self._made(reproducer, workspace)
        evidence: dict[str, Any] = {"written": some(written), "made": len(made_red), "made_in_all": self.mutations if made else 0}
        if not written and not made_red:
            return Answer(CheckStatus.not_run, "no-variants", "no other shape of the flaw is known", evidence)
        logs: dict[str, str] = {}
        if written and (answer := await _still_green(workspace, reproducer, written, "variants.log", logs, evidence)):
            return answer
        if made and made_red and (answer := await _still_green(workspace, made, made_red, "changed-inputs.log", logs, evidence)):
            # A changed input may also change what is right: such a test speaks against calling the fix attacked, not against the fix.
            told = f"with a changed input the reproducer is still red: {answer.summary.partition(' ')[0]}"
            return answer._replace(status=CheckStatus.inconclusive, reason="variant-unclear", summary=told)
        count = len(written) + len(made_red)
        return Answer(CheckStatus.passed, "", f"{count} other shapes of the flaw, red on the base, are green", evidence, logs)

    async def _made(self, reproducer: Reproducer, workspace: Workspace) -> tuple[Reproducer | None, list[str]]:
        """Return a reproducer of changed inputs with those of its tests that show the flaw on the base."""
        files = await asyncio.to_thread(mutated, reproducer.files, self.mutations)
        if not files:
            return None, []
        made = Reproducer.of(finding_id=reproducer.finding_id, author="mutation", files=files, claim="changed inputs")
        # All are named as variants; one plain run tells which still show the flaw, and only those speak against a patch.
        acceptance = await workspace.acceptance(made)
        return made, list(acceptance.variants)


class ControlsVerifier(Verifier):
    """Runs the reproducer's benign controls, which were green on the base."""

    name: ClassVar[str] = "controls"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E5

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: self._judged(workspace))

    async def _judged(self, workspace: Workspace) -> Answer:
        reproducer = workspace.reproducer
        if reproducer is None:
            return Answer(CheckStatus.not_run, "no-reproducer", "there is no reproducer, so there are no controls", {})
        acceptance = await workspace.acceptance(reproducer)
        if not acceptance.accepted or not acceptance.controls:
            return Answer(CheckStatus.not_run, "no-controls", "no benign use beside the flaw is known", {})
        logs: dict[str, str] = {}
        evidence: dict[str, Any] = {"controls": some(acceptance.controls)}
        answer = await _still_green(workspace, reproducer, acceptance.controls, "controls.log", logs, evidence)
        if answer is not None:
            return answer
        return Answer(CheckStatus.passed, "", f"{len(acceptance.controls)} benign uses work as before", evidence, logs)


async def _still_green(
    workspace: Workspace, reproducer: Reproducer, tests: Sequence[str], log: str, logs: dict[str, str], evidence: dict[str, Any]
) -> Answer | None:
    """Run once, and what is red once more; return the answer where something is red or in doubt."""
    runs: list[TestRun] = []
    red: set[str] = set(tests)
    while red and len(runs) < 2:
        runs.append(await workspace.probe(reproducer))
        logs[log] = runs[-1].log_digest
        if not runs[-1].complete:
            evidence["problems"] = list(runs[-1].problems)
            told = f"a run is in doubt: {', '.join(runs[-1].problems)}"
            return Answer(CheckStatus.inconclusive, runs[-1].problems[0], told, dict(evidence), dict(logs))
        red = {test for test in red if runs[-1].results.get(test) is not TestOutcome.passed}
    if not red:
        return None
    evidence["red_on_patch"] = some(red)
    controls = log.startswith("controls")
    reason = "control-broken" if controls else "variant-vulnerable"
    told = f"{min(red)} is red: " + ("what worked before does not" if controls else "the flaw is there in another shape")
    return Answer(CheckStatus.failed, reason, told, dict(evidence), dict(logs))
