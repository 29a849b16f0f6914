"""What looks for vulnerabilities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import ClassVar

from remediator.contracts.component import Component
from remediator.contracts.workspace import Workspace
from remediator.records.scan import ScanItem


class Scanner(Component):
    """Yields a Finding for each suspected vulnerability, Covered for what it read, Unchecked for what it should have read and could not.

    A file that is in neither is one the scanner has no business with. On a patched tree a scanner that only brings what was found before
    yields Unchecked with the reason `cannot-rerun` for each file of its scope: that puts its own findings in doubt and no others.
    """

    kind: ClassVar[str] = "scanner"

    @abstractmethod
    def scan(self, workspace: Workspace) -> AsyncIterator[ScanItem]:
        """Scan `workspace.tree`, restricted to `workspace.paths` where given.

        Raises ScanError where nothing at all could be scanned.
        """
