"""What proposes patches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from remediator.contracts.component import Component
from remediator.contracts.workspace import Workspace
from remediator.records.finding import Finding
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.reproducer import Reproducer
from remediator.records.verdict import Verdict


class Attempt(NamedTuple):
    """An earlier patch for the same finding, and why it fell."""

    patch: Patch
    verdict: Verdict


class Fixer(Component):
    """Proposes one patch, or declines with a reason. One whose `reproduces` is true can also write a test that shows the flaw."""

    kind: ClassVar[str] = "fixer"
    reproduces: ClassVar[bool] = False

    def candidates(self, finding: Finding) -> Sequence[Fixer]:
        """Return the fixers to ask instead of this one, independently of each other; all that they propose is judged alike."""
        return (self,)

    async def choose(self, finding: Finding, diffs: Sequence[str], workspace: Workspace) -> int | str:
        """Return the place of the diff to hand over among several that are proven alike, or why there is no opinion: then the first is.

        The diffs come in an order that tells nothing, without their authors' words.
        """
        return "the fixer does not choose"

    async def reproduce(self, finding: Finding, workspace: Workspace) -> Reproducer | Declined:
        """Return a reproducer that `workspace.acceptance` accepts, or why there is none."""
        return Declined(finding_id=finding.id, fixer=self.name, reason=ReasonCode.needs_model, detail="writes no reproducers")

    @abstractmethod
    async def fix(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
        """Return a patch against `workspace.tree`, or why there is none. Must not repeat a patch of `history`."""
