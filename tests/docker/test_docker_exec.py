"""How commands end, each ending apart from every other."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator

import pytest

from remediator.builtin.docker_engine import connect
from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.contracts import ExecStatus, Limits, Sandbox, SandboxSpec
from remediator.errors import SandboxLostError, SandboxUnavailableError

from .running import runs

pytestmark = pytest.mark.docker

SPEC = SandboxSpec(image="python3.11", limits=Limits(memory_mb=512, pids=64, disk_mb=64, inodes=2000, tmp_mb=16))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    try:
        connect("").close()
    except SandboxUnavailableError as error:
        pytest.skip(f"no Docker engine: {error}")
    async with DockerSandboxProvider() as docker, docker.open(SPEC) as opened:
        yield opened


async def test_exit_code_and_both_streams_are_told_apart(sandbox: Sandbox) -> None:
    result = await sandbox.exec(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (result.status, result.exit_code, result.stdout, result.stderr) == (ExecStatus.exited, 7, b"out\n", b"err\n")
    assert not result.ok


async def test_first_bytes_of_quick_commands_are_never_lost(sandbox: Sandbox) -> None:
    seen = {(await sandbox.exec(["echo", "x" * 50])).stdout for _ in range(30)}
    assert seen == {b"x" * 50 + b"\n"}


async def test_input_reaches_the_command_and_ends(sandbox: Sandbox) -> None:
    data = os.urandom(3_000_000)
    result = await sandbox.exec(["sha256sum"], stdin=data)
    assert result.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


async def test_input_that_nobody_reads_does_not_hang(sandbox: Sandbox) -> None:
    result = await sandbox.exec(["true"], stdin=b"x" * 5_000_000, timeout_seconds=20)
    assert result.ok


async def test_input_and_output_larger_than_every_buffer_do_not_deadlock(sandbox: Sandbox) -> None:
    result = await sandbox.exec(["cat"], stdin=b"y" * 8_000_000, timeout_seconds=30)
    assert result.ok
    assert len(result.stdout) == 8_000_000


async def test_command_with_environment_and_folder(sandbox: Sandbox) -> None:
    result = await sandbox.exec(["sh", "-c", "echo $GIVEN; pwd"], cwd="/usr", env={"GIVEN": "a b"})
    assert result.stdout == b"a b\n/usr\n"


async def test_a_program_that_is_not_there_is_no_success(sandbox: Sandbox) -> None:
    result = await sandbox.exec(["no-such-program"])
    assert result.exit_code in (126, 127)
    assert (await sandbox.exec(["true"])).ok


async def test_endless_process_that_ignores_every_signal_ends_at_its_time(sandbox: Sandbox) -> None:
    deaf = "trap '' HUP INT TERM; echo ready; while :; do sleep 1; done"
    began = time.monotonic()
    result = await sandbox.exec(["setsid", "-w", "sh", "-c", deaf], timeout_seconds=2)
    assert (result.status, result.exit_code, result.stdout) == (ExecStatus.timeout, None, b"ready\n")
    assert time.monotonic() - began < 30
    with pytest.raises(SandboxLostError):
        await sandbox.exec(["true"])
    assert not _running(sandbox)


async def test_output_flood_is_cut_at_the_cap_and_ends_the_container(sandbox: Sandbox) -> None:
    began = time.monotonic()
    result = await sandbox.exec(["yes"], output_bytes=100_000, timeout_seconds=30)
    assert (result.status, result.exit_code, len(result.stdout)) == (ExecStatus.truncated, None, 100_000)
    assert time.monotonic() - began < 25
    assert not _running(sandbox)


async def test_output_of_exactly_the_cap_is_whole(sandbox: Sandbox) -> None:
    result = await sandbox.exec(["head", "-c", "100000", "/dev/zero"], output_bytes=100_000)
    assert (result.status, len(result.stdout)) == (ExecStatus.exited, 100_000)


async def test_both_streams_share_the_cap(sandbox: Sandbox) -> None:
    script = "head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2; sleep 5"
    result = await sandbox.exec(["sh", "-c", script], output_bytes=100_000)
    assert result.status is ExecStatus.truncated
    assert len(result.stdout) + len(result.stderr) == 100_000


async def test_blocked_output_at_the_time_limit_does_not_wedge_the_engine(sandbox: Sandbox) -> None:
    began = time.monotonic()
    result = await sandbox.exec(["sh", "-c", "while :; do head -c 500000 /dev/zero; sleep 0.1; done"], timeout_seconds=1.0)
    assert result.status is ExecStatus.timeout
    assert time.monotonic() - began < 30


async def test_background_process_neither_hangs_the_command_nor_survives_it(sandbox: Sandbox) -> None:
    began = time.monotonic()
    result = await sandbox.exec(["sh", "-c", "(setsid sleep 600 & ) ; echo started"], timeout_seconds=60)
    assert (result.status, result.exit_code, result.stdout) == (ExecStatus.exited, 0, b"started\n")
    assert time.monotonic() - began < 50
    left = await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/comm"], cwd="/")
    assert b"sleep" not in left.stdout


async def test_background_process_that_floods_does_not_hang_the_command(sandbox: Sandbox) -> None:
    script = "(setsid sh -c 'while :; do echo x; sleep 0.01; done' & ) ; exit 3"
    result = await sandbox.exec(["sh", "-c", script], timeout_seconds=60)
    assert (result.status, result.exit_code) == (ExecStatus.exited, 3)


async def test_killing_all_own_processes_is_an_ordinary_bad_end(sandbox: Sandbox) -> None:
    result = await sandbox.exec(["python3", "-c", "import os; os.kill(os.getpid(), 9)"])
    assert (result.status, result.exit_code) == (ExecStatus.exited, 137)
    assert (await sandbox.exec(["true"])).ok


async def test_container_killed_from_outside_is_lost_and_not_a_result(sandbox: Sandbox) -> None:
    api = connect("")
    running = asyncio.create_task(sandbox.exec(["sh", "-c", "echo ok; sleep 300"], timeout_seconds=300))
    await runs(sandbox, "sleep")
    await asyncio.to_thread(api.kill, sandbox.cell.box().id)  # type: ignore[attr-defined]
    result = await running
    assert (result.status, result.exit_code) == (ExecStatus.lost, None)
    with pytest.raises(SandboxLostError):
        await sandbox.exec(["true"])


async def test_commands_run_at_the_same_time_and_do_not_end_each_other(sandbox: Sandbox) -> None:
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(sandbox.exec(["sh", "-c", "sleep 1.5; echo slow"]))
        quick = [group.create_task(sandbox.exec(["sh", "-c", f"sleep 20 >/dev/null 2>&1 & echo {n}"])) for n in range(4)]
    assert slow.result().stdout == b"slow\n"
    assert [task.result().stdout for task in quick] == [b"%d\n" % n for n in range(4)]


async def test_cancelling_a_command_ends_the_container_at_once(sandbox: Sandbox) -> None:
    running = asyncio.create_task(sandbox.exec(["sleep", "600"], timeout_seconds=600))
    await runs(sandbox, "sleep")
    running.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - began < 30
    with pytest.raises(SandboxLostError):
        await sandbox.exec(["true"])


async def test_semaphores_shared_memory_and_processes_of_python_work(sandbox: Sandbox) -> None:
    code = "import multiprocessing as m\nwith m.Pool(2) as p: print(sum(p.map(abs, [-1, -2])))\nm.Lock()"
    assert (await sandbox.exec(["python3", "-c", code])).stdout == b"3\n"


def _running(sandbox: Sandbox) -> bool:
    return bool(connect("").inspect_container(sandbox.cell.box().id)["State"]["Running"])  # type: ignore[attr-defined]
