"""Recipes in real containers: found, prepared from the index, measured, and distrusting the tree."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator import recipe
from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.contracts import SandboxProvider, SandboxSpec
from remediator.recipe import Hints
from remediator.records.recipe import Baseline, TestOutcome
from remediator.records.source import Source, SourceKind
from remediator.testing.fake_tree import FakeTree

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]
PASSED, FAILED = TestOutcome.passed, TestOutcome.failed
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

SETUP = """from setuptools import setup
setup(name="thing", version="1.2", packages=["thing"], entry_points={"console_scripts": ["thing=thing:main"]})
"""
THING = "def double(x):\n    return x * 2\n\n\ndef main():\n    print(double(21))\n"
TESTS = """
import subprocess
from importlib.metadata import version
import thing

def test_double():
    assert thing.double(2) == 4

def test_installed():
    assert version("thing") == "1.2" and thing.__file__.startswith("/job/")

def test_command():
    assert subprocess.run(["thing"], capture_output=True).stdout == b"42\\n"

def test_child_imports():
    assert subprocess.run(["python", "-c", "import thing; print(thing.__file__)"], capture_output=True, cwd="/").stdout.startswith(b"/job/")
"""
PROJECT = {"setup.py": SETUP, "thing/__init__.py": THING, "tests/test_thing.py": TESTS}


class Kept(dict[str, bytes]):
    def __call__(self, name: str, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self[digest] = data
        return digest


def note(message: str, **facts: object) -> None:
    print(message, facts)


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    trust = CERTIFICATES if CERTIFICATES.exists() else None
    async with DockerSandboxProvider(state=str(tmp_path), ca_bundle=trust) as opened:
        yield opened


async def established(files: dict[str, str], provider: SandboxProvider, **hints: Any) -> tuple[Baseline, FakeTree]:
    tree = FakeTree(files)
    source = Source(
        kind=SourceKind.package, uri="x", name="thing", commit="0", tree=tree.id, version="1.2", released=datetime(2023, 6, 1, tzinfo=UTC)
    )
    return await recipe.establish(tree, source, Hints(timeout_seconds=60, **hints), provider, keep=Kept(), note=note), tree


async def test_a_project_is_established_and_a_wrong_patch_is_seen(provider: SandboxProvider) -> None:
    baseline, tree = await established(PROJECT, provider)
    assert recipe.is_healthy(baseline)
    assert baseline.passing == {f"tests/test_thing.py::test_{name}" for name in ("double", "installed", "command", "child_imports")}
    assert not baseline.flaky
    assert "thing" in baseline.build.modules
    assert any("taken" in line for line in baseline.recipe.notes)

    wrong = tree.replaced({"thing/__init__.py": THING.replace("x * 2", "x * 3").encode()})
    run = await recipe.test(baseline, tree, wrong, provider, keep=Kept())
    assert run.complete
    assert run.results["tests/test_thing.py::test_double"] is FAILED
    assert run.lines_run == {"thing/__init__.py": (2,)}

    broken = tree.replaced({"thing/__init__.py": b"import nothing_there\n"})
    build = await recipe.build(baseline, broken, provider, keep=Kept())
    assert not build.ok
    assert build.reason == "modules-broken"
    assert "nothing_there" in build.broken["thing"]

    again = await recipe.prepare(baseline.recipe, tree, Source.model_construct(name="thing"), provider, keep=Kept(), note=note)
    assert again == baseline.image


async def test_the_prepared_image_holds_none_of_the_projects_code(provider: SandboxProvider) -> None:
    baseline, _ = await established(PROJECT, provider)
    async with provider.open(SandboxSpec(image=baseline.image)) as sandbox:
        found = await sandbox.exec(["grep", "-rl", "return x [*] 2", "/opt", "/home/runner", "/job"], cwd="/")
    assert found.stdout == b""
    assert found.exit_code == 1


async def test_a_compiled_extension_is_built_from_the_tree_that_is_tested(provider: SandboxProvider) -> None:
    source = (
        "#include <Python.h>\nstatic PyObject *f(PyObject *s, PyObject *a) { return PyLong_FromLong(VALUE); }\n"
        'static PyMethodDef m[] = {{"f", f, METH_NOARGS, ""}, {0}};\n'
        'static struct PyModuleDef d = {PyModuleDef_HEAD_INIT, "fast", 0, -1, m};\n'
        "PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&d); }\n"
    )
    files = {
        "setup.py": "from setuptools import setup, Extension\nsetup(name='thing', version='1.2', packages=['thing'], "
        "ext_modules=[Extension('thing.fast', ['thing/fast.c'])])\n",
        "thing/__init__.py": "from thing.fast import f\n",
        "thing/fast.c": source.replace("VALUE", "7"),
        "test_fast.py": "import thing\ndef test_f(): assert thing.f() == 7\n",
    }
    baseline, tree = await established(files, provider)
    assert baseline.passing == {"test_fast.py::test_f"}
    other = tree.replaced({"thing/fast.c": source.replace("VALUE", "8").encode()})
    run = await recipe.test(baseline, tree, other, provider, keep=Kept())
    assert run.results == {"test_fast.py::test_f": FAILED}


async def test_a_script_that_cannot_be_run_is_worked_round_and_the_notes_say_so(provider: SandboxProvider) -> None:
    files = {
        **PROJECT,
        "setup.py": "from nowhere_at_all import x\n" + SETUP,
        "tests/test_thing.py": "import thing\ndef test_double(): assert thing.double(2) == 4\n",
    }
    baseline, _ = await established(files, provider)
    assert baseline.passing == {"tests/test_thing.py::test_double"}
    assert any("could not be prepared" in line for line in baseline.recipe.notes)


async def test_old_tests_get_an_old_library(provider: SandboxProvider) -> None:
    files = {
        "setup.py": "from setuptools import setup\n"
        "setup(name='thing', version='1.2', py_modules=['thing'], install_requires=['PyYAML>=3'])\n",
        "thing.py": "import yaml\n\n\ndef read(text):\n    return yaml.load(text)\n",
        "test_thing.py": "import thing\ndef test_read(): assert thing.read('a: 1') == {'a': 1}\n",
    }
    baseline, _ = await established(files, provider, python="3.9")
    assert baseline.passing == {"test_thing.py::test_read"}
    assert any("PyYAML<6" in line for line in baseline.recipe.notes)


async def test_no_tests_is_said_and_is_no_pass(provider: SandboxProvider) -> None:
    baseline, _ = await established({"setup.py": SETUP, "thing/__init__.py": THING}, provider)
    assert [run.problems for run in baseline.runs] == [("no-tests",)] * 2
    assert not any(run.complete or run.results for run in baseline.runs)
    assert baseline.build.ok


async def test_the_tree_can_neither_see_nor_stop_the_observer(provider: SandboxProvider) -> None:
    attack = """
import os, signal

def test_attack():
    others = [int(p) for p in os.listdir("/proc") if p.isdigit() and os.stat("/proc/" + p).st_uid == 10002]
    assert others
    for pid in others:
        acts = (lambda: os.kill(pid, 9), lambda: open("/proc/%d/mem" % pid, "r+b"), lambda: os.listdir("/proc/%d/fd" % pid))
        for act in acts:
            try:
                act()
            except PermissionError:
                pass
            else:
                raise SystemExit("reached the observer")

def test_bad():
    assert 0
"""
    baseline, _ = await established({**PROJECT, "tests/test_attack.py": attack}, provider)
    run = baseline.runs[0]
    assert run.complete, run.problems
    assert run.results["tests/test_attack.py::test_attack"] is PASSED
    assert run.results["tests/test_attack.py::test_bad"] is FAILED


@pytest.mark.parametrize(
    ("conftest", "problems"),
    [
        ("import os\ndef pytest_collection_finish(session): os._exit(0)", {"no-finish"}),
        ("def pytest_pyfunc_call(pyfuncitem): return True", {"canary-flipped"}),
        ("def pytest_collection_modifyitems(items): del items[:]", {"canary-missing", "no-tests"}),
        ("import os, signal\ndef pytest_runtest_call(item):\n    os.kill(os.getpid(), signal.SIGKILL)", {"no-finish", "lost"}),
        ("def pytest_runtest_call(item):\n    x = []\n    while True: x.append(bytearray(1 << 24))", {"oom", "lost", "no-finish"}),
    ],
)
async def test_a_hostile_conftest_never_gives_a_complete_run(provider: SandboxProvider, conftest: str, problems: set[str]) -> None:
    baseline, tree = await established(PROJECT, provider)
    hostile = tree.replaced({"conftest.py": conftest.encode(), "thing/__init__.py": THING.replace("x * 2", "x * 3").encode()})
    run = await recipe.test(baseline, tree, hostile, provider, keep=Kept())
    assert not run.complete
    assert problems & set(run.problems)
