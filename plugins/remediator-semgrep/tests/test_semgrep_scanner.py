"""The scanner on hostile trees, with real semgrep."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from remediator_semgrep import semgrep_program, targets
from remediator_semgrep.semgrep_scanner import SemgrepScanner

from remediator.errors import ConfigError, ScanError
from remediator.records import Covered, Finding, ScanItem, Unchecked
from remediator.testing import FakeWorkspace
from remediator.testing.conformance import ScannerConformance

BAD = "import yaml\nyaml.load(x)\n"
RULE = """rules:
- id: my.own.rule
  languages: [python]
  severity: ERROR
  message: "a  load\\n of $X"
  metadata: {cwe: "CWE-502: x"}
  pattern: yaml.load($X)
  fix: yaml.safe_load($X)
"""


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "own.yaml"
    path.parent.mkdir()
    path.write_text(RULE)
    return path


async def scan(
    files: Mapping[str, str | bytes], tmp_path: Path, scanner: SemgrepScanner, paths: tuple[str, ...] | None = None
) -> list[ScanItem]:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return [item async for item in scanner.scan(FakeWorkspace(files, scratch, paths=paths))]


def findings(items: list[ScanItem]) -> list[Finding]:
    return [item for item in items if isinstance(item, Finding)]


def unchecked(items: list[ScanItem]) -> dict[str, Unchecked]:
    return {item.path: item for item in items if isinstance(item, Unchecked)}


def covered(items: list[ScanItem]) -> set[str]:
    return {path for item in items if isinstance(item, Covered) for path in item.paths}


class TestSemgrepConformance(ScannerConformance):
    vulnerable = {"app.py": BAD}
    safe = {"app.py": "import yaml\nyaml.safe_load(x)\n"}

    @pytest.fixture
    def component(self, rule: Path) -> SemgrepScanner:
        return SemgrepScanner(rules=(str(rule),))


async def test_finding_carries_what_the_rule_says(tmp_path: Path, rule: Path) -> None:
    (found,) = findings(await scan({"a.py": "é = 1; yaml.load(x)\n"}, tmp_path, SemgrepScanner(rules=(str(rule),))))
    assert (found.rule_id, found.message, found.cwe, found.severity) == ("my.own.rule", "a load of x", (502,), "high")
    assert found.location is not None
    # Columns count characters although semgrep counts bytes.
    assert (found.location.start_line, found.location.start_column, found.location.end_column) == (1, 8, 20)
    assert found.snippet == "yaml.load(x)"
    assert found.fixes[0].edits[0].text == "yaml.safe_load(x)"
    assert found.fixes[0].edits[0].location == found.location


async def test_ids_survive_a_move_and_tell_twins_apart(tmp_path: Path, rule: Path) -> None:
    scanner = SemgrepScanner(rules=(str(rule),))
    before = findings(await scan({"a.py": BAD + "yaml.load(x)\n"}, tmp_path, scanner))
    after = findings(await scan({"a.py": "# moved\n\n" + BAD + "pass\nyaml.load( x )\n"}, tmp_path, scanner))
    assert [found.ordinal for found in before] == [0, 1]
    assert len({found.id for found in before}) == 2
    assert before[0].id == after[0].id
    assert before[0].key == before[1].key


async def test_nothing_in_the_tree_hides_a_finding(tmp_path: Path, rule: Path) -> None:
    hidden = BAD.replace("load(x)", "load(x)  # nosemgrep")
    names = ("a.py", "tests/a.py", "node_modules/a.py", "vendor/x.min.py", ".hidden/a.py", "build/lib/a.py")
    files = {**dict.fromkeys(names, hidden), ".semgrepignore": "*\n", ".gitignore": "*\n", ".semgrep.yml": "rules: []\n"}
    items = await scan(files, tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert sorted(found.path for found in findings(items)) == sorted(names)
    assert covered(items) == set(names)


@pytest.mark.parametrize(
    "name", ["-x.py", "new\nline.py", "a b.py", "[*]?.py", "\udcff.py", "$(id).py", "UPPER.PY", "w.pyw", "remediator_alias/f0.py"]
)
async def test_odd_file_names_are_scanned(tmp_path: Path, rule: Path, name: str) -> None:
    items = await scan({name: BAD, "plain.py": BAD}, tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert sorted(found.path for found in findings(items)) == sorted([name, "plain.py"])
    assert covered(items) == {name, "plain.py"}


async def test_executable_script_without_an_ending_is_scanned(tmp_path: Path, rule: Path) -> None:
    workspace = FakeWorkspace({}, tmp_path)
    workspace.base = workspace.tree = type(workspace.base)({"bin/tool": "#!/usr/bin/env python3\n" + BAD}, executable=("bin/tool",))
    items = [item async for item in SemgrepScanner(rules=(str(rule),)).scan(workspace)]
    assert [found.path for found in findings(items)] == ["bin/tool"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"\xef\xbb\xbfyaml.load(x)\n", (1, 1)),
        (b"# comment\ryaml.load(x)\n", (1, 11)),
        (b"x = 1\r\nyaml.load(\r\nx)\r\n", (2, 1)),
        (b"x = 1\n\x0cyaml.load(x)\n", (2, 2)),
        (b"# coding: latin-1\ny = '\xe9'; yaml.load(x)\n", (2, 10)),
        (b"y = '\xc3\xa9'; yaml.load(x)", (1, 10)),
    ],
)
async def test_line_ends_and_marks_do_not_hide_a_finding(tmp_path: Path, rule: Path, data: bytes, place: tuple[int, int]) -> None:
    items = await scan({"a.py": data}, tmp_path, SemgrepScanner(rules=(str(rule),)))
    (found,) = findings(items)
    assert found.location is not None
    assert (found.location.start_line, found.location.start_column) == place
    assert "".join(found.snippet.split()) == "yaml.load(x)"
    assert covered(items) == {"a.py"}


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"def (\nyaml.load(x)\n", "parse-error", "does not parse"),
        (b"print 'x'\nyaml.load(x)\n", "parse-error", "Python 2"),
        (b"x = '\x00'\n", "parse-error", "null"),
        (b"# coding: utf_7\nyaml+AC4-load(x)\n", "parse-error", "utf_7"),
        ("yaml.ｌoad(x)\n".encode(), "parse-error", "look-alike"),
        (b"x = " + b"(" * 5000 + b")" * 5000 + b"\n", "parse-error", "pars"),
        (b"x = " + b"-" * 200_000 + b"1\n", "parse-error", "pars"),
    ],
)
async def test_file_that_is_not_read_is_said(tmp_path: Path, rule: Path, data: bytes, reason: str, word: str) -> None:
    items = await scan({"bad.py": data, "good.py": BAD}, tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert unchecked(items)["bad.py"].reason == reason
    assert any(word in item.detail for item in items if isinstance(item, Unchecked))
    assert covered(items) == {"good.py"}
    assert "good.py" in [found.path for found in findings(items)]


async def test_newer_syntax_than_the_interpreters_is_python(tmp_path: Path, rule: Path) -> None:
    items = await scan({"a.py": 'type X = int\ny = f"{f"{yaml.load(x)}"}"\n'}, tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert unchecked(items) == {}
    assert len(findings(items)) == 1


async def test_large_file_is_said(tmp_path: Path, rule: Path) -> None:
    items = await scan({"a.py": BAD, "big.py": "x = 1\n" * 100}, tmp_path, SemgrepScanner(rules=(str(rule),), max_file_bytes=100))
    assert unchecked(items)["big.py"].reason == "too-large"
    assert covered(items) == {"a.py"}


async def test_file_with_too_many_matches_is_said(tmp_path: Path, rule: Path) -> None:
    files = {"flood.py": "yaml.load(x)\n" * 12_000, "good.py": BAD}
    items = await scan(files, tmp_path, SemgrepScanner(rules=(str(rule),), timeout_seconds=5))
    assert "flood.py" in unchecked(items)
    assert covered(items) == {"good.py"}
    assert "good.py" in [found.path for found in findings(items)]


async def test_one_file_that_breaks_a_run_does_not_hide_the_others(tmp_path: Path, rule: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semgrep_program, "_OUTPUT_BYTES", 60_000)
    files = {"a.py": BAD, "b.py": "yaml.load(x)\n" * 300, "c.py": BAD}
    items = await scan(files, tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert "more than 60000 bytes" in unchecked(items)["b.py"].detail
    assert covered(items) == {"a.py", "c.py"}
    assert [found.path for found in findings(items)] == ["a.py", "c.py"]


async def test_only_the_named_paths_are_scanned(tmp_path: Path, rule: Path) -> None:
    items = await scan({"a.py": BAD, "b.py": BAD}, tmp_path, SemgrepScanner(rules=(str(rule),)), paths=("b.py", "gone.py"))
    assert [found.path for found in findings(items)] == ["b.py"]
    assert covered(items) == {"b.py"}


async def test_files_that_no_rule_speaks_about_are_not_its_business(tmp_path: Path, rule: Path) -> None:
    items = await scan({"a.txt": "yaml.load(x)", "b.js": "yaml.load(x)"}, tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert findings(items) == []
    assert covered(items) == set()
    assert unchecked(items) == {}


async def test_batches_give_the_same_as_one_run(tmp_path: Path, rule: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "BATCH_FILES", 2)
    files = {f"m{number}.py": BAD for number in range(5)}
    items = await scan(files, tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert sorted(found.path for found in findings(items)) == sorted(files)
    assert len([item for item in items if isinstance(item, Covered)]) == 3
    assert not list((tmp_path / "scratch").rglob("m0.py"))


async def test_scanned_code_never_runs(tmp_path: Path, rule: Path) -> None:
    mark = tmp_path / "ran"
    evil = f"open({str(mark)!r}, 'w')\n" + BAD
    names = ("ast.py", "json.py", "sitecustomize.py", "conftest.py", "tokenize.py", "libcst/__init__.py", "encodings/__init__.py")
    items = await scan(dict.fromkeys(names, evil), tmp_path, SemgrepScanner(rules=(str(rule),)))
    assert len(findings(items)) == len(names)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("rules:\n- id: a\n  languages: [python]\n  severity: ERROR\n  message: m\n  pattern: 'foo(('\n", "foo(("),
        ("rules:\n- id: a\n  languages: [pythn]\n  severity: ERROR\n  message: m\n  pattern: foo\n", "pythn"),
        ("rules:\n- id: a\n  languages: [python]\n  severity: ERROR\n  message: m\n  patern: foo\n", "pattern"),
        ("rules:\n- id: a\n   languages: x\n", "YAML"),
        ("hello: 1\n", "rules"),
        ("", "rules"),
        ("rules:\n- 1\n", "id"),
        ("rules: []\n", "no rules"),
    ],
)
async def test_malformed_rule_is_told_by_file_and_reason(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        await scan({"a.py": BAD}, tmp_path, SemgrepScanner(rules=(str(path),)))
    assert word in caught.value.message


async def test_missing_rules_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        await scan({"a.py": BAD}, tmp_path, SemgrepScanner(rules=("/nowhere/at/all",)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no rule file"):
        await scan({"a.py": BAD}, tmp_path, SemgrepScanner(rules=(str(tmp_path / "empty"),)))


async def test_folder_of_rules_is_read_whole(tmp_path: Path, rule: Path) -> None:
    (rule.parent / "deep").mkdir()
    (rule.parent / "deep" / "other.yml").write_text(RULE.replace("my.own.rule", "second"))
    items = await scan({"a.py": BAD}, tmp_path, SemgrepScanner(rules=(str(rule.parent),)))
    assert sorted(found.rule_id for found in findings(items)) == ["my.own.rule", "second"]


async def test_missing_semgrep_is_told_with_a_hint(tmp_path: Path, rule: Path) -> None:
    with pytest.raises(ScanError) as caught:
        await scan({"a.py": BAD}, tmp_path, SemgrepScanner(rules=(str(rule),), binary="/nowhere/semgrep"))
    assert "REMEDIATOR_SEMGREP" in caught.value.hint


@pytest.mark.parametrize("script", ["exit 3", "echo not json", 'echo \'{"results": [], "errors": [], "paths": {"scanned": []}}\''])
async def test_semgrep_that_does_not_find_the_canary_is_not_believed(tmp_path: Path, rule: Path, script: str) -> None:
    program = tmp_path / "semgrep"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(ScanError, match="does not work"):
        await scan({"a.py": BAD}, tmp_path, SemgrepScanner(rules=(str(rule),), binary=str(program)))


def test_version_tells_the_program_and_the_rules(rule: Path) -> None:
    own = SemgrepScanner(rules=(str(rule),)).version()
    assert own.startswith("semgrep 1.")
    rule.write_text(RULE + "# changed\n")
    assert SemgrepScanner(rules=(str(rule),)).version() != own
    assert "no rules at" in SemgrepScanner(rules=("/nowhere",)).version()
