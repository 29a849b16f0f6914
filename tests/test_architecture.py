"""Holds the house together: imports run one way, and each kind of I/O has one door."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "remediator"

# Each layer may import itself and those before it. `builtin` is loaded by name and imported by nobody.
LAYERS = [
    ["errors", "redact", "program"],
    ["records"],
    ["contracts"],
    ["hookspecs", "artefacts", "diff", "proven_fix"],
    ["llm"],
    ["git", "checkout", "recipe", "source", "evidence"],
    ["secret"],
    ["settings", "registry"],
    ["playbook", "models"],
    ["clearinghouse"],
    ["builtin"],
    ["engine"],
    ["app"],
    ["daemon", "bench", "testing"],
    ["cli"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

DOORS = {
    "git": {"git", "git_objects", "git_store", "checkout"},
    "docker": {"builtin"},
    "sqlite3": {"engine", "builtin", "clearinghouse"},
    "dbos": {"engine"},
    "sqlalchemy": {"clearinghouse", "engine"},
    "alembic": {"clearinghouse"},
    "jinja2": {"clearinghouse"},
    "pypi_simple": {"source"},
    "aiohttp": {"source", "builtin", "clearinghouse", "daemon", "llm", "testing"},
    "requests": {"source"},
    "click": {"cli"},
    "rich": {"cli"},
    "libcst": {"builtin"},
    "semgrep": set(),
}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return _whole(first)


def _whole(name: str) -> str:
    # git_index.py and the like belong to the door that they are split from.
    stem = name.split("_")[0]
    return stem if stem in ("git", "checkout") else name


def imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno
            if node.module == "remediator":
                yield from ((f"remediator.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    assert part in RANK, f"{part} has no place in the house: give it a layer"
    for name, line in imports(path):
        if not name.startswith("remediator."):
            continue
        other = _whole(name.split(".")[1])
        if other in ("__version__", "Remediator", "RemediatorError", "hookimpl") or other == part:
            continue
        assert other != "builtin", f"{path.name}:{line} imports builtin, which is loaded by name only"
        assert other in RANK and RANK[other] <= RANK[part], f"{path.name}:{line}: {part} may not import {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_kind_of_io_has_one_door(path: Path) -> None:
    part = part_of(path)
    for name, line in imports(path):
        top = name.split(".")[0]
        assert top not in DOORS or part in DOORS[top], f"{path.name}:{line}: {top} is imported by {part}"


def test_only_settings_reads_the_environment() -> None:
    for path in modules():
        if "reporter" in path.parts:
            continue  # runs inside the sandbox, in the project's interpreter
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named = (
                isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb") and getattr(node.value, "id", "") == "os"
            )
            assert not named or path.name == "settings.py", f"{path}:{node.lineno} reads the environment"


def test_nobody_runs_a_shell() -> None:
    for path in modules():
        if "reporter" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{path}:{node.value.lineno}: shell"
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "os":
                assert node.attr not in ("system", "popen"), f"{path}:{node.lineno}: os.{node.attr}"


def test_plugins_import_only_the_public_house() -> None:
    allowed = (
        "remediator",
        "remediator.contracts",
        "remediator.records",
        "remediator.errors",
        "remediator.hookspecs",
        "remediator.llm",
        "remediator.testing",
        "remediator.redact",
        "remediator.program",
    )
    for path in sorted((ROOT / "plugins").glob("*/src/**/*.py")):
        for name, line in imports(path):
            if name.startswith("remediator") and not name.startswith("remediator_"):
                assert name in allowed or name.startswith(tuple(f"{part}." for part in allowed[1:])) or name == "remediator.hookimpl", (
                    f"{path}:{line} imports {name}"
                )


def test_no_module_has_a_name_that_says_nothing() -> None:
    for path in modules():
        assert not re.fullmatch(r"(utils?|helpers?|common|base|manager|misc)\.py", path.name) or path.parent.name == "evidence", path


def test_the_front_door_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import remediator, sys; print([m for m in ('aiohttp','docker','click','dbos','git','libcst','rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
