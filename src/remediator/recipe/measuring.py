"""Builds and tests trees on a prepared image, each in a fresh sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from remediator.contracts.sandbox import SandboxProvider, SandboxSpec
from remediator.contracts.tree import Tree
from remediator.recipe.detect import ecosystem_named
from remediator.recipe.ecosystem import WORK_LIMITS, Built, Tested
from remediator.recipe.preparing import Keep, Note
from remediator.records.recipe import Baseline, BuildRun, Recipe, TestRun
from remediator.records.reproducer import Reproducer

RUNS = 2


class Measured(NamedTuple):
    """A baseline, and what the logs of build and tests said."""

    baseline: Baseline
    build_log: str
    test_log: str


async def measure(recipe: Recipe, image: str, tree: Tree, provider: SandboxProvider, *, keep: Keep, note: Note) -> Baseline:
    """Build the tree and run its tests twice. Raises SandboxError."""
    first = await measured_once(recipe, image, tree, provider, keep=keep, note=note)
    return await measured_again(first.baseline, tree, provider, keep=keep, note=note)


async def measured_once(recipe: Recipe, image: str, tree: Tree, provider: SandboxProvider, *, keep: Keep, note: Note) -> Measured:
    """Build the tree and run its tests once: enough to tell whether a recipe is any good."""
    built = await _build(recipe, image, tree, None, provider)
    build = _kept_build(built, keep)
    note("baseline built", ok=build.ok, reason=build.reason, modules=len(build.modules), broken=len(build.broken))
    baseline = Baseline(tree=tree.id, recipe=recipe, image=image, build=build)
    tested = await _test(baseline, tree, tree, provider, ())
    run = _kept_test(tested, keep)
    note("baseline tested", complete=run.complete, problems=run.problems, results=len(run.results), seconds=round(run.seconds, 1))
    measured = baseline.model_copy(update={"runs": (run,)})
    return Measured(measured, built.log.decode("utf-8", "replace"), tested.log.decode("utf-8", "replace"))


async def measured_again(baseline: Baseline, tree: Tree, provider: SandboxProvider, *, keep: Keep, note: Note) -> Baseline:
    """Run the tests again, so that what differs is known as flaky."""
    runs = list(baseline.runs)
    while len(runs) < RUNS:
        run = _kept_test(await _test(baseline, tree, tree, provider, ()), keep)
        note("baseline tested again", complete=run.complete, problems=run.problems, results=len(run.results))
        runs.append(run)
    return baseline.model_copy(update={"runs": tuple(runs)})


async def build(baseline: Baseline, tree: Tree, provider: SandboxProvider, *, keep: Keep) -> BuildRun:
    """Build the tree as the baseline was built; what worked there has to work here. Raises SandboxError."""
    return _kept_build(await _build(baseline.recipe, baseline.image, tree, baseline, provider), keep)


async def test(
    baseline: Baseline, base_tree: Tree, tree: Tree, provider: SandboxProvider, *, keep: Keep, only: Sequence[str] = ()
) -> TestRun:
    """Run the tests of the tree as those of the baseline were run: all, or `only` these ids. Raises SandboxError."""
    return _kept_test(await _test(baseline, base_tree, tree, provider, only), keep)


test.__test__ = False  # type: ignore[attr-defined]


async def probe(
    baseline: Baseline, base: Tree, tree: Tree, reproducer: Reproducer, named: Sequence[str], provider: SandboxProvider, *, keep: Keep
) -> TestRun:
    """Run a reproducer on a tree in a fresh sandbox. Raises SandboxError, RecipeError."""
    recipe = baseline.recipe
    async with provider.open(SandboxSpec(image=baseline.image, limits=WORK_LIMITS)) as sandbox:
        await sandbox.put(tree)
        return _kept_test(await ecosystem_named(recipe.ecosystem).probe(sandbox, recipe, base, tree, reproducer.files, named), keep)


async def _build(recipe: Recipe, image: str, tree: Tree, baseline: Baseline | None, provider: SandboxProvider) -> Built:
    async with provider.open(SandboxSpec(image=image, limits=WORK_LIMITS)) as sandbox:
        await sandbox.put(tree)
        return await ecosystem_named(recipe.ecosystem).build(sandbox, recipe, tree, baseline)


async def _test(baseline: Baseline, base: Tree, tree: Tree, provider: SandboxProvider, only: Sequence[str]) -> Tested:
    recipe = baseline.recipe
    async with provider.open(SandboxSpec(image=baseline.image, limits=WORK_LIMITS)) as sandbox:
        await sandbox.put(tree)
        return await ecosystem_named(recipe.ecosystem).test(sandbox, recipe, base, tree, only)


def _kept_build(built: Built, keep: Keep) -> BuildRun:
    return built.run.model_copy(update={"log_digest": keep("build.log", built.log)})


def _kept_test(tested: Tested, keep: Keep) -> TestRun:
    return tested.run.model_copy(update={"log_digest": keep("test.log", tested.log)})
