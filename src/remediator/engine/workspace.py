"""A step's view of a project."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remediator import recipe
from remediator.contracts import Llm, Sandbox, SandboxSpec, Tree, Workspace
from remediator.errors import RecipeError, StateError
from remediator.records.finding import Finding
from remediator.records.recipe import Baseline, BuildRun, TestRun
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.scan import ScanReport

if TYPE_CHECKING:
    from remediator.engine.asker import Asker
    from remediator.engine.project import Project


class StepWorkspace(Workspace):
    """The one workspace there is outside of tests."""

    def __init__(
        self,
        project: Project,
        tree: Tree,
        scratch: Path,
        *,
        paths: tuple[str, ...] | None = None,
        finding: Finding | None = None,
        reproducer: Reproducer | None = None,
        asker: Asker | None = None,
    ) -> None:
        self._project = project
        self._finding = finding
        self._reproducer = reproducer
        self._asker = asker
        self.source = project.source
        self.base = project.base
        self.tree = tree
        self.paths = paths
        self.scratch = scratch
        self._folders = itertools.count()

    def note(self, message: str, **facts: Any) -> None:
        """Tell the run's log something."""
        self._project.note(message, **facts)

    def keep(self, name: str, data: bytes) -> str:
        """Keep an artefact; return its digest."""
        return self._project.keep(name, data)

    def kept(self, digest: str) -> bytes:
        """Return an artefact."""
        try:
            return self._project.artefacts.get(digest)
        except StateError as error:
            raise KeyError(digest) from error

    def diff(self, edits: Mapping[str, bytes]) -> str:
        """Return the diff that these edits make."""
        return self._project.store.diff(self.tree, self._project.store.write(self.tree, edits))

    def materialise(self, paths: Sequence[str]) -> Path:
        """Write regular files of the tree below a fresh folder."""
        root = self.scratch / f"files-{next(self._folders)}"
        root.mkdir(mode=0o700)
        wanted = set(paths)
        for entry in self.tree.entries():
            if entry.path in wanted and entry.is_file and _stays_inside(entry.path):
                _write(root, entry.path, self.tree.read(entry.path, limit_bytes=entry.size))
        return root

    async def findings(self) -> ScanReport:
        """Return the scan of the base."""
        return await self._project.scan(self.base)

    async def rescan(self) -> ScanReport:
        """Scan the changed files that are still there."""
        there = {entry.path for entry in self.tree.entries()}
        return await self._project.scan(self.tree, tuple(path for path in self.changed if path in there))

    async def baseline(self) -> Baseline | None:
        """Return the project's baseline."""
        return await self._project.baseline()

    async def build(self) -> BuildRun:
        """Build the tree in a fresh sandbox."""
        baseline = await self._known_baseline()
        return await recipe.build(baseline, self.tree, self._project.provider(), keep=self.keep)

    async def test(self, *, edits: Mapping[str, bytes] | None = None) -> TestRun:
        """Test the tree in a fresh sandbox."""
        baseline = await self._known_baseline()
        return await recipe.test(baseline, self.base, await self._edited(edits), self._project.provider(), keep=self.keep)

    @property
    def reproducer(self) -> Reproducer | None:
        """Return the case's reproducer."""
        return self._reproducer

    async def acceptance(self, reproducer: Reproducer) -> Acceptance:
        """Return what a reproducer is worth on the base."""
        return await self._project.acceptance(reproducer, self._finding or _anything(reproducer))

    async def probe(self, reproducer: Reproducer, *, edits: Mapping[str, bytes] | None = None) -> TestRun:
        """Run a reproducer once."""
        baseline = await self._known_baseline()
        return await recipe.probe(baseline, self.base, await self._edited(edits), reproducer, (), self._project.provider(), keep=self.keep)

    async def _edited(self, edits: Mapping[str, bytes] | None) -> Tree:
        return await asyncio.to_thread(self._project.store.write, self.tree, edits) if edits else self.tree

    def llm(self, name: str = "default") -> Llm:
        """Return a model behind the case's purse."""
        if self._asker is None:
            return super().llm(name)
        return self._asker.llm(name)

    async def remembered(self, name: str, body: Callable[[], Awaitable[str]]) -> str:
        """Return what the body returned the first time."""
        return await body() if self._asker is None else await self._asker.remembered(name, body)

    def sandbox(self, *, setup: Sequence[Sequence[str]] = ()) -> AbstractAsyncContextManager[Sandbox]:
        """Open a fresh sandbox that holds the tree."""
        return self._sandbox(setup)

    @contextlib.asynccontextmanager
    async def _sandbox(self, setup: Sequence[Sequence[str]]) -> AsyncIterator[Sandbox]:
        baseline = await self._known_baseline()
        image = await recipe.extended(baseline.image, setup, self._project.provider(), keep=self.keep) if setup else baseline.image
        async with self._project.provider().open(SandboxSpec(image=image)) as sandbox:
            await sandbox.put(self.tree)
            yield sandbox

    def syntax_error(self, path: str, data: bytes) -> str | None:
        """Return why a file does not parse in its own language."""
        return recipe.syntax_error(path, data)

    async def _known_baseline(self) -> Baseline:
        baseline = await self._project.baseline()
        if baseline is None:
            raise RecipeError(f"the project cannot be prepared: {self._project.unprepared}", hint="say how in [recipe] of your settings")
        return baseline


def _anything(reproducer: Reproducer) -> Finding:
    return Finding.at(rule_id="", scanner="", message=reproducer.claim, location=None, snippet="")


def _stays_inside(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith("/") and all(part not in ("", ".", "..") and part.lower() != ".git" for part in parts)


def _write(root: Path, path: str, data: bytes) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
