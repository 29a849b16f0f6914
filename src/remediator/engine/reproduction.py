"""What a reproducer is worth: run on the unpatched tree three times, before anybody sees a patch."""

from __future__ import annotations

from collections.abc import Sequence

from remediator import recipe
from remediator.contracts import SandboxProvider, Tree
from remediator.recipe.detect import ecosystem_named
from remediator.recipe.preparing import Keep
from remediator.records.finding import Finding
from remediator.records.recipe import Baseline, TestOutcome, TestRun
from remediator.records.reproducer import ASSERTIONS, Acceptance, Reproducer, is_control, is_variant, main_tests

RUNS = 3


async def accepted(
    reproducer: Reproducer, finding: Finding, baseline: Baseline, base: Tree, provider: SandboxProvider, *, keep: Keep
) -> Acceptance:
    """Run the reproducer on the base and say whether it shows the flaw. Raises SandboxError, RecipeError."""

    def refused(reason: str, detail: str, runs: Sequence[TestRun] = ()) -> Acceptance:
        raised = {test: name for run in runs for test, name in run.raised.items()}
        log = runs[-1].log_digest if runs else ""
        return Acceptance(reproducer_id=reproducer.id, reason=reason, detail=detail, raised=raised, runs=len(runs), log_digest=log)

    problem = ecosystem_named(baseline.recipe.ecosystem).reproducer_problem(reproducer.files)
    if problem is not None:
        return refused("not-honest", problem)
    named = sorted({finding.path, *(step.location.path for step in finding.trace)} - {""})
    runs: list[TestRun] = []
    for _ in range(RUNS):
        runs.append(await recipe.probe(baseline, base, base, reproducer, named, provider, keep=keep))
        run = runs[-1]
        if not run.complete:
            reason = "reads-source" if "reads-source" in run.problems else "in-doubt"
            return refused(reason, f"the run is in doubt: {', '.join(run.problems)}", runs)
        if len(runs) == 1 and (why := _not_red(run)):
            return refused(*why, runs)
    return _judged(reproducer, runs)


def _not_red(run: TestRun) -> tuple[str, str] | None:
    main = main_tests(run.results)
    if not main:
        return None
    green = [test for test in main if run.results[test] is TestOutcome.passed]
    if len(green) == len(main):
        return "not-red", f"{green[0]} passes on the unpatched tree: the flaw is not shown"
    other = [test for test in main if run.results[test] is not TestOutcome.passed and not _is_assertion(run, test)]
    if other:
        told = run.raised.get(other[0]) or str(run.results[other[0]])
        return "wrong-reason", f"{other[0]} ends with {told}, not with an assertion about the flaw"
    if green:
        return "not-red", f"{green[0]} passes on the unpatched tree; a test that shows nothing does not belong to a reproducer"
    if not run.lines_run:
        return "not-reached", "no line of the product was run"
    return None


def _is_assertion(run: TestRun, test: str) -> bool:
    return run.results.get(test) is TestOutcome.failed and run.raised.get(test) in ASSERTIONS


def _judged(reproducer: Reproducer, runs: Sequence[TestRun]) -> Acceptance:
    tests = sorted(runs[0].results)
    always_red = {test for test in tests if all(_is_assertion(run, test) for run in runs)}
    always_green = {test for test in tests if all(run.results.get(test) is TestOutcome.passed for run in runs)}
    main = main_tests(tests)
    dropped = {test: "not red in every run, for an assertion" for test in tests if is_variant(test) and test not in always_red}
    dropped |= {test: "not green in every run" for test in tests if is_control(test) and test not in always_green}
    unsteady = [test for test in main if test not in always_red]
    reason = detail = ""
    if unsteady:
        reason, detail = "flaky", f"{unsteady[0]} ends differently in {len(runs)} runs"
    elif not main:
        reason, detail = "no-main-test", "every test is a variant or a control; one has to show the flaw itself"
    return Acceptance(
        reproducer_id=reproducer.id,
        reason=reason,
        detail=detail,
        shows=tuple(test for test in main if test in always_red),
        variants=tuple(test for test in tests if is_variant(test) and test in always_red),
        controls=tuple(test for test in tests if is_control(test) and test in always_green),
        dropped=dropped,
        reached=sum(len(lines) for lines in runs[0].lines_run.values()),
        raised=dict(runs[0].raised),
        runs=len(runs),
        log_digest=runs[-1].log_digest,
    )
