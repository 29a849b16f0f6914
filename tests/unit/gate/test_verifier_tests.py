"""E3: no test that passed before fails now."""

from __future__ import annotations

import pytest

from remediator.builtin.tests_verifier import TestsVerifier
from remediator.records import Baseline, BuildRun, CheckStatus, Recipe, TestOutcome, TestRun
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.testing.fake_workspace import FakeWorkspace

FILES = {"x.py": "import os\n\n\ndef f(a):\n    b = (a +\n         1)\n    return b\n"}
AFTER = {"x.py": "import os\n\n\ndef f(a):\n    b = (a +\n         2)\n    # why\n    return b\n"}
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -3,5 +3,6 @@\n \n def f(a):\n     b = (a +\n-         1)\n+         2)\n+    # why\n     return b\n"
P, F, E, S, X = TestOutcome.passed, TestOutcome.failed, TestOutcome.error, TestOutcome.skipped, TestOutcome.xfailed


def _run(
    problems: tuple[str, ...] = (), lines: tuple[int, ...] = (6,), complete: bool | None = None, image: str = "", **results: TestOutcome
) -> TestRun:
    done = complete if complete is not None else not [problem for problem in problems if problem != "no-tests"]
    return TestRun(complete=done, problems=problems, results=results, lines_run={"x.py": lines}, image=image)


BASE = (_run(a=P, b=P, c=F, d=S), _run(a=P, b=P, c=F, d=S))


async def _check(tmp_path, patch_of, finding_at, runs, *tested):
    recipe = Recipe(ecosystem="python", name="r", image="python3.11")
    baseline = None if runs is None else Baseline(tree="t", recipe=recipe, image="i", build=BuildRun(ok=True), runs=tuple(runs))
    workspace = FakeWorkspace(FILES, tmp_path, tree=AFTER, baseline=baseline, tested=tested)
    return await TestsVerifier().verify(
        finding_at("x.py", 5, "a"), patch_of(DIFF.replace("@@ -3,5 +3,6 @@\n ", "@@ -3,5 +3,6 @@\n ")), workspace
    )


@pytest.mark.parametrize(
    ("now", "again", "status", "reason"),
    [
        (_run(a=P, b=P, c=F, d=S), None, CheckStatus.passed, ""),
        (_run(a=P, b=P, c=P, d=P, e=F), None, CheckStatus.passed, ""),
        (_run(a=P, b=TestOutcome.xpassed), None, CheckStatus.passed, ""),
        (_run(a=P, b=F), _run(a=P, b=F), CheckStatus.failed, "tests-regressed"),
        (_run(a=P, b=E), _run(a=P, b=F), CheckStatus.failed, "tests-regressed"),
        (_run(a=P), _run(a=P), CheckStatus.failed, "tests-vanished"),
        (_run(a=P, b=S), _run(a=P, b=S), CheckStatus.failed, "tests-skipped"),
        (_run(a=P, b=X), _run(a=P, b=X), CheckStatus.failed, "tests-xfailed"),
        (_run(a=P, b=F), _run(a=P, b=P), CheckStatus.inconclusive, "flaky"),
        (_run(a=P, b=F), _run(a=F, b=P), CheckStatus.inconclusive, "flaky"),
        (_run(a=F, b=F), _run(a=F, b=P), CheckStatus.failed, "tests-regressed"),
        (_run(a=P, b=F), _run(problems=("timeout",), a=P), CheckStatus.inconclusive, "timeout"),
        (_run(problems=("canary-flipped",), a=P, b=P), None, CheckStatus.inconclusive, "canary-flipped"),
        (_run(complete=False, a=P, b=P), None, CheckStatus.inconclusive, "run-incomplete"),
        (_run(problems=("lost",), a=P, b=P), None, CheckStatus.infra_error, "lost"),
        (_run(problems=("no-tests",)), _run(problems=("no-tests",)), CheckStatus.failed, "tests-vanished"),
    ],
)
async def test_tests_are_compared_by_id(now, again, status, reason, tmp_path, patch_of, finding_at) -> None:
    check = await _check(tmp_path, patch_of, finding_at, BASE, *[run for run in (now, again) if run is not None])
    assert (check.status, check.reason) == (status, reason), check


@pytest.mark.parametrize(
    ("runs", "status", "reason"),
    [
        (None, CheckStatus.not_run, "no-recipe"),
        ((), CheckStatus.not_run, "no-tests"),
        ((_run(problems=("no-tests",)),) * 2, CheckStatus.not_run, "no-tests"),
        ((_run(problems=("timeout",)),) * 2, CheckStatus.inconclusive, "timeout"),
        ((_run(a=P), _run(problems=("oom",), a=P)), CheckStatus.inconclusive, "oom"),
        ((_run(a=P),), CheckStatus.inconclusive, "baseline-once"),
        ((_run(a=F), _run(a=F)), CheckStatus.not_run, "no-passing-tests"),
        ((_run(a=P), _run(a=F)), CheckStatus.not_run, "no-passing-tests"),
    ],
)
async def test_a_baseline_that_shows_nothing_is_no_pass(runs, status, reason, tmp_path, patch_of, finding_at) -> None:
    check = await _check(tmp_path, patch_of, finding_at, runs, _run(a=P), _run(a=P))
    assert (check.status, check.reason) == (status, reason)


async def test_flaky_tests_are_set_aside_by_name(tmp_path, patch_of, finding_at) -> None:
    check = await _check(tmp_path, patch_of, finding_at, (_run(a=P, b=P), _run(a=P, b=F)), _run(a=P, b=F))
    assert check.status is CheckStatus.passed
    assert check.evidence["flaky_on_base"] == ["b"]


async def test_another_image_is_no_comparison(tmp_path, patch_of, finding_at) -> None:
    runs = (_run(image="one", a=P), _run(image="one", a=P))
    check = await _check(tmp_path, patch_of, finding_at, runs, _run(image="two", a=P))
    assert (check.status, check.reason) == (CheckStatus.inconclusive, "image-differs")


@pytest.mark.parametrize(("lines", "executed"), [((), 0), ((6,), 1), ((5, 6), 1)])
async def test_tests_that_do_not_run_the_change_do_not_prove_it(lines, executed, tmp_path, patch_of, finding_at) -> None:
    check = await _check(tmp_path, patch_of, finding_at, BASE, _run(lines=lines, a=P, b=P))
    assert check.status is (CheckStatus.passed if executed else CheckStatus.inconclusive)
    assert check.reason == ("" if executed else "changed-lines-not-run")
    assert check.evidence["changed_lines"] == {"executed": executed, "total": 1}
    assert ("no test runs any changed line" in check.summary) is (executed == 0)
    assert ("warning" in check.evidence) is (executed == 0)


async def test_one_test_is_told_in_the_singular(tmp_path, patch_of, finding_at) -> None:
    lone = (_run(a=P), _run(a=P))
    check = await _check(tmp_path, patch_of, finding_at, lone, _run(a=P, lines=(5,)))
    assert check.summary == "the one test that passed before passes; the changed statement was run"
    worse = await _check(tmp_path, patch_of, finding_at, lone, _run(a=F), _run(a=F))
    assert worse.summary.startswith("1 of 1 test worse")


@pytest.mark.parametrize(
    ("accepted", "lines", "status"),
    [
        (True, (6,), CheckStatus.passed),
        (True, (), CheckStatus.inconclusive),
        (False, (6,), CheckStatus.inconclusive),
    ],
)
async def test_a_reproducer_stands_in_only_where_it_runs_the_change(accepted, lines, status, tmp_path, patch_of, finding_at) -> None:
    recipe = Recipe(ecosystem="python", name="r", image="python3.11")
    workspace = FakeWorkspace(
        FILES,
        tmp_path,
        tree=AFTER,
        baseline=Baseline(tree="t", recipe=recipe, image="i", build=BuildRun(ok=True), runs=BASE),
        tested=[_run(lines=(), a=P, b=P)],
        reproducer=Reproducer.of(finding_id="f", author="a", files={"test_x.py": "def test_x():\n    assert f()\n"}),
        accepted=[Acceptance(reproducer_id="", reason="" if accepted else "not-red")],
        probed=[_run(lines=lines, t=P)],
    )
    check = await TestsVerifier().verify(finding_at("x.py", 5, "a"), patch_of(DIFF), workspace)
    assert check.status is status, check
