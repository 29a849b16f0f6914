"""E4: what showed the flaw on the base three times shows it no more, three times, and needs every hunk of the patch for that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from remediator.builtin.answer import Answer, answered, some
from remediator.builtin.special_input import special_cased
from remediator.builtin.twin_runs import doubt_of
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace
from remediator.diff import ChangeKind, FileChange, Hunk, parse
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.recipe import TestOutcome, TestRun
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel

_RUNS = 3
_MOST_HUNKS = 24
_MAX_BYTES = 16 * 1024 * 1024


class ReproducerVerifier(Verifier):
    """Runs the reproducer on base plus patch, on twins that tell behaviour from text, then on base plus patch without each of its hunks."""

    name: ClassVar[str] = "reproducer"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E4

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: _judged(patch, workspace))


class Part(NamedTuple):
    """One hunk of a patch, and the files' content without it. None stands for content that cannot be made."""

    path: str
    line: int
    edits: Mapping[str, bytes] | None


async def _judged(patch: Patch, workspace: Workspace) -> Answer:
    reproducer = workspace.reproducer
    if reproducer is None:
        return Answer(CheckStatus.not_run, "no-reproducer", "nothing shows the flaw: there is no reproducer", {})
    acceptance = await workspace.acceptance(reproducer)
    evidence = told_of(reproducer, acceptance)
    if not acceptance.accepted:
        return Answer(CheckStatus.not_run, "not-reproduced", f"the reproducer was not accepted: {acceptance.detail}", evidence)
    if special := await asyncio.to_thread(_special, patch, workspace, reproducer):
        told = f"the patch compares with the reproducer's own input {special}"
        return Answer(CheckStatus.failed, "special-cased-input", told, evidence)
    runs: list[TestRun] = []
    for _ in range(_RUNS):
        runs.append(await workspace.probe(reproducer))
        if not runs[-1].complete:
            evidence["problems"] = list(runs[-1].problems)
            told = f"the reproducer's run is in doubt: {', '.join(runs[-1].problems)}"
            return Answer(CheckStatus.inconclusive, runs[-1].problems[0], told, evidence, _logs(runs))
    red = {test for run in runs for test in acceptance.shows if run.results.get(test) is not TestOutcome.passed}
    steady = {test for test in red if all(run.results.get(test) is not TestOutcome.passed for run in runs)}
    evidence["red_on_patch"] = some(red)
    if steady:
        first = min(steady)
        told = f"{first} is still red ({runs[0].raised.get(first) or runs[0].results.get(first) or 'gone'}): the flaw is there"
        return Answer(CheckStatus.failed, "still-vulnerable", told, evidence, _logs(runs))
    if red:
        return Answer(CheckStatus.inconclusive, "flaky", f"{min(red)} ends differently in {_RUNS} runs", evidence, _logs(runs))
    if doubt := await doubt_of(patch, workspace, reproducer, acceptance, evidence):
        return Answer(CheckStatus.inconclusive, doubt.reason, doubt.told, evidence, _logs([*runs, *doubt.runs]))
    return await _necessary(patch, workspace, reproducer, acceptance, evidence, runs)


async def _necessary(
    patch: Patch, workspace: Workspace, reproducer: Reproducer, acceptance: Acceptance, evidence: dict[str, Any], runs: list[TestRun]
) -> Answer:
    parts = await asyncio.to_thread(lambda: list(parts_of(patch, workspace)))
    evidence["hunks"] = len(parts)
    if len(parts) > _MOST_HUNKS:
        told = f"{len(parts)} hunks are too many to show that each is needed"
        return Answer(CheckStatus.inconclusive, "too-many-hunks", told, evidence, _logs(runs))
    # Without its only hunk the patch is the base, which was measured red.
    unneeded = [part for part in parts if len(parts) > 1 and not await _is_needed(part, workspace, reproducer, acceptance)]
    if unneeded:
        evidence["unneeded"] = [f"{part.path}:{part.line}" for part in unneeded]
        told = f"without the hunk at {unneeded[0].path}:{unneeded[0].line} nothing turns red again: it is not shown to be needed"
        return Answer(CheckStatus.inconclusive, "unneeded-hunk", told, evidence, _logs(runs))
    shown = f"{len(acceptance.shows)} test{'s' if len(acceptance.shows) != 1 else ''}"
    return Answer(
        CheckStatus.passed,
        "",
        f"{shown} red on the base and green on the patch, three times each; every hunk is needed",
        evidence,
        _logs(runs),
    )


async def _is_needed(part: Part, workspace: Workspace, reproducer: Reproducer, acceptance: Acceptance) -> bool:
    if part.edits is None:
        return False
    run = await workspace.probe(reproducer, edits=part.edits)
    # A run in doubt is no proof that the hunk is needed, but one whose tests cannot even be loaded without it is.
    decisive = (*acceptance.shows, *acceptance.variants)
    return bool(run.results) and any(run.results.get(test) is not TestOutcome.passed for test in decisive)


def told_of(reproducer: Reproducer, acceptance: Acceptance) -> dict[str, Any]:
    """Return what evidence says of a reproducer."""
    return {
        "reproducer": reproducer.id,
        "author": reproducer.author,
        "claim": reproducer.claim,
        "red_on_base": some(acceptance.shows),
        "raised": {test: acceptance.raised[test] for test in acceptance.shows if test in acceptance.raised},
        "runs_on_base": acceptance.runs,
        "lines_reached": acceptance.reached,
        "dropped": dict(sorted(acceptance.dropped.items())[:20]),
    }


def parts_of(patch: Patch, workspace: Workspace) -> Iterator[Part]:
    """Yield every hunk with the files' content as it is without it."""
    for change in parse(patch.diff):
        before = _before(workspace, change)
        for number, hunk in enumerate(change.hunks):
            if change.kind is not ChangeKind.modified or before is None:
                yield Part(change.path, hunk.new_start, None)
                continue
            kept = change._replace(hunks=_without(change.hunks, number))
            yield Part(change.path, hunk.new_start, {change.path: kept.applied(before)})


def _without(hunks: Sequence[Hunk], number: int) -> tuple[Hunk, ...]:
    shift = hunks[number].new_count - hunks[number].old_count
    return tuple(hunk if at < number else hunk._replace(new_start=hunk.new_start - shift) for at, hunk in enumerate(hunks) if at != number)


def _before(workspace: Workspace, change: FileChange) -> bytes | None:
    try:
        return workspace.base.read(change.old_path, limit_bytes=_MAX_BYTES)
    except KeyError:
        return None


def _special(patch: Patch, workspace: Workspace, reproducer: Reproducer) -> str:
    changes = parse(patch.diff)
    before = {change.path: _before(workspace, change) or b"" for change in changes}
    after = {change.path: change.applied(before[change.path]) for change in changes if not change.binary}
    return special_cased(changes, reproducer.files, after, before)


def _logs(runs: Sequence[TestRun]) -> dict[str, str]:
    return {"reproducer.log": runs[-1].log_digest} if runs else {}
