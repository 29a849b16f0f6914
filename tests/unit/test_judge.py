"""What level the judge asks for."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from remediator.engine.judge import judge
from remediator.engine.project import Project
from remediator.errors import PatchError
from remediator.records import Check, EvidenceLevel, Finding, Patch


def _project() -> Any:
    def apply(base: object, diff: str) -> None:
        raise PatchError("does not apply")

    kit = SimpleNamespace(scanners=(SimpleNamespace(name="semgrep"),), verifiers=(), expected=lambda: ())
    project = SimpleNamespace(store=SimpleNamespace(apply=apply), base=None, kit=kit)
    project.required_for = lambda finding, at_least: Project.required_for(project, finding, at_least=at_least)  # type: ignore[arg-type]
    return project


@pytest.mark.parametrize(
    ("scanner", "asked", "required"),
    [
        ("semgrep", EvidenceLevel.E2, EvidenceLevel.E2),
        ("advisory", EvidenceLevel.E2, EvidenceLevel.E4),
        ("described", EvidenceLevel.E3, EvidenceLevel.E4),
        ("bandit", EvidenceLevel.E0, EvidenceLevel.E4),
        ("advisory", EvidenceLevel.E5, EvidenceLevel.E5),
    ],
)
async def test_an_unseen_flaw_needs_a_reproducer_whatever_was_asked_for(scanner, asked, required) -> None:
    finding = Finding.at(rule_id="r", scanner=scanner, message="m", location=None, snippet="")
    patch = Patch.of(finding_id=finding.id, fixer="f", title="t", diff="d")

    async def on_check(check: Check) -> None:
        pass

    assert (await judge(_project(), finding, patch, asked, on_check)).required is required


async def test_a_replay_says_of_each_check_that_it_leaves_out_why(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding.at(rule_id="r", scanner="semgrep", message="m", location=None, snippet="")
    patch = Patch.of(finding_id=finding.id, fixer="f", title="t", diff="d")
    project = _project()
    project.store = SimpleNamespace(apply=lambda base, diff: "tree")
    project.kit.verifiers = tuple(SimpleNamespace(name=name, level=EvidenceLevel.E5) for name in ("reviewer", "replayed"))

    @contextlib.asynccontextmanager
    async def scratch() -> AsyncIterator[None]:
        yield None

    project.scratch = scratch
    monkeypatch.setattr("remediator.engine.judge.StepWorkspace", lambda *given, **more: None)
    told = {}

    async def on_check(check: Check) -> None:
        told[check.name] = check.summary

    await judge(project, finding, patch, EvidenceLevel.E2, on_check, replaying=True)
    assert told == {"reviewer": "what a model says cannot be measured again", "replayed": "a replay does not judge itself"}
