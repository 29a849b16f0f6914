"""E1: the project builds and its modules import as they did on the baseline."""

from __future__ import annotations

from typing import Any, ClassVar

from remediator.builtin.answer import Answer, answered, some
from remediator.builtin.no_baseline import no_baseline
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.recipe import BuildRun
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel

_UNSURE = frozenset(("timeout", "oom", "lost", "truncated"))


class BuildsVerifier(Verifier):
    """Builds base plus patch in a fresh sandbox and compares with the baseline's build."""

    name: ClassVar[str] = "builds"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E1

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: _judged(workspace))


async def _judged(workspace: Workspace) -> Answer:
    baseline = await workspace.baseline()
    if baseline is None:
        return await no_baseline(workspace)
    before = baseline.build
    if not before.ok and not before.modules:
        return Answer(CheckStatus.not_run, "baseline-broken", f"the base itself does not build: {before.summary or before.reason}", {})
    after = await workspace.build()
    lost = sorted(set(before.modules) - set(after.modules))
    evidence = _evidence(before, after, lost)
    artefacts = {"build.log": after.log_digest}
    if after.reason in _UNSURE or None in after.exit_codes:
        reason = after.reason or "build-unfinished"
        return Answer(CheckStatus.inconclusive, reason, f"the build did not end by itself: {after.summary or reason}", evidence, artefacts)
    if lost:
        why = after.broken.get(lost[0], "")
        told = f"{lost[0]} imported before and does not now{f': {why[:200]}' if why else ''}"
        return Answer(CheckStatus.failed, "modules-broken", told, evidence, artefacts)
    if before.ok and not after.ok:
        return Answer(CheckStatus.failed, "build-failed", f"the build fails now: {after.summary or after.reason}", evidence, artefacts)
    count = len(after.modules)
    told = f"{count} module{'s import' if count != 1 else ' imports'} as before" if count else "builds as before"
    return Answer(CheckStatus.passed, "", told + ("" if before.ok else "; what failed on the base fails still"), evidence, artefacts)


def _evidence(before: BuildRun, after: BuildRun, lost: list[str]) -> dict[str, Any]:
    return {
        "ok": after.ok,
        "ok_on_base": before.ok,
        "exit_codes": list(after.exit_codes),
        "argv": [list(argv) for argv in after.argv][:20],
        "modules": len(after.modules),
        "modules_on_base": len(before.modules),
        "lost": some(lost),
        "broken": {name: after.broken[name][:200] for name in sorted(after.broken)[:20]},
    }
