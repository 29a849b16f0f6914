"""Turns what the reporter told into results by test id, and doubts what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from remediator.recipe.observed_run import Observed
from remediator.records.recipe import TestOutcome, TestRun

_EXPECTED_RAISES = ("", "skip", "xfail")


class Phase(NamedTuple):
    """One phase of one test: what was raised, and what the runner made of it."""

    when: str
    raised: str
    outcome: str
    expected: bool


def test_run(observed: Observed, canaries: Mapping[str, frozenset[TestOutcome]], packages_at: str) -> TestRun:
    """Fold the records into a TestRun.

    `canaries` maps the end of each canary's id to the outcomes that are right for it. `packages_at` is the folder that the
    project's own modules must have come from.
    """
    ids, phases, results, raised = _gathered(observed.records)
    problems = list(observed.problems)
    for number, test in ids.items():
        told = phases.get(number, [])
        outcome = outcome_of(told)
        if outcome is None:
            problems.append("unfinished")
            continue
        problems += doubts_of(told)
        results[test] = outcome
        raised[test] = next((phase.raised for phase in told if phase.raised not in _EXPECTED_RAISES), "")
    seen, lost = _canaries_of(results, canaries)
    if lost:
        problems.append("canary-missing")
    if any(results[test] not in right for test, right in seen.items()):
        problems.append("canary-flipped")
    results = {test: outcome for test, outcome in results.items() if test not in seen}
    if any(not place.startswith(packages_at) for place in _origins(observed.records).values() if place):
        problems.append("shadowed")
    if not results:
        problems.append("no-tests")
    runner = next((str(record[1]) for record in observed.records if record[0] == "start"), "")
    return TestRun(
        complete=not problems,
        problems=tuple(dict.fromkeys(problems)),
        results=dict(sorted(results.items())),
        raised={test: name for test, name in sorted(raised.items()) if name and test in results},
        exit_code=observed.run.exit_code,
        lines_run=_lines(observed.records),
        runner=runner,
        seconds=observed.run.seconds,
    )


test_run.__test__ = False  # type: ignore[attr-defined]


def _gathered(records: Sequence[tuple[Any, ...]]) -> tuple[dict[int, str], dict[int, list[Phase]], dict[str, TestOutcome], dict[str, str]]:
    raised: dict[str, str] = {}
    ids: dict[int, str] = {}
    phases: dict[int, list[Phase]] = {}
    results: dict[str, TestOutcome] = {}
    taken: dict[str, int] = {}
    for record in records:
        if record[0] == "test" and len(record) == 3:
            taken[record[2]] = taken.get(record[2], 0) + 1
            # Two tests may share a name; the second is told apart by its place.
            ids[int(record[1])] = record[2] if taken[record[2]] == 1 else f"{record[2]}#{taken[record[2]]}"
        elif record[0] == "phase" and len(record) == 6:
            phases.setdefault(int(record[1]), []).append(Phase(*record[2:]))
        elif record[0] == "collect" and len(record) == 4 and record[1]:
            results[str(record[1])] = TestOutcome.error if record[2] == "failed" else TestOutcome.skipped
            raised[str(record[1])] = next((line.strip() for line in reversed(record[3].splitlines()) if line.strip()), "")[:200]
    return ids, phases, results, raised


def outcome_of(phases: Sequence[Phase]) -> TestOutcome | None:
    """Return how a test ended: the worst of what its phases say. None where it never came to an end."""
    if not phases:
        return None
    for phase in phases:
        real = phase.raised not in _EXPECTED_RAISES
        if phase.outcome not in ("passed", "skipped") or (real and phase.outcome == "passed"):
            return TestOutcome.failed if phase.when == "call" else TestOutcome.error
    skipped = [phase for phase in phases if phase.outcome == "skipped"]
    if skipped:
        return TestOutcome.xfailed if any(phase.expected for phase in skipped) else TestOutcome.skipped
    called = [phase for phase in phases if phase.when == "call"]
    if not called:
        return None
    return TestOutcome.xpassed if any(phase.expected for phase in called) else TestOutcome.passed


def doubts_of(phases: Sequence[Phase]) -> list[str]:
    """Return reason codes for what an honest runner never tells."""
    doubts = []
    if any(phase.raised not in _EXPECTED_RAISES and phase.outcome == "passed" for phase in phases):
        doubts.append("forged-outcome")
    rounds = sum(phase.when == "setup" for phase in phases)
    if rounds > 1 and len({phase.outcome for phase in phases if phase.when == "call"}) > 1:
        doubts.append("contradiction")
    return doubts


def _canaries_of(
    results: Mapping[str, TestOutcome], canaries: Mapping[str, frozenset[TestOutcome]]
) -> tuple[dict[str, frozenset[TestOutcome]], bool]:
    """Return the ids of the canaries that are there with what is right for them, and whether one is missing that had to be there.

    A folder of which no test at all was run may be one that the project leaves out; where there are results, there are canaries.
    """
    seen = {test: right for end, right in canaries.items() for test in results if test.endswith(end)}
    found = {end for end in canaries for test in seen if test.endswith(end)}
    busy = {_folder(test) for test in results if test not in seen}
    lost = {end for end in set(canaries) - found if _folder(end) in busy}
    return seen, bool(lost) or bool(canaries and busy and not found)


def _folder(test: str) -> str:
    return test.split("::")[0].rpartition("/")[0]


def _origins(records: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    return next((record[1] for record in reversed(records) if record[0] == "origins" and isinstance(record[1], dict)), {})


def _lines(records: Sequence[tuple[Any, ...]]) -> dict[str, tuple[int, ...]]:
    lines: dict[str, set[int]] = {}
    for record in records:
        if record[0] == "line" and len(record) == 3:
            lines.setdefault(str(record[1]), set()).add(int(record[2]))
    return {path: tuple(sorted(numbers)) for path, numbers in sorted(lines.items())}
