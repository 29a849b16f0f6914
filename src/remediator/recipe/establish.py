"""Finds a way to build and test a project: try, look at what went wrong, try again, keep the best."""

from __future__ import annotations

import time
from typing import NamedTuple

from remediator.contracts.sandbox import SandboxProvider
from remediator.contracts.tree import Tree
from remediator.errors import RecipeError
from remediator.recipe.detect import ecosystem_of
from remediator.recipe.ecosystem import Ecosystem
from remediator.recipe.hints import Hints
from remediator.recipe.measuring import Measured, measured_again, measured_once
from remediator.recipe.preparing import Keep, Note, prepared_image
from remediator.records.recipe import Baseline, Recipe, TestOutcome
from remediator.records.record import canonical_json
from remediator.records.source import Source
from remediator.redact import printable

_HEALTHY_SHARE = 0.9
_TAIL_CHARS = 1500
_ENOUGH_SECONDS = 900.0
# Old pins make installers build one old version after the other. Where one way is known already, another may not cost for ever.
_FIRST_WAY_SECONDS, _ANOTHER_WAY_SECONDS = 900.0, 240.0
_SLOW_SECONDS = 90.0


class _Attempt(NamedTuple):
    recipe: Recipe
    measured: Measured | None
    story: str
    stage: str
    log: str


async def establish(tree: Tree, source: Source, hints: Hints, provider: SandboxProvider, *, keep: Keep, note: Note) -> Baseline:
    """Return the best baseline that a handful of attempts gives; its recipe's notes tell what was tried.

    A project without tests gives one whose runs have no results and the problem `no-tests`. Raises RecipeError where no attempt could
    be prepared at all, SandboxError where the sandbox cannot be used.
    """
    ecosystem = ecosystem_of(tree)
    attempts = await _attempts(ecosystem, list(ecosystem.plans(tree, source, hints)), hints.attempts, tree, provider, keep, note)
    best = max(attempts, key=lambda attempt: _worth(attempt.measured))
    if best.measured is None:
        tail = printable(attempts[-1].log[-_TAIL_CHARS:], keep_newlines=True)
        raise RecipeError(
            f"{source.name}: none of {len(attempts)} attempt{'s' * (len(attempts) != 1)} could be prepared",
            hint="; ".join([*(attempt.story for attempt in attempts), f"the last log ends: {tail}"]),
        )
    told = [attempt.story + (" — taken" if attempt is best else "") for attempt in attempts]
    recipe = best.recipe.model_copy(update={"notes": (*best.recipe.notes, *told)})
    baseline = best.measured.baseline.model_copy(update={"recipe": recipe})
    return await measured_again(baseline, tree, provider, keep=keep, note=note)


async def _attempts(
    ecosystem: Ecosystem, plans: list[Recipe], most: int, tree: Tree, provider: SandboxProvider, keep: Keep, note: Note
) -> list[_Attempt]:
    """Try plans until one is healthy and nothing more can be learned from its failures."""
    attempts: list[_Attempt] = []
    seen: set[bytes] = set()
    limit, idle = most, 0
    began = time.monotonic()
    while plans and len(attempts) < limit and idle < 2 and time.monotonic() - began < _ENOUGH_SECONDS:
        recipe = plans.pop(0)
        identity = canonical_json(recipe.identity())
        if identity in seen:
            continue
        seen.add(identity)
        before = max((_worth(attempt.measured) for attempt in attempts), default=_worth(None))
        seconds = _ANOTHER_WAY_SECONDS if any(attempt.measured for attempt in attempts) else _FIRST_WAY_SECONDS
        attempt = await _attempt(len(attempts) + 1, recipe, tree, provider, keep, note, seconds)
        attempts.append(attempt)
        healthy = any(attempt.measured and is_healthy(attempt.measured.baseline) for attempt in attempts)
        # A preparation that fails costs little: it does not use up an attempt, to a point.
        limit += attempt.measured is None and limit < 2 * most
        idle = idle + 1 if healthy and _worth(attempt.measured) <= before else 0
        if attempt.measured and is_healthy(attempt.measured.baseline) and _is_enough(attempt.measured.baseline):
            break
        better = ecosystem.diagnose(recipe, attempt.stage, attempt.log)
        if better is not None:
            # Where nothing at all works, another ground is likelier to help than mending this one piece by piece.
            plans.insert(0 if _works(attempt.measured) else 1, better)
        elif healthy:
            break
    return attempts


async def _attempt(
    number: int, recipe: Recipe, tree: Tree, provider: SandboxProvider, keep: Keep, note: Note, most_seconds: float
) -> _Attempt:
    note(f"attempt {number}: {recipe.name} on {recipe.image}", recipe=recipe.name)
    prepared = await prepared_image(recipe, tree, provider, keep=keep, note=note, most_seconds=most_seconds)
    if not prepared.image:
        return _Attempt(recipe, None, f"attempt {number} ({recipe.name}, {recipe.image}): could not be prepared", "prepare", prepared.log)
    measured = await measured_once(recipe, prepared.image, tree, provider, keep=keep, note=note)
    story = f"attempt {number} ({recipe.name}, {recipe.image}): {_summary(measured.baseline)}"
    note(story)
    failing_build = not measured.baseline.build.ok
    stage, log = ("build", measured.build_log) if failing_build else ("test", measured.test_log)
    return _Attempt(recipe, measured, story, stage, log)


def is_healthy(baseline: Baseline) -> bool:
    """Return whether build and nearly all tests work, or the build does and there are no tests."""
    if not baseline.build.ok or not baseline.runs:
        return False
    run = baseline.runs[0]
    if not run.runner and run.problems == ("no-tests",):
        return True
    passed, failed = _counts(baseline)
    return run.complete and passed > 0 and passed >= _HEALTHY_SHARE * (passed + failed)


def _counts(baseline: Baseline) -> tuple[int, int]:
    run = baseline.runs[0]
    return len(run.ids(TestOutcome.passed, TestOutcome.xpassed)), len(run.ids(TestOutcome.failed, TestOutcome.error))


def _is_enough(baseline: Baseline) -> bool:
    """Return whether all is well, or the tests take so long that another try for the last few is not worth it."""
    failing = _counts(baseline)[1] > 0 or not baseline.build.ok
    return not failing or baseline.runs[0].seconds > _SLOW_SECONDS


def _works(measured: Measured | None) -> bool:
    """Return whether mending is worth it: some test passes, or the preparation is all that failed."""
    return measured is None or _counts(measured.baseline)[0] > 0


def _worth(measured: Measured | None) -> tuple[int, ...]:
    """Order attempts: prepared, trustworthy, built, then by passing tests, then by fewer failing ones."""
    if measured is None:
        return (0,)
    baseline = measured.baseline
    passed, failed = _counts(baseline)
    return (1, int(baseline.runs[0].complete), int(baseline.build.ok), passed, -failed)


def _summary(baseline: Baseline) -> str:
    passed, failed = _counts(baseline)
    run = baseline.runs[0]
    doubts = f", in doubt: {', '.join(run.problems)}" if run.problems else ""
    build = "" if baseline.build.ok else f", build: {baseline.build.reason}"
    return f"{passed} test{'s' * (passed != 1)} passed, {failed} did not, {len(run.results) - passed - failed} skipped{doubts}{build}"
