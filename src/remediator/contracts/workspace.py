"""What a step works in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from remediator.contracts.sandbox import Sandbox
from remediator.contracts.tree import Tree
from remediator.records.finding import Finding
from remediator.records.recipe import Baseline, BuildRun, TestRun
from remediator.records.scan import ScanReport
from remediator.records.source import Source


class Workspace(ABC):
    """A step's view of the project.

    `tree` is what the step works on: the base when scanning and fixing, base plus patch when verifying. `base` is always the unpatched
    tree. `paths` narrows a scan to some files (None: all). `scratch` is a private folder that goes away with the step.
    """

    source: Source
    base: Tree
    tree: Tree
    paths: tuple[str, ...] | None
    scratch: Path

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the paths whose content or mode differs between `base` and `tree`, deleted ones included."""
        if self.base.id == self.tree.id:
            return ()
        before = {entry.path: (entry.mode, entry.oid) for entry in self.base.entries()}
        after = {entry.path: (entry.mode, entry.oid) for entry in self.tree.entries()}
        return tuple(sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path)))

    @abstractmethod
    def note(self, message: str, **facts: Any) -> None:
        """Tell the run's log something; secrets are blanked, control characters are escaped."""

    @abstractmethod
    def keep(self, name: str, data: bytes) -> str:
        """Keep an artefact (a log, a report); return its digest."""

    @abstractmethod
    def diff(self, edits: Mapping[str, bytes]) -> str:
        """Return the unified diff that turns `tree` into `tree` with these files' content replaced.

        Raises PatchError where the result would not be UTF-8 text.
        """

    @abstractmethod
    def materialise(self, paths: Sequence[str]) -> Path:
        """Write the named regular files of `tree` below a fresh folder in `scratch`, and return that folder.

        Links and submodules are left out. Nothing but the host's own tools may work there.
        """

    @abstractmethod
    async def findings(self) -> ScanReport:
        """Return what the run's scanners found on `base`."""

    @abstractmethod
    async def rescan(self) -> ScanReport:
        """Run the run's scanners anew, in fresh processes, on `tree`, restricted to the changed files."""

    @abstractmethod
    async def baseline(self) -> Baseline | None:
        """Return build and tests of `base`, measured once per run; None where no recipe works or no sandbox answers."""

    @abstractmethod
    async def build(self) -> BuildRun:
        """Build `tree` in a fresh sandbox with the baseline's recipe. Raises RecipeError without a baseline."""

    @abstractmethod
    async def test(self) -> TestRun:
        """Run the project's tests on `tree` in a fresh sandbox with the baseline's recipe. Raises RecipeError without a baseline."""

    @abstractmethod
    def sandbox(self) -> AbstractAsyncContextManager[Sandbox]:
        """Open a fresh sandbox on the prepared image that holds `tree`. Raises SandboxUnavailableError."""

    @abstractmethod
    def syntax_error(self, path: str, data: bytes) -> str | None:
        """Return why the file does not parse in its own language, or None where it does or the language is unknown."""

    def finding_at(self, report: ScanReport, key: str) -> Sequence[Finding]:
        """Return the findings of a report that share `key`."""
        return [finding for finding in report.findings if finding.key == key]
