"""Any program that prints SARIF is a scanner, and one that does not is never read as clean."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from remediator.builtin.exec_scanner import ExecScanner
from remediator.errors import ScanError
from remediator.program import ProgramLimits, closed_environment, run_program
from remediator.records import Covered, Finding, ScanItem, Unchecked
from remediator.testing import FakeWorkspace
from remediator.testing.conformance import ScannerConformance

# A whole scanner: it reports each line that holds the word "danger", and files that hold "broken" as not read.
GREP = """#!/usr/bin/env python3
import json, os, pathlib, sys
results, told = [], []
for path in sorted(pathlib.Path(".").rglob("*")):
    if not path.is_file():
        continue
    uri = path.absolute().as_uri() if "--absolute" in sys.argv else __import__("urllib.parse").parse.quote(os.fsencode(path))
    place = {"artifactLocation": {"uri": uri}}
    data = path.read_bytes()
    if b"broken" in data or b"def (" in data:
        told.append({"level": "error", "message": {"text": "syntax error"}, "locations": [{"physicalLocation": place}]})
        continue
    for number, line in enumerate(data.split(b"\\n"), start=1):
        if b"danger" in line:
            where = {**place, "region": {"startLine": number}}
            results.append({"ruleId": "danger", "message": {"text": "danger"}, "locations": [{"physicalLocation": where}]})
run = {"tool": {"driver": {"name": "Grep"}}, "results": results, "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": told}]}
print(json.dumps({"version": "2.1.0", "runs": [run]}))
sys.exit(1 if results else 0)
"""


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "program"
    path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def scan(scanner: ExecScanner, files: dict[str, str | bytes], tmp_path: Path, paths: tuple[str, ...] | None = None) -> list[ScanItem]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return [item async for item in scanner.scan(FakeWorkspace(files, scratch, paths=paths))]


class TestExecConformance(ScannerConformance):
    vulnerable = {"a.py": "x = 1\ndanger()\n"}
    safe = {"a.py": "x = 1\n"}

    @pytest.fixture
    def component(self, tmp_path: Path) -> ExecScanner:
        return ExecScanner(argv=(program(tmp_path, GREP),))


@pytest.mark.parametrize("more", [(), ("--absolute",)])
async def test_findings_are_taken_from_what_it_prints(tmp_path: Path, more: tuple[str, ...]) -> None:
    items = await scan(ExecScanner(argv=(program(tmp_path, GREP), *more)), {"d/a b.py": "danger()\n", "ok.py": "x\n"}, tmp_path)
    (found,) = [item for item in items if isinstance(item, Finding)]
    assert (found.path, found.snippet, found.scanner, found.tool) == ("d/a b.py", "danger()", "exec", "Grep")
    assert [item.paths for item in items if isinstance(item, Covered)] == [("d/a b.py",)]


async def test_named_endings_are_vouched_for_except_what_was_not_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.py": "x\n", "b.py": "broken\n", "c.txt": "danger\n"}
    items = await scan(ExecScanner(argv=(program(tmp_path, GREP),), endings=(".py",)), files, tmp_path)
    assert [item.paths for item in items if isinstance(item, Covered)] == [("a.py",)]
    assert [(item.path, item.reason) for item in items if isinstance(item, Unchecked)] == [("b.py", "parse-error")]
    assert not [item for item in items if isinstance(item, Finding)]


async def test_only_the_named_paths_are_shown(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.py": "danger\n", "b.py": "danger\n"}
    items = await scan(ExecScanner(argv=(program(tmp_path, GREP),)), files, tmp_path, paths=("b.py", "gone.py"))
    assert [item.path for item in items if isinstance(item, Finding)] == ["b.py"]


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("exit 0", "not JSON"),
        ("echo oops >&2; exit 3", "oops"),
        ("echo '{}'", "version"),
        ("kill -9 $$", "exit code"),
        ("head -c 3000000 /dev/zero", "more than 1000000 bytes"),
        ("sleep 60", "did not end"),
        ("trap '' TERM; (sleep 60 &) ; sleep 60", "did not end"),
    ],
)
async def test_program_that_gives_no_sarif_is_an_error_and_never_clean(tmp_path: Path, script: str, word: str) -> None:
    # The others need their time on a busy machine, and take no more of it than that.
    seconds = 2 if word == "did not end" else 60
    scanner = ExecScanner(argv=(program(tmp_path, script),), timeout_seconds=seconds, output_bytes=1_000_000)
    started = time.monotonic()
    with pytest.raises(ScanError) as caught:
        await scan(scanner, {"a.py": "x\n"}, tmp_path)
    assert word in caught.value.message
    assert time.monotonic() - started < 40


async def test_missing_program_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no-such-program"):
        await scan(ExecScanner(argv=("no-such-program",)), {"a.py": "x\n"}, tmp_path)


async def test_program_in_the_tree_is_not_the_one_that_runs(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no program"):
        await scan(ExecScanner(argv=("./mine",)), {"mine": "#!/bin/sh\necho {}\n"}, tmp_path)


async def test_program_gets_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    path = program(tmp_path, "env; id -u >/dev/null")
    result = await run_program([path], cwd=tmp_path, env=closed_environment(tmp_path, Path(path)), limits=ProgramLimits())
    names = {line.split(b"=")[0] for line in result.stdout.splitlines()}
    assert names <= {b"PATH", b"HOME", b"TMPDIR", b"LANG", b"LC_ALL", b"PYTHONUTF8", b"PWD", b"SHLVL", b"_", b"OLDPWD", b"LC_CTYPE"}
    assert b"hunter2" not in result.stdout


async def test_memory_limit_holds(tmp_path: Path) -> None:
    path = program(tmp_path, "#!/usr/bin/env python3\nx = bytearray(600_000_000)\nprint('got it')\n")
    env = closed_environment(tmp_path, Path(path))
    tight = await run_program([path], cwd=tmp_path, env=env, limits=ProgramLimits(memory_bytes=300_000_000))
    assert b"got it" not in tight.stdout
    assert "MemoryError" in tight.complaint


async def test_what_the_program_left_in_the_background_is_ended(tmp_path: Path) -> None:
    path = program(tmp_path, f"sleep 300 >/dev/null 2>&1 </dev/null &\necho $! > {tmp_path}/child\nexit 0")
    await run_program([path], cwd=tmp_path, env=closed_environment(tmp_path, Path(path)), limits=ProgramLimits())
    await _gone(int((tmp_path / "child").read_text()))


async def test_cancelling_ends_the_program(tmp_path: Path) -> None:
    path = program(tmp_path, f"echo $$ > {tmp_path}/pid\nsleep 300")
    running = asyncio.create_task(run_program([path], cwd=tmp_path, env=closed_environment(tmp_path, Path(path)), limits=ProgramLimits()))
    async with asyncio.timeout(60):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _gone(int((tmp_path / "pid").read_text()))


async def _gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while _alive(pid):
            await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_argv_is_required() -> None:
    with pytest.raises(ValueError, match="argv"):
        ExecScanner(argv=())
    assert json.loads(json.dumps(ExecScanner.model_json_schema()))["required"] == ["argv"]
