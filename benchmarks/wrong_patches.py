"""How many wrong but plausible patches are caught, and by which check: prints a table in Markdown.

    python benchmarks/wrong_patches.py [PACKAGE ...]

For each package under tests/data/real the right patch and every wrong one are judged on the whole ladder with the reproducer, variants and
controls that lie beside them; the package comes from the index, and needs a Docker engine. No model is asked.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from remediator.app import Remediator
from remediator.engine.judge import judge
from remediator.engine.request import FixRequest
from remediator.records import Check, Finding, Patch, Reproducer, Severity
from remediator.records.verdict import CheckStatus, EvidenceLevel
from remediator.settings import load_settings

DATA = Path(__file__).parents[1] / "tests" / "data" / "real"


async def measured(app: Remediator, folder: Path) -> bool:
    facts: dict[str, Any] = yaml.safe_load((folder / "case.yaml").read_text())
    finding = Finding.at(
        rule_id=facts["cve"], scanner="advisory", message=facts["description"], location=None, snippet="", severity=Severity.high,
        cwe=(int(str(facts["cwe"]).removeprefix("CWE-")),),
    )  # fmt: skip
    reproducer = Reproducer.of(
        finding_id=finding.id, author="supplied", files={path.name: path.read_text() for path in sorted(folder.glob("test_*.py"))}
    )
    request = FixRequest(target=f"pypi:{facts['package']}=={facts['version']}")
    sound = True
    async with app._project(request.target, None, app.playbook_for(request)) as project:
        acceptance = await project.acceptance(reproducer, finding)
        told = f"{len(acceptance.shows)} tests show it, {len(acceptance.variants)} variants, {len(acceptance.controls)} controls"
        print(
            f"\n{facts['package']} {facts['version']}, {facts['cve']}: {told if acceptance.accepted else acceptance.detail}\n", flush=True
        )
        print("| patch | kind | level | caught by | seconds |\n|---|---|---|---|---|", flush=True)
        patches = [{"file": facts["patches"]["right"], "kind": "right"}, *facts["patches"]["wrong"]]
        for entry in patches:
            began = time.monotonic()
            patch = Patch.of(finding_id=finding.id, fixer="supplied", title="t", diff=(folder / entry["file"]).read_text())
            verdict = await judge(project, finding, patch, EvidenceLevel.E4, _silent, reproducer=reproducer)
            fell = next((check for check in verdict.checks if check.status in (CheckStatus.failed, CheckStatus.inconclusive)), None)
            right = entry["kind"] == "right"
            reached = verdict.level is not None and verdict.level >= EvidenceLevel.E4
            sound &= reached == right
            level = verdict.level.name if verdict.level is not None else "none"
            caught = "—" if fell is None else f"`{fell.name}` {fell.reason}"
            name = Path(entry["file"]).stem
            mark = "" if reached == right else " **unexpected**"
            print(f"| {name} | {entry['kind']} | {level}{mark} | {caught} | {time.monotonic() - began:.0f} |", flush=True)
    return sound


async def _silent(check: Check) -> None:
    return None


async def main(names: list[str]) -> int:
    folders = [path.parent for path in sorted(DATA.glob("*/case.yaml")) if not names or path.parent.name in names]
    facts = {folder.name: yaml.safe_load((folder / "case.yaml").read_text()) for folder in folders}
    # A suite that takes many minutes, or hangs, is narrowed as an operator would.
    commands = {told["package"]: shlex.split(told["own_tests"]["command"]) for told in facts.values()}
    recipes = {package: {"test": command} for package, command in commands.items() if "-k" in command}
    with tempfile.TemporaryDirectory() as state:
        async with Remediator.open(load_settings(state=Path(state) / "state", recipes=recipes)) as app:
            results = [await measured(app, folder) for folder in folders]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
