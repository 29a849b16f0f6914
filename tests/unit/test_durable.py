"""The durable engine, for real: processes are killed and stopped, and what was done is not done again."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from remediator.engine import durable as durable_engine
from remediator.engine.durable import InlineDurable, open_durable
from remediator.errors import SinkError, SourceError, StateError, StoppedError

_PATIENCE = 120.0

# A run with three steps and a child. Each body leaves a line; `slow` waits for a file, so a test can end the process there.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from remediator.engine.durable import open_durable

folder, gate, log = (Path(word) for word in sys.argv[1:4])

def done(name):
    with log.open("a") as file:
        file.write(name + "\\n")

async def parent(durable, argument):
    async def first():
        done("first")
        return {"n": 1}
    async def slow():
        done("slow")
        while not gate.exists():
            await asyncio.sleep(0.02)
        return {"n": 2}
    async def last():
        done("last")
        return {"n": 3}
    total = (await durable.step("first", first))["n"]
    total += (await durable.child("child", "run.child", {"n": 10}))["n"]
    total += (await durable.step("slow", slow))["n"]
    return {"total": total + (await durable.step("last", last))["n"]}

async def child(durable, argument):
    async def body():
        done("child")
        return {"n": argument["n"]}
    return await durable.step("body", body)

async def main():
    async with open_durable(folder, "run", {"parent": parent, "child": child}) as durable:
        print((await durable.run("parent", "run", {}))["total"], flush=True)

asyncio.run(main())
"""


@pytest.fixture
def run(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    gate, log = tmp_path / "gate", tmp_path / "log"
    log.touch()

    def start() -> subprocess.Popen[str]:
        argv = [sys.executable, str(program), str(tmp_path / "run"), str(gate), str(log)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def reached(name: str) -> None:
        end = time.monotonic() + _PATIENCE
        while name not in log.read_text().split():
            assert time.monotonic() < end, f"never reached {name}"
            time.sleep(0.02)

    return start, reached, gate, log


def test_killed_in_the_middle_a_run_goes_on_where_it_was(run) -> None:
    start, reached, gate, log = run
    first = start()
    reached("slow")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    gate.touch()
    second = start()
    assert second.communicate(timeout=_PATIENCE)[0].strip() == "16"
    assert log.read_text().split() == ["first", "child", "slow", "slow", "last"]


def test_a_finished_run_is_not_run_again(run) -> None:
    start, _, gate, log = run
    gate.touch()
    assert start().communicate(timeout=_PATIENCE)[0].strip() == "16"
    assert start().communicate(timeout=_PATIENCE)[0].strip() == "16"
    assert log.read_text().split() == ["first", "child", "slow", "last"]


def test_two_processes_do_not_work_on_one_run(run) -> None:
    start, reached, gate, _ = run
    first = start()
    reached("slow")
    second = subprocess.run([*first.args], capture_output=True, text=True, timeout=_PATIENCE, check=False)
    gate.touch()
    assert second.returncode != 0 and "another process works on the run" in second.stderr
    assert first.communicate(timeout=_PATIENCE)[0].strip() == "16"


async def test_cancelled_a_step_cleans_up_and_is_run_again_on_resume(tmp_path: Path) -> None:
    told: list[str] = []
    release = asyncio.Event()

    async def workflow(durable, argument):
        async def body():
            told.append("began")
            try:
                await release.wait()
            finally:
                told.append("cleaned")
            return {"ok": 1}

        return await durable.step("body", body)

    async def attempt() -> object:
        async with open_durable(tmp_path / "r", "r", {"w": workflow}) as durable:
            return await durable.run("w", "r", {})

    task = asyncio.ensure_future(attempt())
    while not told:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["began", "cleaned"]
    release.set()
    assert await asyncio.wait_for(attempt(), _PATIENCE) == {"ok": 1}
    assert told == ["began", "cleaned", "began", "cleaned"]


async def test_what_a_later_try_can_mend_leaves_the_run_open(tmp_path: Path) -> None:
    full = [True]

    async def workflow(durable, argument):
        async def body():
            if full[0]:
                raise StateError("no space left")
            return {"ok": 1}

        return await durable.step("body", body)

    async def attempt() -> object:
        async with open_durable(tmp_path / "r", "r", {"w": workflow}) as durable:
            return await asyncio.wait_for(durable.run("w", "r", {}), _PATIENCE)

    with pytest.raises(StateError, match="no space left"):
        await attempt()
    full[0] = False
    assert await attempt() == {"ok": 1}


async def test_an_error_of_our_own_comes_back_as_itself_after_a_replay(tmp_path: Path) -> None:
    async def workflow(durable, argument):
        async def body():
            raise SourceError("gone", hint="look elsewhere")

        return await durable.step("body", body)

    for _ in range(2):
        async with open_durable(tmp_path / "r", "r", {"w": workflow}) as durable:
            with pytest.raises(SourceError, match="gone") as caught:
                await durable.run("w", "r", {})
            assert caught.value.hint == "look elsewhere"


async def test_a_pickle_in_the_database_is_never_read(tmp_path: Path) -> None:
    async def workflow(durable, argument):
        async def body():
            return {"ok": 1}

        return await durable.step("body", body)

    async def attempt() -> object:
        async with open_durable(tmp_path / "r", "r", {"w": workflow}) as durable:
            return await durable.run("w", "r", {})

    await attempt()
    mark = tmp_path / "mark"
    import base64
    import pickle

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (mark,))

    with sqlite3.connect(tmp_path / "r" / "engine.sqlite") as db:
        poison = base64.b64encode(pickle.dumps(Bomb())).decode()
        db.execute("UPDATE workflow_status SET output=?, serialization='py_pickle'", (poison,))
    with pytest.raises(Exception):  # noqa: B017 - which error it is belongs to the library; that nothing ran is the point
        await attempt()
    assert not mark.exists()
    pickle.loads(base64.b64decode(poison))
    assert mark.exists(), "the bomb is a dud, so the test proves nothing"


async def test_the_inline_twin_gives_the_same_errors() -> None:
    async def workflow(durable, argument):
        async def body():
            raise SinkError("later")

        return await durable.step("body", body)

    with pytest.raises(SinkError, match="later"):
        await InlineDurable({"w": workflow}).run("w", {})


async def released_later(busy: sqlite3.Connection) -> None:
    await asyncio.sleep(1)
    busy.close()


async def test_asked_to_stop_it_finishes_the_step_under_way_and_no_other(tmp_path: Path) -> None:
    ran: list[str] = []
    under_way, asked = asyncio.Event(), asyncio.Event()

    async def work(durable, argument):
        async def first():
            ran.append("first")
            under_way.set()
            await asked.wait()
            return {"n": 1}

        async def second():
            ran.append("second")
            return {"n": 2}

        return {"n": (await durable.step("first", first))["n"] + (await durable.step("second", second))["n"]}

    async with open_durable(tmp_path, "run", {"work": work}) as durable:
        waiting = asyncio.ensure_future(durable.run("work", "run", {}))
        await under_way.wait()
        durable.drain()
        asked.set()
        # A disk on which it takes long to write down that the step is done.
        busy = sqlite3.connect(tmp_path / "engine.sqlite", isolation_level=None)
        busy.execute("BEGIN IMMEDIATE")
        released = asyncio.create_task(released_later(busy))
        with pytest.raises(StoppedError):
            await waiting
        assert released.done(), "it stopped before the step was written down"
    async with open_durable(tmp_path, "run", {"work": work}) as durable:
        assert await durable.run("work", "run", {}) == {"n": 3}
    assert ran == ["first", "second"]


def test_a_step_that_cleans_up_for_longer_than_we_wait_does_not_hang_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_engine, "_STOP_SECONDS", 0.1)
    under_way = asyncio.Event()

    async def work(durable, argument):
        async def slow():
            under_way.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.5)
                raise
            return {}

        return await durable.step("slow", slow)

    async def main() -> None:
        async with open_durable(tmp_path, "run", {"work": work}) as durable:
            waiting = asyncio.ensure_future(durable.run("work", "run", {}))
            await under_way.wait()
            waiting.cancel()

    ended = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    ended.start()
    ended.join(timeout=50)
    assert not ended.is_alive()


async def test_a_full_disk_halts_the_run_and_once_there_is_room_it_goes_on(small_disk: Path, fill, tmp_path: Path) -> None:
    ran: list[str] = []
    ballast: list[Path] = []

    async def parent(durable, argument):
        async def first():
            ran.append("first")
            return {"n": 1}

        one = (await durable.step("first", first))["n"]
        return {"n": one + (await durable.child("child", "run.child", {}))["n"]}

    async def child(durable, argument):
        async def fills():
            ran.append("fills")
            if not ballast:
                ballast.append(fill(small_disk))
            return {"n": 2, "text": "x" * 50_000}

        return await durable.step("fills", fills)

    async def attempt() -> object:
        async with open_durable(small_disk / "run", "run", {"parent": parent, "child": child}) as durable:
            return await asyncio.wait_for(durable.run("parent", "run", {}), _PATIENCE)

    with pytest.raises(StateError, match="full") as told:
        await attempt()
    assert "free some space" in told.value.hint
    ballast[0].unlink()
    assert await attempt() == {"n": 3}
    assert ran == ["first", "fills", "fills"]


async def test_an_engine_that_cannot_start_on_a_full_disk_says_so(small_disk: Path, fill) -> None:
    (small_disk / "run").mkdir()
    fill(small_disk)
    with pytest.raises(StateError, match="cannot be used"):
        async with open_durable(small_disk / "run", "run", {}):
            raise AssertionError("it started")
