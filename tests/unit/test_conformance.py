"""The built-ins run the suites that plugin authors run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from remediator.builtin.codemod_fixer import CodemodFixer
from remediator.builtin.exec_scanner import ExecScanner
from remediator.builtin.guards_verifier import GuardsVerifier
from remediator.builtin.suggested_fixer import SuggestedFixer
from remediator.contracts import Message, Prompt, Reply, SandboxProvider
from remediator.records import Finding, Location, Patch, SuggestedFix, TextEdit
from remediator.testing import FakeSandboxProvider, FakeWorkspace, ScriptedLlm
from remediator.testing.conformance import Conformance, FixerConformance, LlmConformance, ScannerConformance, VerifierConformance

# A scanner of the plainest kind: a program that looks for one word and prints SARIF.
WORDS = """
import json, pathlib
results = []
for path in sorted(pathlib.Path(".").rglob("*.py")):
    text = path.read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if "eval(" in line:
            region = {"startLine": number, "startColumn": 1, "endColumn": len(line) + 1}
            where = {"physicalLocation": {"artifactLocation": {"uri": path.as_posix()}, "region": region}}
            results.append({"ruleId": "eval", "message": {"text": "eval"}, "locations": [where]})
print(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "words"}}, "results": results}]}))
"""
TEXT = "import yaml\n\n\ndef read(text):\n    return yaml.load(text)\n"
WHERE = Location(path="app.py", start_line=5, start_column=12, end_line=5, end_column=27)


class TestExecScanner(ScannerConformance):
    vulnerable = {"app.py": "x = eval(input())\n"}
    safe = {"app.py": "x = int(input())\n"}

    @pytest.fixture
    def component(self, tmp_path: Path) -> ExecScanner:
        program = tmp_path / "words.py"
        program.write_text(WORDS)
        return ExecScanner(argv=(sys.executable, str(program)), endings=("app.py",))


class TestCodemodFixer(FixerConformance):
    files = {"app.py": TEXT}

    @pytest.fixture
    def component(self) -> CodemodFixer:
        return CodemodFixer()

    @pytest.fixture
    def fixable(self) -> Finding:
        return Finding.at(rule_id="any", scanner="any", message="m", location=WHERE, snippet="yaml.load(text)", cwe=(502,))


class TestSuggestedFixer(FixerConformance):
    files = {"app.py": TEXT}

    @pytest.fixture
    def component(self) -> SuggestedFixer:
        return SuggestedFixer()

    @pytest.fixture
    def fixable(self) -> Finding:
        fix = SuggestedFix(description="load plain data", edits=(TextEdit(location=WHERE, text="yaml.safe_load(text)"),))
        return Finding.at(rule_id="any", scanner="any", message="m", location=WHERE, snippet="yaml.load(text)", cwe=(502,), fixes=(fix,))


class TestGuardsVerifier(VerifierConformance):
    @pytest.fixture
    def component(self) -> GuardsVerifier:
        return GuardsVerifier()

    @pytest.fixture
    def judged(self, tmp_path: Path) -> tuple[Finding, Patch, FakeWorkspace]:
        finding = Finding.at(rule_id="any", scanner="any", message="m", location=WHERE, snippet="yaml.load(text)", cwe=(502,))
        gutted = TEXT.replace("return yaml.load(text)", "return None")
        diff = FakeWorkspace({"app.py": TEXT}, tmp_path).diff({"app.py": gutted.encode()})
        workspace = FakeWorkspace({"app.py": TEXT}, tmp_path, tree={"app.py": gutted})
        return finding, Patch.of(finding_id=finding.id, fixer="x", title="t", diff=diff), workspace


class TestScriptedLlm(LlmConformance):
    @pytest.fixture
    def component(self) -> ScriptedLlm:
        return ScriptedLlm(replies=(Reply(text="yes"),))


class TestFakeSandboxProvider(Conformance):
    contract = SandboxProvider

    @pytest.fixture
    def component(self) -> FakeSandboxProvider:
        return FakeSandboxProvider()


async def test_the_scripted_model_keeps_what_it_was_asked() -> None:
    llm = ScriptedLlm(replies=(Reply(text="yes"),))
    prompt = Prompt(system="s", messages=(Message(role="user", text="c"),))
    assert (await llm.complete(prompt)).text == "yes"
    assert list(llm.prompts) == [prompt]
    json.dumps(prompt.as_json())
