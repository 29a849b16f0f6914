"""What judges patches."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from remediator.contracts.component import Component
from remediator.contracts.workspace import Workspace
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.verdict import Check, EvidenceLevel


class Verifier(Component):
    """Answers one question about a patch, from facts that neither the repository nor the fixer can write."""

    kind: ClassVar[str] = "verifier"
    level: ClassVar[EvidenceLevel]

    @abstractmethod
    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch. `workspace.tree` is base plus patch. What could not be run is `not_run`, never `passed`."""
