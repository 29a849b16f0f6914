"""What a case looks like in words: its place, its finding, its change, its evidence. Every text is safe for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from remediator.cli.console import safe
from remediator.cli.fix_class import FixClass, class_of
from remediator.records.case import Case
from remediator.records.choice import Choice
from remediator.records.finding import Finding
from remediator.records.patch import Declined, ReasonCode
from remediator.records.verdict import Check, CheckStatus, Verdict

MARKS = {
    CheckStatus.passed: ("ok", "green"),
    CheckStatus.failed: ("FAIL", "bold red"),
    CheckStatus.inconclusive: ("unsure", "yellow"),
    CheckStatus.not_run: ("not run", "yellow"),
    CheckStatus.infra_error: ("broken", "magenta"),
}


class WhyNot(NamedTuple):
    """Why a case has no proven fix."""

    reason: ReasonCode
    detail: str


def place(finding: Finding) -> str:
    """Return `path:line`, or that the finding came without a place."""
    return f"{safe(finding.path)}:{finding.location.start_line}" if finding.location else "(no place)"


def label(finding: Finding) -> str:
    """Return the weakness and the rule in a few words."""
    rule = finding.rule_id.replace("/", ".").rsplit(".", 1)[-1]
    return safe(f"CWE-{finding.cwe[0]} {rule}" if finding.cwe else rule, limit=44)


def change(case: Case) -> str:
    """Return who changed it and how."""
    if case.best is None:
        return ""
    patch = case.best[0]
    return safe(f"{patch.fixer} {patch.transform or patch.title}".strip(), limit=44)


def evidence(verdict: Verdict, *, limit: int = 72) -> str:
    """Return the level and what earned it, or why it is not higher; whole where the limit is 0."""
    if verdict.level is None:
        return safe(f"{verdict.outcome}: {verdict.reason or verdict.summary}", limit=limit)
    top = next((c for c in reversed(verdict.checks) if c.level is verdict.level and c.status is CheckStatus.passed and c.summary), None)
    told = f"{verdict.level.name} {verdict.level.meaning}{'' if verdict.shown else ', not shown'}"
    if verdict.sufficient:
        return safe(f"{told}: {top.summary}" if top else told, limit=limit)
    return safe(f"{told} of {verdict.required.name}; {verdict.summary or verdict.reason}", limit=limit)


def chosen(choice: Choice) -> str:
    """Return how one of several patches that are worth the same was taken."""
    many = f"one of {len(choice.among)} patches that are proven alike"
    return safe(f"{many}: the selector's choice" if choice.decided_by == "selector" else f"{many}: the first; {choice.detail}")


def why_not(case: Case) -> WhyNot:
    """Return the one reason for which a case has no proven fix: the closing one, else the last that was told."""
    if case.fixed:
        return WhyNot(ReasonCode.fixed, "")
    if case.closed is not None:
        return WhyNot(case.closed, case.detail or _last_word(case))
    if case.verdicts:
        rejected = case.verdicts[-1].outcome == "rejected"
        return WhyNot(ReasonCode.verify_failed if rejected else ReasonCode.below_required, _last_word(case))
    if case.declined:
        return WhyNot(case.declined[-1].reason, case.declined[-1].detail)
    return WhyNot(ReasonCode.could_not_check, "the run ended before this case did; go on with --resume")


def is_open(case: Case) -> bool:
    """Return whether a case is in progress still: its run was stopped, or is at it."""
    return case.closed is None and not case.fixed


def declined(told: Declined) -> str:
    """Return why a fixer has no fix."""
    return f"{told.fixer} declined: {told.detail} ({told.reason})" if told.detail else f"{told.fixer} declined ({told.reason})"


def tried(case: Case, *, but: str = "") -> list[str]:
    """Return what was tried and how it ended, one line each, without the patch of the id `but`; not safe for a terminal yet."""
    titles = {patch.id: f"{patch.fixer} {patch.transform or patch.title}" for patch in case.patches}
    judged = [verdict for verdict in case.verdicts if verdict.patch_id != but]
    told = [f"{titles.get(v.patch_id, v.patch_id)}: {v.outcome}{f': {v.summary}' if v.summary else ''}" for v in judged]
    return [*map(declined, case.declined), *told]


def not_proven(verdict: Verdict) -> Sequence[Check]:
    """Return the checks that did not pass and did not fail: what nobody knows."""
    return [check for check in verdict.checks if check.status not in (CheckStatus.passed, CheckStatus.failed)]


def ordered(cases: Sequence[Case]) -> list[Case]:
    """Return the cases as people want them: proven fixes, then those to look at, then the rest; worst first."""
    rank = {FixClass.safe: 0, FixClass.review: 1, FixClass.none: 2}
    return sorted(cases, key=lambda case: (not case.fixed, rank[class_of(case)], case.finding.severity.rank, case.finding.path, case.id))


def short_ids(cases: Sequence[Case]) -> dict[str, str]:
    """Return the shortest unique prefix of each case's id, of twelve characters at least."""
    ids = sorted({case.id for case in cases})
    found = {}
    for index, current in enumerate(ids):
        near = (*ids[max(index - 1, 0) : index], *ids[index + 1 : index + 2])
        length = max([12, *(_shared(current, other) + 1 for other in near)])
        found[current] = current[:length]
    return found


def _shared(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _last_word(case: Case) -> str:
    if case.verdicts:
        last = case.verdicts[-1]
        return f"{last.reason}: {last.summary}" if last.reason and last.summary else last.reason or last.summary
    return case.declined[-1].detail if case.declined else ""
