"""The search for a recipe, with a sandbox that runs nothing: what it makes of failures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from remediator import recipe
from remediator.contracts import ExecResult, ExecStatus
from remediator.errors import RecipeError
from remediator.recipe import Hints
from remediator.records.recipe import Baseline, BuildRun, Recipe, TestOutcome, TestRun
from remediator.records.record import digest_of
from remediator.records.source import Source, SourceKind
from remediator.testing.fake_sandbox import FakeSandbox, FakeSandboxProvider, done
from remediator.testing.fake_tree import FakeTree

TREE = FakeTree({"setup.py": "setup(name='thing')", "thing.py": "", "test_thing.py": "def test_a(): pass\n"})
SOURCE = Source(
    kind=SourceKind.package, uri="x", name="thing", commit="0", tree=TREE.id, version="1", released=datetime(2018, 1, 1, tzinfo=UTC)
)
NOTES: list[str] = []


def keep(name: str, data: bytes) -> str:
    return digest_of(data)


def note(message: str, **facts: object) -> None:
    NOTES.append(message)


async def test_where_nothing_can_be_prepared_every_attempt_is_told() -> None:
    def no_installer(argv: tuple[str, ...]) -> ExecResult:
        return done(argv, exit_code=1 if argv[0] == "uv" else 0, stdout=b"\x1b[31mno index")

    with pytest.raises(RecipeError) as raised:
        await recipe.establish(TREE, SOURCE, Hints(), FakeSandboxProvider().scripted(no_installer), keep=keep, note=note)
    assert "could be prepared" in raised.value.message
    assert "attempt 1 (current" in raised.value.hint
    assert "as-of-release" in raised.value.hint
    assert "\x1b" not in raised.value.hint


async def test_a_step_that_does_not_end_by_itself_is_a_failed_preparation() -> None:
    def slow(argv: tuple[str, ...]) -> ExecResult:
        return done(argv, status=ExecStatus.timeout) if "install" in argv else done(argv)

    with pytest.raises(RecipeError):
        await recipe.establish(TREE, SOURCE, Hints(), FakeSandboxProvider().scripted(slow), keep=keep, note=note)


async def test_a_run_that_nobody_observed_is_not_complete_whatever_the_exit_code() -> None:
    baseline = await recipe.establish(TREE, SOURCE, Hints(), FakeSandboxProvider(), keep=keep, note=note)
    assert len(baseline.runs) == 2
    assert all(not run.complete and "observer-lost" in run.problems for run in baseline.runs)
    assert not baseline.build.ok
    assert not recipe.is_healthy(baseline)


def measured(outcomes: Sequence[TestOutcome], *, complete: bool = True, runner: str = "pytest 8", ok: bool = True) -> Baseline:
    problems = () if complete else ("timeout",)
    run = TestRun(
        complete=complete and bool(outcomes),
        problems=problems if outcomes else ("no-tests",),
        results={str(i): outcome for i, outcome in enumerate(outcomes)},
        runner=runner,
    )
    return Baseline(tree="t", recipe=Recipe(ecosystem="python", name="r", image="i"), image="i", build=BuildRun(ok=ok), runs=(run,))


GOOD, BAD = TestOutcome.passed, TestOutcome.failed


@pytest.mark.parametrize(
    ("baseline", "healthy"),
    [
        (measured([GOOD] * 10), True),
        (measured([GOOD] * 9 + [BAD]), True),
        (measured([GOOD] * 8 + [BAD] * 2), False),
        (measured([GOOD] * 10, complete=False), False),
        (measured([GOOD] * 10, ok=False), False),
        (measured([TestOutcome.skipped] * 3), False),
        (measured([], runner=""), True),
        (measured([]), False),
    ],
)
def test_healthy_is_a_build_and_nearly_all_tests(baseline: Baseline, healthy: bool) -> None:
    assert recipe.is_healthy(baseline) is healthy


async def test_once_a_way_is_known_another_one_gets_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    plain = FakeSandbox.exec

    async def watched(self: FakeSandbox, argv: Sequence[str], *, timeout_seconds: float = 300.0, **options: object) -> ExecResult:
        if "install" in argv:
            given.append(timeout_seconds)
        return await plain(self, argv, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeSandbox, "exec", watched)
    await recipe.establish(TREE, SOURCE, Hints(), FakeSandboxProvider(), keep=keep, note=note)
    assert len(given) > 1
    assert given[0] > max(given[1:])
