"""What a step works in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from remediator.contracts.llm import Llm
from remediator.contracts.sandbox import Sandbox
from remediator.contracts.tree import Tree
from remediator.errors import ConfigError, RecipeError
from remediator.records.finding import Finding
from remediator.records.recipe import Baseline, BuildRun, TestRun
from remediator.records.reproducer import Acceptance, Reproducer
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

    def kept(self, digest: str) -> bytes:
        """Return an artefact by its digest. Raises KeyError where there is none."""
        raise KeyError(digest)

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
    async def test(self, *, edits: Mapping[str, bytes] | None = None) -> TestRun:
        """Run the project's tests on `tree`, with these files' content replaced, in a fresh sandbox with the baseline's recipe.

        Raises RecipeError without a baseline.
        """

    @property
    def reproducer(self) -> Reproducer | None:
        """Return the test that shows the flaw, where there is one."""
        return None

    async def acceptance(self, reproducer: Reproducer) -> Acceptance:
        """Return what a reproducer is worth on `base`: run three times there, in fresh sandboxes; measured once.

        Raises RecipeError without a baseline.
        """
        raise RecipeError("reproducers cannot be run here")

    async def probe(self, reproducer: Reproducer, *, edits: Mapping[str, bytes] | None = None) -> TestRun:
        """Run a reproducer once on `tree` with these files' content replaced, in a fresh sandbox. Raises RecipeError without a baseline."""
        raise RecipeError("reproducers cannot be run here")

    def llm(self, name: str = "default") -> Llm:
        """Return a model by the name that the operator gave it. Every question is paid from the case's budget and journalled.

        What was answered before a crash is answered again from the journal, for nothing: ask in the same order. Raises ConfigError
        for a name that is not known; asking raises BudgetError where it could cost more than is left.
        """
        raise ConfigError(f"no model {name!r}", hint=f"write a table [models.{name}] into your settings")

    async def remembered(self, name: str, body: Callable[[], Awaitable[str]]) -> str:
        """Return what the body returns, and after a crash what it returned before. `name` is new for every use in a step."""
        return await body()

    @abstractmethod
    def sandbox(self, *, setup: Sequence[Sequence[str]] = ()) -> AbstractAsyncContextManager[Sandbox]:
        """Open a fresh sandbox on the prepared image that holds `tree`.

        `setup` are commands of the operator's that were run with network on top of that image, and kept. Raises
        SandboxUnavailableError, RecipeError where a command of the setup fails.
        """

    @abstractmethod
    def syntax_error(self, path: str, data: bytes) -> str | None:
        """Return why the file does not parse in its own language, or None where it does or the language is unknown."""

    def finding_at(self, report: ScanReport, key: str) -> Sequence[Finding]:
        """Return the findings of a report that share `key`."""
        return [finding for finding in report.findings if finding.key == key]
