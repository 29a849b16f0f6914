"""What the core asks of a language: everything that only that language knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from remediator.contracts.sandbox import Limits, Sandbox
from remediator.contracts.tree import Tree
from remediator.errors import RecipeError
from remediator.recipe.hints import Hints
from remediator.records.recipe import Baseline, BuildRun, Recipe, TestRun
from remediator.records.source import Source

WORK_LIMITS = Limits(memory_mb=3072, pids=1024, disk_mb=4096)


class Built(NamedTuple):
    """A build and its log."""

    run: BuildRun
    log: bytes


class Tested(NamedTuple):
    """A test run and its log."""

    run: TestRun
    log: bytes


class Ecosystem(ABC):
    """One language with its tools. Reads trees as data only; runs nothing outside a sandbox."""

    name: ClassVar[str]

    @abstractmethod
    def detect(self, tree: Tree) -> bool:
        """Return whether the tree is a project of this language."""

    @abstractmethod
    def covers(self, path: str) -> bool:
        """Return whether a file is source code of this language."""

    @abstractmethod
    def syntax_error(self, path: str, data: bytes) -> str | None:
        """Return why the file does not parse, or None."""

    @abstractmethod
    def plans(self, tree: Tree, source: Source, hints: Hints) -> Sequence[Recipe]:
        """Return the recipes worth trying, the likeliest first."""

    @abstractmethod
    def diagnose(self, recipe: Recipe, stage: str, log: str) -> Recipe | None:
        """Return the recipe changed by what a log teaches, or None. `stage` is prepare, build or test."""

    @abstractmethod
    async def build(self, sandbox: Sandbox, recipe: Recipe, tree: Tree, baseline: Baseline | None) -> Built:
        """Build the tree that the sandbox holds and load its modules; judge against `baseline` where given.

        Raises SandboxError.
        """

    def reproducer_problem(self, files: Mapping[str, str]) -> str | None:
        """Return why these files are no reproducer, or None. Nothing is executed."""
        return f"reproducers are not known for {self.name}"

    async def probe(
        self, sandbox: Sandbox, recipe: Recipe, base: Tree, tree: Tree, files: Mapping[str, str], named: Sequence[str]
    ) -> Tested:
        """Run a reproducer's files, and nothing else, on the tree that the sandbox holds.

        Told is which of the lines changed since `base` ran, or where nothing changed, which lines of the product (of the `named` files, if
        any are). Test ids are told from the files' names on. Raises SandboxError, RecipeError where this language cannot.
        """
        raise RecipeError(f"reproducers are not known for {self.name}")

    @abstractmethod
    async def test(self, sandbox: Sandbox, recipe: Recipe, base: Tree, tree: Tree, only: Sequence[str]) -> Tested:
        """Run the tests of the tree that the sandbox holds, all or `only` these ids, watching the lines changed since `base`.

        Raises SandboxError.
        """
