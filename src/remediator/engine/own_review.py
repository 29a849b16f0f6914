"""Asks a reviewer of the replaying side, so that E5 need not lean on an answer that only a bundle's recorder heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from remediator.contracts import Verifier
from remediator.engine.asker import Asking
from remediator.engine.judge import asked
from remediator.engine.project import Project
from remediator.engine.workspace import StepWorkspace
from remediator.evidence.replay import REVIEWER, UNREPLAYABLE, ReplayRequest
from remediator.playbook import PlaybookLimits, Use, make
from remediator.records.record import canonical_json, digest_of
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel, Outcome, Verdict
from remediator.registry import Registry


class Reviewer(NamedTuple):
    """A model of the replaying side, by the operator's name for it, and what it may cost."""

    model: str
    asking: Asking
    registry: Registry
    defaults: Callable[[str], dict[str, Any]]

    async def asked(self, project: Project, request: ReplayRequest, verdict: Verdict, limits: PlaybookLimits) -> Check | None:
        """Return what it says of the patch; None where its word changes nothing, since something else is missing."""
        if not _lacks_only_a_review(verdict):
            return None
        use = Use(use=REVIEWER, **{"with": {"llm": self.model}})
        verifier = make(use, "verifier", Verifier, self.registry, self.defaults(use.name))  # type: ignore[type-abstract]
        # A patch's id is too short to be a proof: an answer is kept for the whole of what was asked about.
        about = digest_of(canonical_json([request.finding.as_json(), request.patch.diff]))
        asker = self.asking.for_step(about, self.model, limits, minutes_used=0.0)
        tree = await asyncio.to_thread(project.store.apply, project.base, request.patch.diff)
        async with project.scratch() as scratch, verifier:
            workspace = StepWorkspace(project, tree, scratch, finding=request.finding, reproducer=request.reproducer, asker=asker)
            return await asked(verifier, request.finding, request.patch, workspace)


def _lacks_only_a_review(verdict: Verdict) -> bool:
    measured = [check for check in verdict.checks if check.name not in UNREPLAYABLE]
    attacked = any(check.level is EvidenceLevel.E5 for check in measured)
    wanted = any(check.name == REVIEWER for check in verdict.checks)
    whole = all(check.status is CheckStatus.passed for check in measured)
    return wanted and attacked and whole and verdict.outcome is Outcome.verified
