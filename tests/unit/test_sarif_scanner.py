"""SARIF files are findings on the base, and proof of nothing on a patched tree."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from remediator.builtin.sarif_scanner import SarifScanner
from remediator.errors import ConfigError
from remediator.records import Covered, Finding, ScanItem, Unchecked
from remediator.testing import FakeWorkspace

FILES: dict[str, str | bytes] = {"a.py": "import yaml\nyaml.load(x)\n", "b.py": "x = 1\n"}
FIXED = {**FILES, "a.py": "import yaml\nyaml.safe_load(x)\n"}


def log(path: str = "a.py", line: int = 2) -> str:
    place = {"artifactLocation": {"uri": path}, "region": {"startLine": line}}
    result = {"ruleId": "R", "message": {"text": "m"}, "locations": [{"physicalLocation": place}]}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Tool"}}, "results": [result]}]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "log.sarif"
    path.write_text(log())
    return path


async def scan(scanner: SarifScanner, tmp_path: Path, **more: Any) -> list[ScanItem]:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return [item async for item in scanner.scan(FakeWorkspace(FILES, scratch, **more))]


async def test_findings_of_all_files_are_read_with_our_own_snippet(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.sarif"
    other.write_text(log("b.py", 1))
    items = await scan(SarifScanner(files=(file, other)), tmp_path)
    found = {item.path: item for item in items if isinstance(item, Finding)}
    assert {path: item.snippet for path, item in found.items()} == {"a.py": "yaml.load(x)", "b.py": "x = 1"}
    assert all((item.scanner, item.tool) == ("sarif", "Tool") for item in found.values())


async def test_location_outside_of_the_tree_is_said(tmp_path: Path, file: Path) -> None:
    file.write_text(log("../../etc/passwd"))
    items = await scan(SarifScanner(files=(file,)), tmp_path)
    assert [item.detail for item in items if isinstance(item, Unchecked)] == ["Tool: R: the location is outside of the tree"]
    assert [item.paths for item in items if isinstance(item, Covered)] == [()]


async def test_file_does_not_call_a_patched_tree_clean(tmp_path: Path, file: Path) -> None:
    items = await scan(SarifScanner(files=(file,)), tmp_path, tree=FIXED, paths=("a.py",))
    assert items == [Unchecked(scanner="sarif", path="a.py", reason="cannot-rerun", detail="a SARIF file cannot be re-run")]
    whole = await scan(SarifScanner(files=(file,)), tmp_path, tree=FIXED)
    assert [item.path for item in whole if isinstance(item, Unchecked)] == [""]


@pytest.mark.parametrize(("tree", "count"), [(FIXED, 0), ({**FIXED, "b.py": "y = 2\n", "a.py": "\n" + str(FILES["a.py"])}, 1)])
async def test_command_runs_the_tool_again_on_the_patched_tree(
    tmp_path: Path, file: Path, tree: dict[str, str | bytes], count: int
) -> None:
    program = tmp_path / "tool"
    clean = log().replace("results", "x")
    program.write_text(f"#!/bin/sh\nif grep -q 'yaml.load' a.py; then cat <<'E'\n{log(line=3)}\nE\nelse cat <<'E'\n{clean}\nE\nfi\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    scanner = SarifScanner(files=(file,), command=(str(program),))
    before = [item for item in await scan(scanner, tmp_path) if isinstance(item, Finding)]
    items = await scan(scanner, tmp_path, tree=tree, paths=("a.py",))
    after = [item for item in items if isinstance(item, Finding)]
    assert len(after) == count
    assert [item.paths for item in items if isinstance(item, Covered)] == [("a.py",)]
    assert all(item.key == before[0].key for item in after)


async def test_scope_narrows_the_findings(tmp_path: Path, file: Path) -> None:
    items = await scan(SarifScanner(files=(file,)), tmp_path, paths=("b.py",))
    assert not [item for item in items if isinstance(item, Finding)]


@pytest.mark.parametrize("content", [None, "{", "x" * 10])
async def test_missing_or_malformed_file_is_told_by_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "bad.sarif"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"bad\.sarif"):
        await scan(SarifScanner(files=(path,)), tmp_path)
    if content is None:
        assert "not usable" in SarifScanner(files=(path,)).version()


def test_version_follows_the_files(file: Path) -> None:
    before = SarifScanner(files=(file,)).version()
    file.write_text(log("b.py"))
    assert SarifScanner(files=(file,)).version() != before


async def test_no_files_mean_nothing_to_say(tmp_path: Path) -> None:
    assert await scan(SarifScanner(), tmp_path, tree=FIXED, paths=("a.py",)) == []
