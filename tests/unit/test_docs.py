"""What the documentation shows is run, and what exists is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from remediator import hookspecs
from remediator.playbook import Playbook, load_playbook, parse_playbook
from remediator.registry import _HOOKS, Registry
from remediator.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
HOOKS = (DOCS / "reference" / "hooks.md").read_text()


def section(hook: str) -> str:
    return HOOKS.split(f"## {hook}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("hook", sorted(_HOOKS.values()))
def test_every_hook_has_an_example_that_loads(hook: str, tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(re.findall(r"```python\n(.*?)```", section(hook), re.DOTALL)[0])
    info = next(plugin for plugin in Registry.load(files=(path,)).plugins() if plugin.name == "example")
    assert (info.state, info.reason) == ("ok", "")
    kind = next(kind for kind, name in _HOOKS.items() if name == hook)
    assert [component.split(":")[0] for component in info.components] == [kind]


def test_the_seven_hooks_are_all_there_are() -> None:
    assert sorted(name for name in dir(hookspecs) if name.startswith("register_")) == sorted(_HOOKS.values())


@pytest.mark.parametrize("key", sorted(Settings.model_fields))
def test_every_setting_is_documented(key: str) -> None:
    assert f"| `{key}` |" in (DOCS / "reference" / "settings.md").read_text()


@pytest.mark.parametrize("key", sorted(Playbook.model_fields))
def test_every_playbook_key_is_documented(key: str) -> None:
    assert f"| `{key}` |" in (DOCS / "reference" / "playbook.md").read_text()


def test_the_playbook_in_the_docs_is_the_one_that_ships() -> None:
    text = (DOCS / "reference" / "playbook.md").read_text()
    shown = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]
    assert parse_playbook(shown.encode(), "docs") == load_playbook("default")


def test_every_control_of_the_sandbox_names_tests_that_exist() -> None:
    table = (DOCS.parent / "sandbox" / "README.md").read_text().split("## Each control")[1].split("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ") and not line.startswith("| control")]
    there = re.findall(r"def (test_\w+)", "\n".join(path.read_text() for path in sorted((DOCS.parent / "tests").rglob("test_*.py"))))
    named = [name.strip("…") for row in rows for name in re.findall(r"`([a-z_]+…?)`", row[3])]
    assert len(rows) > 15 and all(row[3].strip() for row in rows)
    assert not [name for name in named if not any(test.startswith(f"test_{name}") for test in there)]
