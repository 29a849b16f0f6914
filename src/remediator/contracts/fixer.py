"""What proposes patches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from remediator.contracts.component import Component
from remediator.contracts.workspace import Workspace
from remediator.records.finding import Finding
from remediator.records.patch import Declined, Patch
from remediator.records.verdict import Verdict


class Attempt(NamedTuple):
    """An earlier patch for the same finding, and why it fell."""

    patch: Patch
    verdict: Verdict


class Fixer(Component):
    """Proposes one patch, or declines with a reason."""

    kind: ClassVar[str] = "fixer"

    @abstractmethod
    async def fix(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
        """Return a patch against `workspace.tree`, or why there is none. Must not repeat a patch of `history`."""
