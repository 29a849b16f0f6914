"""Proven fixes on their way into the user's repository and back, with the real journal and real git."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator.app import Remediator
from remediator.errors import UsageError
from remediator.records import EvidenceLevel, Finding, FindingReported, Location, Outcome, Patch, PatchProposed, Verdict, VerdictReached
from remediator.settings import load_settings

RUN = {"run_id": "run-1", "at": datetime(2026, 11, 22, tzinfo=UTC)}
NAMES = ("a.py", "b.py")


def git(folder: Path, *words: str) -> str:
    named = ["git", "-c", "user.name=u", "-c", "user.email=u@x", *words]
    return subprocess.run(named, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(params=["git", "folder"])
def repository(tmp_path: Path, request) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text("import yaml\nyaml.load(x)\n")
    if request.param == "git":
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "base")
    return folder


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Remediator]:
    async with Remediator.open(load_settings(state=tmp_path / "state", no_plugins=True)) as opened:
        for name in NAMES:
            where = Location(path=name, start_line=2, end_line=2, end_column=13)
            found = Finding.at(rule_id="r", scanner="s", message="m", location=where, snippet="yaml.load(x)", cwe=(502,))
            diff = f"--- a/{name}\n+++ b/{name}\n@@ -1,2 +1,2 @@\n import yaml\n-yaml.load(x)\n+yaml.safe_load(x)\n"
            patch = Patch.of(finding_id=found.id, fixer="codemod", title="Load YAML as plain data only", diff=diff)
            verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=Outcome.verified, level=EvidenceLevel.E3)
            case = {**RUN, "case_id": f"fx-{name}"}
            events = (FindingReported(**case, finding=found), PatchProposed(**case, patch=patch), VerdictReached(**case, verdict=verdict))
            for number, event in enumerate(events):
                opened.journal.append(event, f"{name}{number}")
        yield opened


def loads(folder: Path) -> list[str]:
    return [name for name in NAMES if "yaml.load" in (folder / name).read_text()]


async def test_each_apply_is_taken_back_the_last_one_first(app: Remediator, repository: Path) -> None:
    for name in NAMES:
        await app.apply([f"fx-{name}"], repository)
    left = [loads(repository)]
    for _ in NAMES:
        await app.undo(repository)
        left.append(loads(repository))
    assert left == [[], ["b.py"], ["a.py", "b.py"]]
    with pytest.raises(UsageError, match="nothing that was applied to"):
        await app.undo(repository)


@pytest.mark.parametrize("repository", ["git"], indirect=True)
async def test_a_commit_names_finding_place_and_proof(app: Remediator, repository: Path) -> None:
    await app.apply(["fx-a.py"], repository)
    told = "Load YAML as plain data only\n\nFixes CWE-502 at a.py:2 (fx-a.py), proven to E3 by remediator."
    assert git(repository, "log", "-1", "--format=%B") == told
