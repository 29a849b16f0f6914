"""E5: somebody else ran the proof again. What runs inside of one run cannot be that."""

from __future__ import annotations

from typing import ClassVar

from remediator.contracts import Verifier, Workspace
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel


class ReplayedVerifier(Verifier):
    """Keeps E5 open until an independent replay of the bundle agrees; `remediator replay` then says that it is reached."""

    name: ClassVar[str] = "replayed"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E5

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Say that it is still to be done."""
        told = "nobody else has run the proof again yet: remediator replay BUNDLE"
        return Check(name=self.name, level=self.level, status=CheckStatus.not_run, reason="needs-replay", summary=told)
