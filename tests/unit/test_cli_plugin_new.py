"""`plugin new`: what it writes works at once, for every kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from remediator.cli.main import run
from remediator.cli.plugin import KINDS
from remediator.registry import Registry


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_every_kind_as_a_single_file_passes_its_own_tests_and_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in KINDS:
        assert run(["plugin", "new", f"my-{kind}", "--kind", kind, "--single-file", "-q"]) == 0
    done = pytest_in(tmp_path, "-o", "asyncio_mode=auto")
    assert done.returncode == 0, done.stdout + done.stderr
    files = sorted(tmp_path.glob("remediator_*.py"))
    registry = Registry.load(files=files)
    assert {plugin.name: plugin.state for plugin in registry.plugins() if plugin.name.startswith("remediator_")} == {
        file.stem: "ok" for file in files
    }
    assert all(f"my-{kind}" in registry.components(kind) for kind in KINDS)


def test_the_next_step_that_is_told_works_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["plugin", "new", "lone", "--kind", "scanner", "--single-file"]) == 0
    told = capsys.readouterr().err.split("next: pytest ")[1].split(" · ")[0]
    done = pytest_in(tmp_path, *told.split())
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_package_passes_its_own_tests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["plugin", "new", "dockerfile-latest", "--kind", "scanner", "-q"]) == 0
    folder = tmp_path / "remediator-dockerfile-latest"
    assert 'dockerfile-latest = "remediator_dockerfile_latest"' in (folder / "pyproject.toml").read_text()
    done = pytest_in(folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_plugin_fails_its_own_tests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(["plugin", "new", "weak", "--kind", "scanner", "-q"])
    module = tmp_path / "remediator-weak" / "src" / "remediator_weak" / "__init__.py"
    module.write_text(module.read_text().replace("if match is None:", "if True:"))
    assert pytest_in(tmp_path / "remediator-weak").returncode == 1


@pytest.mark.parametrize("name", ["Bad", "a_b", "../x", "", "1a", "a--b", "x" * 61, "class", "a\n"])
def test_names_that_will_not_do_are_refused(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert run(["plugin", "new", name, "--kind", "sink"]) == 2
    assert "hint: lower-case letters" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", ["remediator_mine.py", "test_remediator_mine.py"])
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    (tmp_path / there).write_text("precious")
    assert run(["plugin", "new", "mine", "--kind", "sink", "--single-file"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_plugin_itself_needs_no_pytest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(["plugin", "new", "clean", "--kind", "observer", "--single-file", "-q"])
    code = "import sys, remediator_clean; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
