"""E3: no test that passed before fails now, and at least one was run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from remediator.builtin.answer import Answer, answered, some
from remediator.builtin.changed_lines import Coverage, coverage
from remediator.builtin.no_baseline import no_baseline
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace
from remediator.diff import parse
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.recipe import Baseline, TestOutcome, TestRun
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel

_GOOD = (TestOutcome.passed, TestOutcome.xpassed)
_CODES: Mapping[TestOutcome | None, str] = {
    TestOutcome.failed: "tests-regressed",
    TestOutcome.error: "tests-regressed",
    None: "tests-vanished",
    TestOutcome.skipped: "tests-skipped",
    TestOutcome.xfailed: "tests-xfailed",
}
_WORDS = {
    "tests-regressed": "passed before and fails now",
    "tests-vanished": "passed before and is gone",
    "tests-skipped": "passed before and is skipped now",
    "tests-xfailed": "passed before and is expected to fail now",
}


class TestsVerifier(Verifier):
    """Runs the project's tests on base plus patch and compares, id by id, with those that passed in every baseline run."""

    __test__ = False

    name: ClassVar[str] = "tests"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E3

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: _judged(patch, workspace))


async def _judged(patch: Patch, workspace: Workspace) -> Answer:
    baseline = await workspace.baseline()
    if baseline is None:
        return await no_baseline(workspace)
    if (unfit := _unfit(baseline)) is not None:
        return unfit
    run = await workspace.test()
    if (doubt := _doubt(run, baseline)) is not None:
        return doubt
    worse = _worse(baseline, run)
    second: TestRun | None = None
    if worse:
        second = await workspace.test()
        if (doubt := _doubt(second, baseline)) is not None:
            return doubt
    covered = coverage(parse(patch.diff), workspace.tree, run.lines_run)
    return _compared(baseline, run, second, worse, covered, tried=not covered.warning or await _is_run_otherwise(patch, workspace))


def _unfit(baseline: Baseline) -> Answer | None:
    """Return why nothing can be compared with the baseline, None where it can."""
    evidence: dict[str, Any] = {"recipe": baseline.recipe.name, "baseline_runs": len(baseline.runs)}
    if not baseline.runs or all(not run.results for run in baseline.runs):
        problems = [problem for run in baseline.runs for problem in run.problems if problem != "no-tests"]
        if problems:
            return Answer(CheckStatus.inconclusive, problems[0], f"the base could not be tested: {problems[0]}", evidence)
        return Answer(CheckStatus.not_run, "no-tests", "the project has no tests that could be run", evidence)
    broken = next((run for run in baseline.runs if not run.complete), None)
    if broken is not None:
        reason = broken.problems[0] if broken.problems else "baseline-incomplete"
        return Answer(CheckStatus.inconclusive, reason, f"a test run of the base is in doubt: {reason}", evidence)
    if len(baseline.runs) < 2:
        return Answer(CheckStatus.inconclusive, "baseline-once", "the base was tested once only, so flaky tests are not known", evidence)
    if not baseline.passing:
        return Answer(CheckStatus.not_run, "no-passing-tests", "no test of the project passes on the base", evidence)
    return None


def _doubt(run: TestRun, baseline: Baseline) -> Answer | None:
    """Return why a run cannot be relied on, None where it can."""
    artefacts = {"tests.log": run.log_digest}
    evidence = {"problems": list(run.problems), "exit_code": run.exit_code, "argv": list(run.argv)}
    if not run.complete or run.problems:
        reason = run.problems[0] if run.problems else "run-incomplete"
        status = CheckStatus.infra_error if reason == "lost" else CheckStatus.inconclusive
        # A run of no test at all is compared below: every id has vanished.
        if run.problems != ("no-tests",):
            return Answer(status, reason, f"the test run is in doubt: {reason}", evidence, artefacts)
    told = baseline.runs[0]
    if run.image and told.image and run.image != told.image:
        return Answer(CheckStatus.inconclusive, "image-differs", "the tests ran on another image than the baseline's", evidence, artefacts)
    if run.runner and told.runner and run.runner != told.runner:
        return Answer(
            CheckStatus.inconclusive, "runner-differs", "the tests ran under another runner than the baseline's", evidence, artefacts
        )
    return None


def _worse(baseline: Baseline, run: TestRun) -> dict[str, str]:
    """Return each test that passed on the base and does not now, with the code of what became of it."""
    outcomes = ((test, run.results.get(test)) for test in sorted(baseline.passing))
    return {test: _CODES[outcome] for test, outcome in outcomes if outcome not in _GOOD}


async def _is_run_otherwise(patch: Patch, workspace: Workspace) -> bool:
    """Return whether an accepted reproducer runs a changed statement, measured here; E4 judges what comes of that."""
    reproducer = workspace.reproducer
    if reproducer is None or not (await workspace.acceptance(reproducer)).accepted:
        return False
    run = await workspace.probe(reproducer)
    return run.complete and not coverage(parse(patch.diff), workspace.tree, run.lines_run).warning


def _compared(baseline: Baseline, run: TestRun, second: TestRun | None, worse: dict[str, str], covered: Coverage, *, tried: bool) -> Answer:
    again = _worse(baseline, second) if second else {}
    confirmed = {test: code for test, code in worse.items() if test in again}
    unsteady = (worse.keys() | again.keys()) - confirmed.keys()
    evidence = _evidence(baseline, run, covered)
    evidence |= {code: some(test for test, its in confirmed.items() if its == code) for code in _WORDS if code in confirmed.values()}
    artefacts = {"tests.log": run.log_digest, "tests-again.log": second.log_digest if second else ""}
    passing = len(baseline.passing)
    if confirmed:
        code = next(code for code in _WORDS if code in confirmed.values())
        first = next(test for test, its in confirmed.items() if its == code)
        told = f"{len(confirmed)} of {_tests(passing)} worse, in two runs alike: {first} {_WORDS[code]}"
        return Answer(CheckStatus.failed, code, told, evidence, artefacts)
    if unsteady:
        evidence["unsteady"] = some(unsteady)
        told = f"{len(unsteady)} of {_tests(passing)} ended differently in two runs of the patched tree"
        return Answer(CheckStatus.inconclusive, "flaky", told, evidence, artefacts)
    told = f"all {passing} tests that passed before pass" if passing != 1 else "the one test that passed before passes"
    if not tried:
        # Tests that never touch the change say nothing about it: any replacement would pass them.
        return Answer(CheckStatus.inconclusive, "changed-lines-not-run", f"{told}, but {covered.warning}", evidence, artefacts)
    return Answer(CheckStatus.passed, "", told + covered.sentence, evidence, artefacts)


def _tests(count: int) -> str:
    return f"{count} test{'s' * (count != 1)}"


def _evidence(baseline: Baseline, run: TestRun, covered: Coverage) -> dict[str, Any]:
    known = frozenset().union(*(earlier.results for earlier in baseline.runs))
    now_good = run.ids(*_GOOD)
    evidence: dict[str, Any] = {
        "passing_on_base": len(baseline.passing),
        "executed": len(run.results) - len(run.ids(TestOutcome.skipped)),
        "flaky_on_base": some(baseline.flaky),
        "failing_on_base": len(known - baseline.passing - baseline.flaky),
        "mended": some((now_good & known) - baseline.passing - baseline.flaky),
        "new_tests": some(run.results.keys() - known),
        "argv": list(run.argv),
        "runner": run.runner,
        "changed_lines": {"executed": covered.executed, "total": covered.total},
    }
    if covered.warning:
        evidence["warning"] = covered.warning
    return evidence
