"""`verify` and `replay` from the command line, without a sandbox: which finding is meant, and what is told on the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.cli.main import run
from remediator.cli.session import Session

SCANNER = """
import json, pathlib
found = []
for path in sorted(pathlib.Path().rglob("*.py")):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "yaml.load" in line:
            place = {"artifactLocation": {"uri": path.as_posix()}, "region": {"startLine": number, "startColumn": 1}}
            found.append({"ruleId": "yaml-load", "level": "error" if "web" in path.parts else "note", "message": {"text": "unsafe"},
                          "locations": [{"physicalLocation": place}]})
print(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Own"}}, "results": found}]}))
"""
DIFF = "diff --git a/web/app.py b/web/app.py\n--- a/web/app.py\n+++ b/web/app.py\n@@ -1 +1 @@\n-yaml.load(y)\n+yaml.safe_load(y)\n"
Told = tuple[int, str, str]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "shop" / "web").mkdir(parents=True)
    (tmp_path / "shop" / "conf.py").write_text("import yaml\nyaml.load(x)\n")
    (tmp_path / "shop" / "web" / "app.py").write_text("yaml.load(y)\n")
    (tmp_path / "fix.patch").write_text(DIFF)
    (tmp_path / "scanner.py").write_text(SCANNER)
    argv = json.dumps([sys.executable, str(tmp_path / "scanner.py")])
    (tmp_path / "own.yaml").write_text(
        f"name: own\nscan: [{{use: exec, with: {{argv: {argv}, endings: ['.py']}}}}]\n"
        "verify: [{use: applies}, {use: tests}]\nrequire: {default: E0}\nsandbox: {use: none}\n"
    )
    monkeypatch.chdir(tmp_path)

    def told(*words: str) -> Told:
        code = run([*words, "--playbook", "own.yaml"], Session(overrides={"state": tmp_path / "state", "no_plugins": True}))
        return (code, *capsys.readouterr())

    return told


@pytest.mark.parametrize("narrowed", [("--path", "web"), ("--path", "./web/app.py"), ("--severity", "high")])
def test_path_and_severity_choose_the_finding_that_is_meant(command, narrowed) -> None:
    code, _, err = command("verify", "fix.patch", "shop")
    assert code == 2 and "2 findings for 'the whole scan'" in err
    code, out, err = command("verify", "fix.patch", "shop", *narrowed)
    assert code == 0 and "E0" in out, err


def test_a_path_that_is_not_there_and_one_without_the_finding_are_errors(command) -> None:
    code, _, err = command("verify", "fix.patch", "shop", "--path", "nowhere")
    assert code == 2 and "--path nowhere: the target has no such file or folder" in err
    code, _, err = command("verify", "fix.patch", "shop", "--path", "conf.py", "--finding", "web/app.py:1")
    assert code == 2 and "no finding for 'web/app.py:1'" in err


def test_progress_of_verify_and_replay_is_in_words_and_names_the_place(command) -> None:
    _, out, err = command("verify", "fix.patch", "shop", "--path", "web")
    bundle = next(line for line in out.splitlines() if line.startswith("bundle: ")).removeprefix("bundle: ")
    again = command("replay", bundle)
    assert again[0] == 0, again
    for told in (err, again[2]):
        lines = told.splitlines()
        assert any(line.startswith("check     web/app.py:1 yaml-load applies: ok") for line in lines), told
        assert any(line.startswith("check     web/app.py:1 yaml-load tests: not run") for line in lines), told
        assert "status=" not in told and "reason=" not in told and "summary=" not in told


def test_events_of_verify_are_json_lines_and_nothing_else(command) -> None:
    _, out, _ = command("verify", "fix.patch", "shop", "--path", "web", "--events", "ndjson")
    types = [json.loads(line)["type"] for line in out.splitlines()]
    assert types.index("FindingReported") < types.index("CheckDone") and types.count("CheckDone") == 2
