"""E2: the same scanners, run anew on the changed files, no longer see the flaw and see nothing new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from remediator.builtin.answer import Answer, answered, some
from remediator.builtin.scan_comparison import Comparison, compared, same_flaw
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace
from remediator.diff import parse
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.scan import ScanReport, Unchecked
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel


class RescanVerifier(Verifier):
    """Compares a scan of the patched files with the scan of the base. What was not read to the end is never clean."""

    name: ClassVar[str] = "rescan"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E2

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: _judged(finding, patch, workspace))


async def _judged(finding: Finding, patch: Patch, workspace: Workspace) -> Answer:
    before = await workspace.findings()
    unseen = finding.unseen_by(before.scanners)
    if not before.scanners:
        return Answer(CheckStatus.not_run, "no-scanner", "no scanner is in the playbook", {"shown": False} if unseen else {})
    after = await workspace.rescan()
    if (unlike := _unlike(before, after, workspace)) is not None:
        return unlike
    comparison = compared(finding, _rerun(before, after), after, parse(patch.diff))
    evidence = _evidence(before, after, comparison) | ({"shown": False} if unseen else {})
    seen = _seen_again(comparison)
    if seen is not None:
        # What is seen is there, however incomplete the scan was.
        return Answer(CheckStatus.failed, seen[0], seen[1], evidence)
    if (doubt := _doubt(finding, _witness(finding, comparison), before, after, workspace)) is not None:
        evidence["incomplete"] = doubt[2]
        return Answer(CheckStatus.inconclusive, doubt[0], doubt[1], evidence)
    if unseen:
        return _unseen(evidence, after, workspace)
    if finding.path not in workspace.changed:
        return Answer(CheckStatus.failed, "finding-remains", f"{finding.path} is unchanged, and the finding with it", evidence)
    if not workspace.finding_at(before, finding.key):
        told = "the scan of the base does not show the finding, so a new scan cannot show that it is gone"
        return Answer(CheckStatus.inconclusive, "finding-not-in-base", told, evidence)
    return Answer(CheckStatus.passed, "", "the finding is gone and nothing new appeared", evidence)


def _unseen(evidence: dict[str, Any], after: ScanReport, workspace: Workspace) -> Answer:
    """Return the pass of a flaw that no scanner can see: it says what it does not show."""
    if not set(workspace.changed) & set(after.covered):
        evidence["warning"] = "no scanner reads any of the changed files"
    return Answer(CheckStatus.passed, "", "no scanner sees this flaw; nothing new appeared", evidence)


def _unlike(before: ScanReport, after: ScanReport, workspace: Workspace) -> Answer | None:
    """Return why the two scans cannot be compared at all, None where they can."""
    if before.tree != workspace.base.id or after.tree != workspace.tree.id:
        evidence: dict[str, Any] = {"before": before.tree, "after": after.tree}
        return Answer(CheckStatus.inconclusive, "wrong-tree", "a scan report is about another tree", evidence)
    names = sorted(before.scanners.keys() | after.scanners.keys())
    differ = [name for name in names if before.scanners.get(name) != after.scanners.get(name)]
    if differ:
        evidence = {"before": before.scanners, "after": after.scanners}
        told = f"not the same scanner, version or rules as on the base: {', '.join(differ)}"
        return Answer(CheckStatus.inconclusive, "scanners-differ", told, evidence)
    return None


def _rerun(before: ScanReport, after: ScanReport) -> ScanReport:
    """Return the base's report without the findings of scanners that were not run again: their silence is none."""
    return before.model_copy(update={"findings": tuple(item for item in before.findings if item.scanner not in after.not_rerun)})


def _seen_again(comparison: Comparison) -> tuple[str, str] | None:
    if comparison.remains:
        return "finding-remains", f"still reported: {_place(comparison.remains[0])}"
    if comparison.moved:
        return "finding-moved", f"the same flaw is reported elsewhere: {_place(comparison.moved[0])}"
    if comparison.new:
        return "new-finding", f"newly reported: {_place(comparison.new[0])}"
    return None


def _witness(finding: Finding, comparison: Comparison) -> str:
    """Return whose silence speaks for the finding: a scanner that was run again, saw the same flaw and no longer does, else its own."""
    still = {(item.scanner, item.rule_id) for item in comparison.altered}
    return next(
        (item.scanner for item in comparison.gone if same_flaw(item, finding) and (item.scanner, item.rule_id) not in still),
        finding.scanner,
    )


def _doubt(
    finding: Finding, witness: str, before: ScanReport, after: ScanReport, workspace: Workspace
) -> tuple[str, str, list[Any]] | None:
    """Return reason, sentence and facts of why the new scan is not the whole truth by the word of `witness`, None where it is."""
    changed = set(workspace.changed)
    unread = [item for item in after.unread_for(witness) if not item.path or item.path in changed]
    if unread:
        return "incomplete-scan", f"not read to the end: {_unread(unread[0])}", [_unread(item) for item in unread[:50]]
    there = {entry.path for entry in workspace.tree.entries()}
    must = {path for path in changed & there if path in before.covered or path == finding.path}
    if missing := sorted(must - set(after.covered)):
        return "incomplete-scan", f"no scanner read {missing[0]}", list(some(missing))
    return None


def _unread(item: Unchecked) -> str:
    return f"{item.scanner}: {item.path or 'the whole tree'}: {item.reason}{f' ({item.detail[:120]})' if item.detail else ''}"


def _place(finding: Finding) -> str:
    line = finding.location.start_line if finding.location else 0
    return f"{finding.path}:{line}: {finding.rule_id}"


def _evidence(before: ScanReport, after: ScanReport, comparison: Comparison) -> dict[str, Any]:
    return {
        "scanners": dict(sorted(after.scanners.items())),
        "covered": some(after.covered),
        "findings_before": comparison.before,
        "findings_after": comparison.after,
        "remains": _told(comparison.remains),
        "moved": _told(comparison.moved),
        "new": _told(comparison.new),
        "gone": _told(comparison.gone),
        "altered": _told(comparison.altered),
    }


def _told(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "rule": finding.rule_id,
            "scanner": finding.scanner,
            "path": finding.path,
            "line": finding.location.start_line if finding.location else 0,
            "cwe": list(finding.cwe),
        }
        for finding in findings[:50]
    ]
