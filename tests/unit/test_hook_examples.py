"""The examples in the hooks reference keep what they promise: each runs the conformance suite of its kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from remediator.contracts import Component, SandboxProvider
from remediator.records import EvidenceLevel, Finding, Location, Outcome, Patch, Source, SourceKind, Submission, Verdict
from remediator.registry import Registry
from remediator.testing import FakeWorkspace
from remediator.testing.conformance import (
    Conformance,
    FixerConformance,
    LlmConformance,
    ObserverConformance,
    ScannerConformance,
    SinkConformance,
    VerifierConformance,
)

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "hooks.md").read_text()
FROM = "FROM debian:latest"
WHERE = Location(path="Dockerfile", start_line=1, end_line=1, end_column=len(FROM) + 1)
FINDING = Finding.at(rule_id="latest-tag", scanner="latest-tag", message="m", location=WHERE, snippet=FROM, cwe=(1104,))


def example(hook: str, kind: str, name: str, home: Path, **options: Any) -> Component:
    """Return the component of the page's example, loaded as an operator's single file is."""
    path = home / f"{name.replace('-', '_')}_example.py"
    path.write_text(re.findall(r"```python\n(.*?)```", PAGE.split(f"## {hook}\n")[1].split("\n## ")[0], re.DOTALL)[0])
    return Registry.load(files=(path,)).get(kind, name)(**options)


class TestScannerExample(ScannerConformance):
    vulnerable = {"Dockerfile": FROM + "\n"}
    safe = {"Dockerfile": "FROM debian:bookworm\n", "latest.py": "x = 1\n"}

    @pytest.fixture
    def component(self, tmp_path: Path) -> Component:
        return example("register_scanners", "scanner", "latest-tag", tmp_path)


class TestFixerExample(FixerConformance):
    files = {"Dockerfile": FROM + "\nRUN true\n"}

    @pytest.fixture
    def component(self, tmp_path: Path) -> Component:
        return example("register_fixers", "fixer", "pin-tag", tmp_path, tag="bookworm")

    @pytest.fixture
    def fixable(self) -> Finding:
        return FINDING

    async def test_it_pins_to_the_operators_tag(self, component: Any, fixable: Finding, tmp_path: Path) -> None:
        patch = await component.fix(fixable, FakeWorkspace(self.files, tmp_path), ())
        assert "-FROM debian:latest\n+FROM debian:bookworm\n" in patch.diff


class TestVerifierExample(VerifierConformance):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Component:
        return example("register_verifiers", "verifier", "one-file", tmp_path)

    @pytest.fixture
    def judged(self, tmp_path: Path) -> tuple[Finding, Patch, FakeWorkspace]:
        before, after = {"a": "1\n", "b": "1\n"}, {"a": "2\n", "b": "2\n"}
        diff = FakeWorkspace(before, tmp_path).diff({path: text.encode() for path, text in after.items()})
        patch = Patch.of(finding_id=FINDING.id, fixer="x", title="t", diff=diff)
        return FINDING, patch, FakeWorkspace(before, tmp_path, tree=after)

    async def test_one_file_passes(self, component: Any, tmp_path: Path) -> None:
        diff = FakeWorkspace({"a": "1\n"}, tmp_path).diff({"a": b"2\n"})
        patch = Patch.of(finding_id=FINDING.id, fixer="x", title="t", diff=diff)
        check = await component.verify(FINDING, patch, FakeWorkspace({"a": "1\n"}, tmp_path, tree={"a": "2\n"}))
        assert check.status == "passed"


class TestSinkExample(SinkConformance):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Component:
        return example("register_sinks", "sink", "folder", tmp_path, folder=tmp_path)

    @pytest.fixture
    def submission(self) -> Submission:
        patch = Patch.of(finding_id=FINDING.id, fixer="f", title="t", diff="--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
        verdict = Verdict(patch_id=patch.id, finding_id=FINDING.id, outcome=Outcome.verified, level=EvidenceLevel.E3)
        source = Source(kind=SourceKind.path, uri="x", name="x", commit="0" * 40, tree="0" * 40)
        name = Submission.identify(source, FINDING, patch, verdict)
        parts = {"source": source, "finding": FINDING, "patch": patch, "verdict": verdict}
        return Submission(id=name, case_id="fx-1", bundle_digest="sha256:0", bundle_path="", **parts)


class TestSandboxExample(Conformance):
    contract = SandboxProvider

    @pytest.fixture
    def component(self, tmp_path: Path) -> Component:
        return example("register_sandboxes", "sandbox", "fake", tmp_path)


class TestLlmExample(LlmConformance):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Component:
        return example("register_llms", "llm", "echo", tmp_path)


class TestObserverExample(ObserverConformance):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Component:
        return example("register_observers", "observer", "counting", tmp_path)
