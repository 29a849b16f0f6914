"""The reporter, the observer and the canaries, run as plain processes: real pytest, real sockets, no container."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from remediator.contracts import ExecResult, ExecStatus, Sandbox, Tree
from remediator.recipe import observed_run as module
from remediator.recipe.observed_run import Observed, Reporting, observed_run
from remediator.recipe.python.canaries import Canaries, planted
from remediator.recipe.test_results import test_run as fold
from remediator.records.recipe import TestOutcome, TestRun

PASSED, FAILED, ERROR = TestOutcome.passed, TestOutcome.failed, TestOutcome.error


class LocalSandbox(Sandbox):
    """Runs commands as plain processes of this machine: for code that these tests wrote themselves, and for nothing else."""

    async def exec(
        self,
        argv: Sequence[str],
        *,
        cwd: str = "/",
        env: dict[str, str] | None = None,
        stdin: bytes = b"",
        timeout_seconds: float = 300.0,
        output_bytes: int | None = None,
        observer: bool = False,
    ) -> ExecResult:
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=cwd, env=env or {}, stdin=-1, stdout=-1, stderr=-1, start_new_session=True
        )
        status = ExecStatus.exited
        talk = asyncio.create_task(process.communicate(stdin))
        try:
            out, err = await asyncio.wait_for(asyncio.shield(talk), timeout_seconds)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = await talk
            status = ExecStatus.timeout
        return ExecResult(
            argv=tuple(argv), status=status, exit_code=process.returncode if status == "exited" else None, stdout=out, stderr=err
        )

    async def put(self, tree: Tree) -> None:
        raise NotImplementedError

    async def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        raise NotImplementedError

    async def read(self, path: str, *, limit_bytes: int = 0) -> bytes:
        raise NotImplementedError


class Project:
    """A folder with files, and a run of its tests under our reporter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.observed: Observed | None = None

    def write(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(textwrap.dedent(text))

    async def run(self, files: dict[str, str], *, runner: str = "pytest", seconds: float = 60.0, **job: Any) -> TestRun:
        self.write(files)
        folders = sorted({str(Path(path).parent).replace(".", "", 1) for path in files if Path(path).name.startswith("test")})
        canaries = planted(folders, list(files), runner) if job.pop("canaries", True) else Canaries({}, {})
        self.write({path: data.decode() for path, data in canaries.files.items()})
        names = " ".join(Path(path).name for path in canaries.files)
        told = {
            "root": str(self.root),
            "pycache": str(self.root / ".pyc"),
            "python_path": ["."],
            "packages": job.pop("packages", []),
            "options": ["-q", *job.pop("options", []), "-o", f"python_files=test_*.py {names}"],
            "arguments": [folder or "." for folder in folders],
            "pattern": "test*.py",
            "folder": ".",
            "test_seconds": 60.0,
            "only": [],
            "canaries": list(canaries.files),
            "lines": {},
            **job,
        }
        env = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "HOME": str(self.root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        reporting = Reporting(sys.executable, f"{runner}_run", ["channel", "lines", "world", "reads"], told, env, seconds)
        self.observed = await observed_run(LocalSandbox(), reporting)
        return fold(self.observed, canaries.expected, str(self.root))

    @property
    def log(self) -> str:
        return self.observed.log.decode() if self.observed else ""


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(module, "OBSERVER", sys.executable)
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 5.0)
    folder = Path(tempfile.mkdtemp(prefix="reporter-"))
    yield Project(folder.resolve())
    shutil.rmtree(folder, ignore_errors=True)


async def test_each_outcome_is_told_by_test_id(project: Project) -> None:
    run = await project.run(
        {
            "tests/test_all.py": """
                import unittest, pytest
                def test_good(): pass
                def test_bad(): assert 1 == 2
                @pytest.fixture
                def broken(): raise ValueError
                def test_setup(broken): pass
                @pytest.fixture
                def late():
                    yield
                    raise ValueError
                def test_teardown(late): pass
                def test_skipped(): pytest.skip("no")
                @pytest.mark.xfail
                def test_xfailed(): assert 0
                @pytest.mark.xfail
                def test_xpassed(): pass
                @pytest.mark.xfail(strict=True)
                def test_strict(): pass
                @pytest.mark.parametrize("x", ["a::b", "ü"])
                def test_param(x): pass
                class TestUnit(unittest.TestCase):
                    def test_ok(self): pass
                    def test_not(self): self.fail()
                    @unittest.expectedFailure
                    def test_expected(self): self.fail()
                    def test_sub(self):
                        for i in range(2):
                            with self.subTest(i=i): self.assertEqual(i, 0)
                """
        }
    )
    assert run.complete, (run.problems, project.log)
    told = {test.removeprefix("tests/test_all.py::"): str(outcome) for test, outcome in run.results.items()}
    assert told == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_setup": "error",
        "test_teardown": "error",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
        "test_strict": "failed",
        "test_param[a::b]": "passed",
        "test_param[\\xfc]": "passed",
        "TestUnit::test_ok": "passed",
        "TestUnit::test_not": "failed",
        "TestUnit::test_expected": "xfailed",
        "TestUnit::test_sub": "failed",
    }
    assert run.runner.startswith("pytest ")


async def test_a_file_that_cannot_be_collected_is_an_error_and_the_rest_runs(project: Project) -> None:
    run = await project.run({"test_a.py": "import nothing_of_that_name", "test_b.py": "def test_b(): pass"})
    assert run.complete
    assert run.results == {"test_a.py": ERROR, "test_b.py::test_b": PASSED}


async def test_options_of_the_project_that_would_break_the_run_are_left_out(project: Project) -> None:
    run = await project.run(
        {
            "pytest.ini": "[pytest]\naddopts = -x --cov=thing -n 4 -p no:terminal\n",
            "test_a.py": "def test_a(): assert 0\ndef test_b(): pass",
        }
    )
    assert run.complete, run.problems
    assert run.results == {"test_a.py::test_a": FAILED, "test_a.py::test_b": PASSED}


async def test_only_the_tests_asked_for_are_run(project: Project) -> None:
    run = await project.run({"test_a.py": "def test_a(): pass\ndef test_b(): pass"}, only=["test_a.py::test_b"])
    assert run.complete, run.problems
    assert run.results == {"test_a.py::test_b": PASSED}


@pytest.mark.parametrize("leave", ["import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
@pytest.mark.parametrize("place", ["conftest", "test"])
async def test_leaving_early_is_not_a_complete_run(project: Project, leave: str, place: str) -> None:
    files = {"test_a.py": f"def test_a():\n    {leave if place == 'test' else 'pass'}\ndef test_b(): assert 0"}
    if place == "conftest":
        files["conftest.py"] = f"def pytest_collection_finish(session):\n    {leave}"
    run = await project.run(files)
    assert not run.complete
    assert "no-finish" in run.problems


async def test_a_forced_exit_code_changes_nothing(project: Project) -> None:
    run = await project.run(
        {
            "conftest.py": "def pytest_sessionfinish(session): session.exitstatus = 0; session.testsfailed = 0",
            "test_a.py": "def test_a(): assert 0",
        }
    )
    assert run.results == {"test_a.py::test_a": FAILED}


async def test_printed_records_are_only_text(project: Project) -> None:
    forged = 'import os; os.write(1, b\'\\n["phase", 0, "call", "", "passed", false]\\n["finish", 0, 9]\\n\')'
    run = await project.run({"test_a.py": f"def test_a():\n    {forged}\n    assert 0"}, options=["-s"])
    assert run.complete
    assert run.results == {"test_a.py::test_a": FAILED}


async def test_a_hook_that_makes_a_failure_a_pass_is_seen(project: Project) -> None:
    run = await project.run(
        {
            "conftest.py": """
                import pytest
                @pytest.hookimpl(hookwrapper=True, tryfirst=True)
                def pytest_runtest_makereport(item, call):
                    out = yield
                    out.get_result().outcome = "passed"
                """,
            "test_a.py": "def test_a(): assert 0",
        }
    )
    assert not run.complete
    assert "forged-outcome" in run.problems
    assert run.results["test_a.py::test_a"] != PASSED


async def test_a_hook_that_hides_what_was_raised_flips_the_canaries(project: Project) -> None:
    run = await project.run(
        {
            "conftest.py": """
                import pytest
                @pytest.hookimpl(hookwrapper=True, tryfirst=True)
                def pytest_runtest_makereport(item, call):
                    call.excinfo = None
                    yield
                """,
            "test_a.py": "def test_a(): assert 0",
        }
    )
    assert not run.complete
    assert {"canary-flipped", "forged-outcome"} & set(run.problems)


async def test_tests_whose_bodies_are_not_run_flip_the_canaries(project: Project) -> None:
    run = await project.run({"conftest.py": "def pytest_pyfunc_call(pyfuncitem): return True", "test_a.py": "def test_a(): assert 0"})
    assert not run.complete
    assert "canary-flipped" in run.problems


async def test_without_canaries_swallowed_bodies_would_pass(project: Project) -> None:
    """The weak twin: it shows that it is the canaries that see this."""
    run = await project.run(
        {"conftest.py": "def pytest_pyfunc_call(pyfuncitem): return True", "test_a.py": "def test_a(): assert 0"}, canaries=False
    )
    assert run.complete
    assert run.results == {"test_a.py::test_a": PASSED}


async def test_deselecting_what_is_not_known_loses_the_canaries(project: Project) -> None:
    run = await project.run(
        {
            "conftest.py": "def pytest_collection_modifyitems(items): items[:] = [i for i in items if i.name == 'test_a']",
            "test_a.py": "def test_a(): pass\ndef test_b(): assert 0",
        }
    )
    assert not run.complete
    assert "canary-missing" in run.problems
    assert "test_a.py::test_b" not in run.results


async def test_records_of_a_second_speaker_are_counted_out(project: Project) -> None:
    run = await project.run(
        {
            "test_a.py": """
                import gc, json, socket
                def test_a():
                    for found in gc.get_objects():
                        if isinstance(found, socket.socket) and found.family == socket.AF_UNIX:
                            found.send(json.dumps(["phase", 1, "call", "", "passed", False]).encode())
                def test_b(): assert 0
                """
        }
    )
    assert not run.complete
    assert "miscounted" in run.problems
    assert run.results["test_a.py::test_b"] == FAILED


async def test_nonsense_from_the_channel_is_garbled_and_not_a_crash(project: Project) -> None:
    run = await project.run(
        {
            "test_a.py": """
                import gc, socket
                def test_a():
                    for found in gc.get_objects():
                        if isinstance(found, socket.socket) and found.family == socket.AF_UNIX:
                            found.send(b'["test", {}, []]')
                            found.send(b'["phase", "x"]')
                            found.send(b'\\xff[')
                """
        }
    )
    assert not run.complete
    assert "garbled" in run.problems


async def test_a_run_out_of_time_is_not_complete_and_keeps_what_was_told(project: Project) -> None:
    run = await project.run({"test_a.py": "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)"}, seconds=12.0)
    assert not run.complete
    assert "timeout" in run.problems
    assert run.results["test_a.py::test_a"] == PASSED


async def test_a_test_that_hangs_fails_and_the_others_have_their_turn(project: Project) -> None:
    run = await project.run({"test_a.py": "import time\ndef test_a(): time.sleep(60)\ndef test_b(): pass"}, test_seconds=1.0)
    assert run.complete, run.problems
    assert run.results == {"test_a.py::test_a": FAILED, "test_a.py::test_b": PASSED}


@pytest.mark.parametrize(("folder", "outcome"), [(".", FAILED), ("t", PASSED)])
async def test_tests_may_be_started_in_their_own_folder(project: Project, folder: str, outcome: TestOutcome) -> None:
    files = {"t/data.txt": "x", "t/test_a.py": "def test_a(): open('data.txt').close()"}
    run = await project.run(files, folder=folder)
    assert run.complete, run.problems
    assert run.results == {"t/test_a.py::test_a": outcome}


async def test_a_child_left_behind_does_not_hold_the_run_open(project: Project) -> None:
    run = await project.run(
        {
            "test_a.py": """
                import os, stat, time
                def test_a():
                    if os.fork() == 0:
                        for fd in map(int, os.listdir("/proc/self/fd")):
                            try: pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
                            except OSError: continue
                            if pipe: os.close(fd)
                        time.sleep(100)
                        os._exit(0)
                """
        },
        seconds=90.0,
    )
    assert run.complete, run.problems
    assert run.seconds < 80


async def test_changed_lines_that_run_are_told_and_others_are_not(project: Project) -> None:
    source = '''\
"""Doc."""
from __future__ import annotations
import os

def used(x):
    """Doc."""
    if x:
        return (1 +
                2)
    else:
        return 3

def unused():
    return 4

class Thing:
    __slots__ = ()
    def go(self):
        try:
            raise KeyError
        except KeyError:
            return 5
'''
    files = {
        "pkg/__init__.py": "",
        "tests/test_a.py": """
            import inspect, pkg.mod
            def test_a():
                assert pkg.mod.used(1) == 3 and pkg.mod.Thing().go() == 5
                assert pkg.mod.__doc__ == "Doc." and pkg.mod.used.__doc__ == "Doc."
                assert inspect.getsource(pkg.mod.unused) == "def unused():\\n    return 4\\n"
            """,
    }
    (project.root / "pkg").mkdir()
    (project.root / "pkg/mod.py").write_text(source)
    run = await project.run(files, lines={"pkg/mod.py": list(range(1, 22))}, packages=["pkg"])
    assert run.complete, (run.problems, project.log)
    assert run.results == {"tests/test_a.py::test_a": PASSED}
    assert set(run.lines_run["pkg/mod.py"]) == {3, 5, 7, 8, 9, 13, 16, 17, 18, 19, 20, 21, 22} - {22}


async def test_byte_code_in_the_tree_is_not_used(project: Project) -> None:
    project.write({"mod.py": "VALUE = 'stale'\n"})
    script = "import py_compile; py_compile.compile('mod.py', invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=project.root)
    assert await process.wait() == 0
    run = await project.run({"mod.py": "VALUE = 'true'\n", "test_a.py": "import mod\ndef test_a(): assert mod.VALUE == 'true'"})
    assert run.results == {"test_a.py::test_a": PASSED}, project.log


async def test_a_module_from_elsewhere_is_seen(project: Project) -> None:
    run = await project.run({"test_a.py": "import json\ndef test_a(): pass"}, packages=["json"])
    assert not run.complete
    assert "shadowed" in run.problems


async def test_unittest_suites_are_told_by_id_too(project: Project) -> None:
    run = await project.run(
        {
            "tests/__init__.py": "",
            "tests/test_a.py": """
                import unittest
                class A(unittest.TestCase):
                    def test_ok(self): pass
                    def test_not(self): self.fail()
                    def test_sub(self):
                        with self.subTest(): self.fail()
                    @unittest.skip("no")
                    def test_skip(self): pass
                class B(unittest.TestCase):
                    def setUp(self): raise ValueError
                    def test_b(self): pass
                """,
        },
        runner="unittest",
    )
    assert run.complete, (run.problems, project.log)
    assert run.results == {
        "tests.test_a.A.test_ok": PASSED,
        "tests.test_a.A.test_not": FAILED,
        "tests.test_a.A.test_sub": FAILED,
        "tests.test_a.A.test_skip": TestOutcome.skipped,
        "tests.test_a.B.test_b": ERROR,
    }


@pytest.fixture
async def imports(project: Project) -> AsyncIterator[Any]:
    async def run(files: dict[str, str], modules: list[str], seconds: float = 30.0) -> dict[str, str]:
        project.write(files)
        job = {
            "root": str(project.root),
            "pycache": str(project.root / ".pyc"),
            "python_path": ["."],
            "packages": [],
            "files": list(files),
            "modules": modules,
            "module_seconds": seconds,
        }
        observed = await observed_run(LocalSandbox(), Reporting(sys.executable, "import_run", ["channel", "world"], job, {}, 60.0))
        assert observed.problems == (), observed.log
        return {str(record[1]): str(record[2]) for record in observed.records if record[0] in ("compiled", "imported")}

    yield run


async def test_modules_that_break_or_leave_do_not_keep_the_others_from_being_imported(imports: Any) -> None:
    files = {"a.py": "x = 1", "b.py": "import os; os._exit(0)", "c.py": "raise SystemExit(0)", "d.py": "y = ", "e.py": "z = 2"}
    told = await imports(files, ["a", "b", "c", "d", "e"])
    assert told["a"] == told["e"] == told["a.py"] == ""
    assert told["b"] == "the import ended the process"
    assert told["c"].startswith("SystemExit")
    assert "SyntaxError" in told["d"]
    assert "SyntaxError" in told["d.py"]


async def test_an_import_that_never_ends_is_broken_and_the_next_is_tried(imports: Any) -> None:
    told = await imports({"a.py": "while True: pass", "b.py": ""}, ["a", "b"], seconds=2.0)
    assert told["a"] == "the import did not end in time"
    assert told["b"] == ""


async def test_a_stranger_without_the_nonce_is_turned_away_and_told(project: Project) -> None:
    project.write({"test_a.py": "def test_a(): pass"})
    sandbox = LocalSandbox()
    with tempfile.TemporaryDirectory() as above:
        listening = {"folder": f"{above}/x", "socket": "s", "nonce": "right", "connect_seconds": 60.0}
        script = f"""
import socket, time
def connected():
    while True:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            found.connect("{above}/x/s")
            return found
        except OSError:
            time.sleep(0.02)  # it does not listen yet
for nonce in ("wrong", "right"):
    found = connected()
    found.send(('["hello", "%s"]' % nonce).encode())
found.send(b'["finish", 0, 1]')
"""
        async with asyncio.TaskGroup() as group:
            observer = group.create_task(
                sandbox.exec([sys.executable, "-I", "-S", "-c", module._BOOT], stdin=module.message("observer", [], listening))
            )
            group.create_task(sandbox.exec([sys.executable, "-c", script]))
    result = module._observed(observer.result(), ExecResult(argv=("x",), status=ExecStatus.exited, exit_code=0))
    assert "stranger" in result.problems
    assert ("finish", 0, 1) in result.records


LOOKS = {
    "module": "TEXT = open('pkg/mod' + ENDING).read()\ndef test_a():\n    assert 'eval' not in TEXT\n",
    "fixture": (
        "import pytest\n@pytest.fixture\ndef text():\n    return open('pkg/mod' + ENDING).read()\n"
        "def test_a(text):\n    assert 'eval' not in text\n"
    ),
    "call": "def test_a():\n    assert 'eval' not in open('pkg/mod' + ENDING).read()\n",
    "renamed": "import os\ndef test_a():\n    os.rename('pkg/mod' + ENDING, 'x')\n    assert 'eval' not in open('x').read()\n",
    "helper": "def test_a():\n    import test_helper\n    assert 'eval' not in test_helper.TEXT\n",
    "traceback": (
        "import traceback, pkg.mod\ndef test_a():\n    try:\n        pkg.mod.f(1)\n    except TypeError as error:\n"
        "        assert 'eval' not in traceback.extract_tb(error.__traceback__)[-1].line\n"
    ),
    "folder": (
        "import os\ndef test_a():\n    folder = os.open('pkg', os.O_RDONLY)\n"
        "    assert b'eval' not in os.read(os.open('mod' + ENDING, os.O_RDONLY, dir_fd=folder), 9999)\n"
    ),
    "written": (
        "import sys\ndef test_a(tmp_path):\n    (tmp_path / ('late_one' + ENDING)).write_text('T = open(%r).read()' % ('pkg/mod' + ENDING))\n"
        "    sys.path.insert(0, str(tmp_path))\n    import late_one\n    assert 'eval' not in late_one.T\n"
    ),
    "product": "import pkg.mod\ndef test_a():\n    assert 'eval' not in pkg.mod.read('pkg/mod' + ENDING)\n",
}


@pytest.mark.parametrize("look", LOOKS)
async def test_source_that_a_test_reads_is_told_whenever_it_does(project: Project, look: str) -> None:
    assert await looked_at(project, LOOKS[look]) == ["mod.py" if look == "folder" else "pkg/mod.py"]


@pytest.mark.parametrize(
    "test",
    [
        "import pkg.mod\ndef test_a():\n    import pkg.late\n    assert pkg.mod.f('1') == 2 and pkg.late\n",
        "import logging, pkg.mod\ndef test_a():\n    assert pkg.mod.logged() == 2\n",
        "import pytest, pkg.mod\ndef test_a():\n    with pytest.raises(TypeError):\n        pkg.mod.f(1)\n    assert pkg.mod.f('1') == 2\n",
    ],
)
async def test_what_imports_and_tracebacks_read_is_not_told(project: Project, test: str) -> None:
    assert await looked_at(project, test) == []


async def looked_at(project: Project, test: str) -> list[str]:
    project.write(
        {
            "pkg/__init__.py": "",
            "pkg/late.py": "x = 1\n",
            "pkg/mod.py": """
                import logging
                def f(x):
                    return eval(x)
                def read(path):
                    return open(path).read()
                def logged():
                    try:
                        f(1)
                    except TypeError:
                        logging.getLogger("pkg").exception("no")
                    return 1
                """,
        }
    )
    ending = "ENDING = '.' + 'py'\n"
    files = {"probe/test_a.py": ending + test, "probe/test_helper.py": ending + LOOKS["module"]}
    if "helper" not in test:
        del files["probe/test_helper.py"]
    project.write(files)
    await project.run(files, watch_reads=True, arguments=list(files), packages=["pkg"], canaries=False)
    assert project.observed is not None
    assert {record[3] for record in project.observed.records if record[0] == "phase" and record[2] == "call"} == {"AssertionError"}, (
        project.log
    )
    return sorted({record[1] for record in project.observed.records if record[0] == "read"})
