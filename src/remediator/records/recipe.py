"""How a project is prepared, built and tested, and what came out when that was done."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from remediator.records.record import Record


class RecipeStep(Record):
    """One command of a recipe, run in the sandbox at the project's root."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    timeout_seconds: float = 600.0
    may_fail: bool = False


class Recipe(Record):
    """One way to prepare, build and test a project.

    `image` names one of our base images (a folder in `sandbox/images`). `options` belong to the ecosystem module that made the
    recipe. `inputs` are the files whose content the prepared image depends on. `notes` say what was tried before and why this is it.
    """

    ecosystem: str
    name: str
    image: str
    prepare: tuple[RecipeStep, ...] = ()
    build: tuple[RecipeStep, ...] = ()
    options: dict[str, Any] = {}
    inputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Return what makes two recipes the same: everything but the story of how it was found."""
        return {key: value for key, value in self.as_json().items() if key != "notes"}


class TestOutcome(StrEnum):
    """How one test ended. `error` is a failure in set-up or collection."""

    __test__ = False

    passed = "passed"
    failed = "failed"
    error = "error"
    skipped = "skipped"
    xfailed = "xfailed"
    xpassed = "xpassed"


class BuildRun(Record):
    """What the build steps did on one tree. `modules` are those that imported or compiled."""

    ok: bool
    reason: str = ""
    summary: str = ""
    argv: tuple[tuple[str, ...], ...] = ()
    exit_codes: tuple[int | None, ...] = ()
    modules: tuple[str, ...] = ()
    broken: dict[str, str] = {}
    log_digest: str = ""
    seconds: float = 0.0


class TestRun(Record):
    """One run of the project's tests, by test id, as told by our reporter and not by the project.

    `complete` is False when anything about the run is in doubt (time-out, lost, truncated, tampered); `problems` says what, by
    reason code. `raised` names the exception that each test which is not good ended with.
    `lines_run` maps a changed file to those of its changed lines that were executed.
    """

    __test__ = False

    complete: bool
    problems: tuple[str, ...] = ()
    results: dict[str, TestOutcome] = {}
    raised: dict[str, str] = {}
    argv: tuple[str, ...] = ()
    exit_code: int | None = None
    lines_run: dict[str, tuple[int, ...]] = {}
    runner: str = ""
    log_digest: str = ""
    image: str = ""
    seconds: float = 0.0

    def ids(self, *outcomes: TestOutcome) -> frozenset[str]:
        """Return the ids of the tests that ended in one of `outcomes`."""
        return frozenset(test for test, outcome in self.results.items() if outcome in outcomes)


class Baseline(Record):
    """Build and tests of the unpatched tree: two runs, so that what differs between them is known as flaky."""

    tree: str
    recipe: Recipe
    image: str
    build: BuildRun
    runs: tuple[TestRun, ...] = ()

    @property
    def flaky(self) -> frozenset[str]:
        """Return the ids of tests that did not end alike in every run."""
        ids = frozenset().union(*(run.results for run in self.runs)) if self.runs else frozenset()
        return frozenset(t for t in ids if len({run.results.get(t) for run in self.runs}) > 1)

    @property
    def passing(self) -> frozenset[str]:
        """Return the ids of tests that passed in every run."""
        if not self.runs:
            return frozenset()
        passed = [run.ids(TestOutcome.passed, TestOutcome.xpassed) for run in self.runs]
        return frozenset.intersection(*passed)
