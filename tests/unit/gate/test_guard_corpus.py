"""Wrong patches that a guard must name, right ones that none may touch; both on the same code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.builtin.applies_verifier import AppliesVerifier
from remediator.builtin.guards_verifier import GuardsVerifier
from remediator.records import CheckStatus, Finding, Patch

_DATA = Path(__file__).parents[2] / "data" / "patches"
_WRONG = yaml.safe_load((_DATA / "wrong.yaml").read_text("utf-8"))
_RIGHT = yaml.safe_load((_DATA / "right.yaml").read_text("utf-8"))


def _base() -> dict[str, bytes]:
    root = _DATA / "base"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _patched(case: dict[str, Any], files: dict[str, bytes]) -> dict[str, bytes]:
    after = dict(files)
    for old, new in case.get("change", []):
        text = after[case["file"]].decode()
        assert old in text, f"{case['name']}: {old!r} is not in {case['file']}"
        after[case["file"]] = text.replace(old, new, 1).encode()
    after.update({path: text.encode() for path, text in case.get("add", {}).items()})
    return after


def _finding(case: dict[str, Any], files: dict[str, bytes], finding_at: Callable[..., Finding]) -> Finding:
    if "file" not in case:
        return finding_at("feeds/interfaces.py", 1, "")
    lines = files[case["file"]].decode().split("\n")
    line = next(number for number, text in enumerate(lines, 1) if case["at"] in text)
    return finding_at(case["file"], line, lines[line - 1], cwe=tuple(case["cwe"]))


async def _judged(
    case: dict[str, Any], verifier: Any, git: Any, workspace_of: Any, patch_of: Callable[[str], Patch], finding_at: Any
) -> Any:
    files = _base()
    diff = git.diff(git.tree(files), git.tree(_patched(case, files)))
    return await verifier.verify(_finding(case, files, finding_at), patch_of(diff), workspace_of(files, diff))


@pytest.mark.parametrize("case", _WRONG, ids=lambda case: case["name"].replace(" ", "-"))
async def test_a_wrong_patch_is_rejected_by_the_name_of_the_guard(case, git, workspace_of, patch_of, finding_at) -> None:
    check = await _judged(case, GuardsVerifier(), git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.failed, check
    codes = [objection["code"] for objection in check.evidence["objections"]]
    assert case["by"] in codes, codes
    assert check.reason == codes[0]
    assert check.reason in (case["by"], *case.get("also", [])), codes


@pytest.mark.parametrize("case", _RIGHT, ids=lambda case: case["name"].replace(" ", "-"))
async def test_a_right_patch_passes(case, git, workspace_of, patch_of, finding_at) -> None:
    for verifier in (AppliesVerifier(), GuardsVerifier()):
        check = await _judged(case, verifier, git, workspace_of, patch_of, finding_at)
        assert check.status is CheckStatus.passed, check
