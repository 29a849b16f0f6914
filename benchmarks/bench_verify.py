"""The whole verdict on one patch against the project's own test time, for a published package whose baseline is known."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from remediator.app import Remediator
from remediator.engine.judge import judge
from remediator.engine.request import FixRequest
from remediator.engine.run import project_of
from remediator.records import Check, EvidenceLevel, Patch
from remediator.settings import load_settings

TARGET = sys.argv[1] if len(sys.argv) > 1 else "pypi:pyanyapi==0.6.0"


async def main() -> None:
    with tempfile.TemporaryDirectory() as state:
        settings = load_settings(state=Path(state))
        async with Remediator.open(settings) as remediator:
            playbook = remediator.playbook_for(FixRequest(target=TARGET))
            async with project_of(TARGET, None, playbook, remediator.registry, settings, lambda *_, **__: None) as project:
                report = await project.scan(project.base)
                began = time.perf_counter()
                baseline = await project.baseline()
                preparing = time.perf_counter() - began
                assert baseline is not None and baseline.runs
                finding, patch = await proposed(project, report)
                began = time.perf_counter()
                verdict = await judge(project, finding, patch, EvidenceLevel.E3, ignore)
                took = time.perf_counter() - began
    tests = min(run.seconds for run in baseline.runs)
    budget = 1.3 * tests + 2
    print(f"verify: {took:.1f} s ({verdict.outcome}, {verdict.level}), own tests {tests:.1f} s")
    print(f"  ratio {took / tests:.2f} (budget {budget:.1f} s)")
    print("  " + ", ".join(f"{check.name} {check.seconds:.1f} s" for check in verdict.checks) + f"; baseline once {preparing:.0f} s")


async def proposed(project, report):
    from remediator.engine.workspace import StepWorkspace

    async with project.scratch() as scratch:
        for finding in report.findings:
            for fixer in project.kit.fixers:
                answer = await fixer.fix(finding, StepWorkspace(project, project.base, scratch), ())
                if isinstance(answer, Patch):
                    return finding, answer
    raise SystemExit("nothing to fix")


async def ignore(check: Check) -> None:
    return None


if __name__ == "__main__":
    asyncio.run(main())
