"""The codemod fixer: from a finding to a patch, through a process that hostile files may kill."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from remediator.builtin.codemod_fixer import CodemodFixer
from remediator.contracts.fixer import Attempt
from remediator.contracts.tree import Tree, TreeEntry
from remediator.contracts.workspace import Workspace
from remediator.errors import GitError, PatchError
from remediator.records.finding import Finding, Location
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.verdict import Verdict

PLAIN = b"import yaml\n\n\ndef read(f):\n    return yaml.load(f)\n"


class FolderTree(Tree):
    id = "t"
    commit = "c"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entries(self) -> Sequence[TreeEntry]:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [TreeEntry(str(path.relative_to(self.folder)), 0o100644, "", path.stat().st_size) for path in files]

    def read(self, path: str, *, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
        place = self.folder / path
        if not place.is_file():
            raise KeyError(path)
        if place.stat().st_size > limit_bytes:
            raise GitError(f"{path} is larger than {limit_bytes} bytes")
        return place.read_bytes()

    def tar(self) -> Iterator[bytes]:
        raise NotImplementedError


class FolderWorkspace:
    """Only what a fixer that needs no sandbox may touch."""

    def __init__(self, folder: Path) -> None:
        self.tree = self.base = FolderTree(folder)

    def diff(self, edits: Mapping[str, bytes]) -> str:
        return "".join(self._one(path, data) for path, data in edits.items())

    def _one(self, path: str, data: bytes) -> str:
        try:
            before, after = (text.decode().split("\n") for text in (self.tree.read(path), data))
        except UnicodeDecodeError as error:
            raise PatchError("not UTF-8") from error
        lines = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm="")
        return "\n".join(lines) + "\n"


def workspace_of(tmp_path: Path, files: Mapping[str, bytes]) -> Workspace:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return cast(Workspace, FolderWorkspace(tmp_path))


def finding_at(path: str, line: int, *, cwe: tuple[int, ...] = (502,), **more: Any) -> Finding:
    place = Location(path=path, start_line=line, start_column=1, end_line=line, end_column=1)
    fields: dict[str, Any] = {"rule_id": "rule", "scanner": "tool", "message": "", "location": place, "snippet": "", **more}
    return Finding.at(cwe=cwe, **fields)


async def fix(tmp_path: Path, data: bytes, line: int = 5, *, fixer: CodemodFixer | None = None, **more: Any) -> Patch | Declined:
    workspace = workspace_of(tmp_path, {"a.py": data})
    return await (fixer or CodemodFixer()).fix(finding_at("a.py", line, **more), workspace, ())


async def test_certain_change_becomes_a_patch(tmp_path: Path) -> None:
    patch = await fix(tmp_path, PLAIN)

    assert isinstance(patch, Patch)
    assert (patch.transform, patch.fixer) == ("yaml-safe-load", "codemod")
    assert "-    return yaml.load(f)\n+    return yaml.safe_load(f)" in patch.diff
    assert patch.behaviour
    assert patch.title


async def test_patch_of_the_history_is_not_repeated(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, {"a.py": b"import os\nos.chmod(p, 0o777)\n"})
    finding = finding_at("a.py", 2, cwe=(732,))
    verdict = cast(Verdict, None)

    first = await CodemodFixer().fix(finding, workspace, ())
    assert isinstance(first, Patch)
    second = await CodemodFixer().fix(finding, workspace, (Attempt(first, verdict),))
    assert isinstance(second, Patch)
    third = await CodemodFixer().fix(finding, workspace, (Attempt(first, verdict), Attempt(second, verdict)))

    assert "0o755" in first.diff
    assert "0o700" in second.diff
    assert isinstance(third, Declined)
    assert third.reason is ReasonCode.no_safe_transform


async def test_finding_without_a_place_is_out_of_scope(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, {"a.py": PLAIN})

    declined = await CodemodFixer().fix(finding_at("a.py", 1, location=None), workspace, ())

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.out_of_scope


@pytest.mark.parametrize("name", ["a.js", "requirements.txt", "script"])
async def test_other_languages_are_out_of_scope(tmp_path: Path, name: str) -> None:
    workspace = workspace_of(tmp_path, {name: PLAIN})

    declined = await CodemodFixer().fix(finding_at(name, 5), workspace, ())

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.out_of_scope


async def test_script_without_a_suffix_is_known_by_its_first_line(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, {"bin/tool": b"#!/usr/bin/env python3\n" + PLAIN})

    assert isinstance(await CodemodFixer().fix(finding_at("bin/tool", 6), workspace, ()), Patch)


async def test_weakness_that_no_transform_knows_needs_a_model(tmp_path: Path) -> None:
    declined = await fix(tmp_path, PLAIN, cwe=(639,))

    assert isinstance(declined, Declined)
    assert (declined.reason, declined.detail) == (ReasonCode.needs_model, "no transform knows CWE-639")


async def test_code_that_no_transform_knows_needs_a_model(tmp_path: Path) -> None:
    declined = await fix(tmp_path, PLAIN, line=1)

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.needs_model


async def test_finding_without_a_weakness_is_known_by_its_words(tmp_path: Path) -> None:
    known = await fix(tmp_path, PLAIN, cwe=(), rule_id="unsafe-yaml-load")
    unknown = await fix(tmp_path, PLAIN, cwe=(), rule_id="line-too-long")

    assert isinstance(known, Patch)
    assert isinstance(unknown, Declined)


@pytest.mark.parametrize(
    "data",
    [
        b"print 'hello'\nimport yaml\n\n\nyaml.load(x)\n",
        b"exec 'x' in y\n\n\n\nyaml.load(x)\n",
        b"\xff\xfe\x00\n\n\n\n\n",
        b"# -*- coding: no-such-code -*-\n\n\n\nyaml.load(x)\n",
        b"x = '\x00'\n\n\n\nyaml.load(x)\n",
        b"def f(:\n\n\n\n\n",
        b"a = 1\rb = 2\r\n\n\n\n\n",
    ],
)
async def test_file_that_does_not_parse_could_not_be_checked(tmp_path: Path, data: bytes) -> None:
    declined = await fix(tmp_path, data)

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.could_not_check
    assert declined.detail


async def test_line_that_is_not_there_could_not_be_checked(tmp_path: Path) -> None:
    declined = await fix(tmp_path, PLAIN, line=500)

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.could_not_check


async def test_file_that_is_not_there_could_not_be_checked(tmp_path: Path) -> None:
    declined = await CodemodFixer().fix(finding_at("b.py", 1), workspace_of(tmp_path, {"a.py": PLAIN}), ())

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.could_not_check


@pytest.mark.parametrize(
    "body",
    [
        b"(" * 100_000 + b")" * 100_000,
        b"[" * 3_000 + b"]" * 3_000,
        b"x" + b".a" * 50_000,
        b"-" * 100_000 + b"1",
        b"1" + b"+1" * 30_000,
        b"f(" * 5_000 + b")" * 5_000,
    ],
    ids=["parentheses", "lists", "attributes", "signs", "sums", "calls"],
)
async def test_nesting_that_kills_the_parser_does_not_kill_us(tmp_path: Path, body: bytes) -> None:
    declined = await fix(tmp_path, b"import yaml\nyaml.load(x)\ny = " + body + b"\n", line=2, fixer=CodemodFixer(timeout_seconds=3))

    assert isinstance(declined, Declined | Patch)
    if isinstance(declined, Declined):
        assert declined.reason is ReasonCode.could_not_check


async def test_parsing_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    data = b"import yaml\n" + b"yaml.load(x)\n" * 60_000

    declined = await fix(tmp_path, data, line=2, fixer=CodemodFixer(timeout_seconds=2))

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.could_not_check


async def test_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    declined = await fix(tmp_path, PLAIN + b"#" * 2_000, fixer=CodemodFixer(max_bytes=1_000))

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.could_not_check


async def test_file_that_no_patch_can_hold_could_not_be_checked(tmp_path: Path) -> None:
    declined = await fix(tmp_path, b"# -*- coding: latin-1 -*-\nimport yaml\nx = '\xe9'\n\nyaml.load(x)\n")

    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.could_not_check


async def test_nearest_declaring_file_says_what_the_project_needs(tmp_path: Path) -> None:
    code = b"import xml.dom.minidom as m\nm.parseString(x)\n"
    files = {
        "requirements.txt": b"six\n",
        "sub/setup.cfg": b"[options]\ninstall_requires =\n  defusedxml\n",
        "sub/p/a.py": code,
        "b.py": code,
    }
    workspace = workspace_of(tmp_path, files)

    below = await CodemodFixer().fix(finding_at("sub/p/a.py", 2, cwe=(611,)), workspace, ())
    above = await CodemodFixer().fix(finding_at("b.py", 2, cwe=(611,)), workspace, ())

    assert isinstance(below, Patch)
    assert isinstance(above, Declined)
    assert above.reason is ReasonCode.needs_design


def test_version_names_the_transforms() -> None:
    assert len(CodemodFixer().version()) == 16
