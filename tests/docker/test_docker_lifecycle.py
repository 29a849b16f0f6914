"""What is left when something ends badly: a step, our process, the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.builtin.docker_engine import connect
from remediator.builtin.docker_owner import INSTANCE, OWNER, instance_id, owner_id
from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.contracts import ExecStatus, Limits, SandboxSpec
from remediator.errors import SandboxError, SandboxLostError, SandboxUnavailableError

from .running import runs

pytestmark = pytest.mark.docker

SPEC = SandboxSpec(image="python3.11", limits=Limits(memory_mb=256, pids=64, disk_mb=16, inodes=1000, tmp_mb=16))
CHILD = """
import asyncio, sys
from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.contracts import SandboxSpec
async def main():
    async with DockerSandboxProvider(state=sys.argv[1]) as docker, docker.open(SandboxSpec(image="python3.11")) as sandbox:
        await sandbox.exec(["true"])
        print(sandbox.cell.box().id, flush=True)
        await sandbox.exec(["sleep", "600"], timeout_seconds=600)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    try:
        client = connect("")
    except SandboxUnavailableError as error:
        pytest.skip(f"no Docker engine: {error}")
    yield client
    client.close()


def ours(api: Any, state: Path) -> list[Any]:
    wanted = {"label": f"{INSTANCE}={instance_id(str(state))}"}
    return [*api.containers(all=True, filters=wanted), *(api.volumes(filters=wanted)["Volumes"] or ()), *api.networks(filters=wanted)]


async def test_probe_names_engine_and_runtime(api: Any) -> None:
    async with DockerSandboxProvider() as docker:
        engine = await docker.probe()
    assert engine.version == api.version()["Version"]
    assert engine.runtime


async def test_no_engine_is_unavailable_with_a_hint(tmp_path: Path) -> None:
    async with DockerSandboxProvider(host=f"unix://{tmp_path}/none.sock") as docker:
        with pytest.raises(SandboxUnavailableError) as caught:
            await docker.probe()
        with pytest.raises(SandboxUnavailableError):
            async with docker.open(SPEC):
                pass
    assert "Install Docker" in caught.value.hint


async def test_unknown_image_names_are_refused(api: Any) -> None:
    async with DockerSandboxProvider() as docker:
        with pytest.raises(SandboxUnavailableError, match="no sandbox image"):
            async with docker.open(SandboxSpec(image="python:latest")):
                pass
        with pytest.raises(SandboxError, match="gone"):
            async with docker.open(SandboxSpec(image="sha256:" + "0" * 64)):
                pass


async def test_leaving_removes_everything_also_after_an_error(api: Any, tmp_path: Path) -> None:
    async with DockerSandboxProvider(state=str(tmp_path)) as docker:
        with pytest.raises(ValueError, match="ours"):
            async with docker.open(SPEC) as sandbox:
                await sandbox.exec(["sh", "-c", "sleep 600 &"])
                assert ours(api, tmp_path)
                raise ValueError("ours")
        assert not ours(api, tmp_path)


@pytest.mark.parametrize("after_seconds", [0.05, 0.2, 0.45])
async def test_cancelling_while_the_container_starts_leaves_nothing(api: Any, tmp_path: Path, after_seconds: float) -> None:
    began = time.monotonic()

    async def work(docker: DockerSandboxProvider) -> None:
        async with docker.open(SPEC) as sandbox:
            await sandbox.exec(["sleep", "600"])

    async with DockerSandboxProvider(state=str(tmp_path)) as docker:
        running = asyncio.create_task(work(docker))
        await asyncio.sleep(after_seconds)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not ours(api, tmp_path)
    assert time.monotonic() - began < 60


async def test_killed_orchestrator_leaves_nothing_running_and_the_next_sweep_removes_it(api: Any, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    container = child.stdout.readline().strip()
    async with DockerSandboxProvider(state=str(tmp_path)) as docker, docker.open(SPEC) as sibling:
        await sibling.exec(["true"])
        assert await docker.sweep() == 0
        child.send_signal(signal.SIGKILL)
        child.wait(60)
        child.stdout.close()
        deadline = time.monotonic() + 60
        while api.inspect_container(container)["State"]["Running"] and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert not api.inspect_container(container)["State"]["Running"]
        assert await docker.sweep() == 1
        assert (await sibling.exec(["true"])).ok
        assert [c["Id"] for c in ours(api, tmp_path)] == [sibling.cell.box().id]  # type: ignore[attr-defined]


async def test_sweep_removes_volumes_and_networks_of_the_dead_and_of_nobody_else(api: Any, tmp_path: Path) -> None:
    finished = subprocess.Popen(["true"])
    owner = owner_id(finished.pid)
    finished.wait()
    dead = {INSTANCE: instance_id(str(tmp_path)), OWNER: owner}
    foreign = {INSTANCE: "another", OWNER: owner}
    names = [f"rem-test-{os.getpid()}-{n}" for n in range(3)]
    api.create_volume(names[0], labels=dead)
    api.create_volume(names[1], labels=foreign)
    api.create_network(names[2], labels=dead)
    async with DockerSandboxProvider(state=str(tmp_path)) as docker:
        assert await docker.sweep() == 2
        assert await docker.sweep() == 0
    assert not ours(api, tmp_path)
    api.remove_volume(names[1])


async def test_many_sandboxes_leave_no_file_descriptors_and_no_threads_waiting(api: Any, tmp_path: Path) -> None:
    async def cycle(docker: DockerSandboxProvider) -> None:
        async with docker.open(SPEC) as sandbox:
            await sandbox.exec(["echo", "x"])

    async with DockerSandboxProvider(state=str(tmp_path)) as docker:
        for _ in range(3):
            await cycle(docker)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(8):
            await cycle(docker)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
        assert not ours(api, tmp_path)


@pytest.fixture
def second_engine(api: Any, tmp_path: Path) -> Iterator[tuple[str, int, str]]:
    """An engine of our own, in a network namespace of its own so that it cannot touch the first one's bridge."""
    if os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("unshare"):
        pytest.skip("a second engine needs root, dockerd and unshare")
    host = f"unix://{tmp_path}/s.sock"
    argv = ["unshare", "--net", "dockerd", "--data-root", f"{tmp_path}/data", "--exec-root", f"{tmp_path}/run", "-H", host]
    argv += ["--pidfile", f"{tmp_path}/pid", "--bridge", "none", "--iptables=false", "--storage-driver", "overlay2"]
    with (tmp_path / "log").open("wb") as told, subprocess.Popen(argv, stdout=told, stderr=told) as engine:
        try:
            yield host, engine.pid, _loaded(api, host)
        finally:
            engine.kill()
            engine.wait(60)
            _end_containers(tmp_path)
            _unmount(tmp_path)


def _loaded(api: Any, host: str) -> str:
    """Wait for the engine and give it a base image."""
    deadline = time.monotonic() + 120
    while True:
        try:
            client = connect(host)
            break
        except SandboxUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    client.load_image(api.get_image("remediator/debian:bookworm"))
    return str(client.inspect_image("remediator/debian:bookworm")["Id"])


def _end_containers(folder: Path) -> None:
    """End what the killed engine left behind: each container's first process, and the shim that holds it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    shims = [int(c.parent.name) for c in Path("/proc").glob("[0-9]*/cmdline") if _mentions(c, f"{folder}/run/containerd")]
    for pid in [*(child for shim in shims for child in parents.get(shim, ())), *shims]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _mentions(cmdline: Path, text: str) -> bool:
    try:
        return text.encode() in cmdline.read_bytes()
    except OSError:
        return False


def _unmount(folder: Path) -> None:
    lines = Path("/proc/mounts").read_text().splitlines()
    for point in sorted((line.split()[1] for line in lines if str(folder) in line), reverse=True):
        subprocess.run(["umount", "-l", point], check=False)


@pytest.mark.slow
async def test_engine_killed_in_the_middle_is_lost_and_no_result(second_engine: tuple[str, int, str]) -> None:
    host, pid, image = second_engine
    async with DockerSandboxProvider(host=host) as docker:
        spec = SPEC.model_copy(update={"image": image})
        async with docker.open(spec) as sandbox:
            assert (await sandbox.exec(["true"], cwd="/")).ok
            running = asyncio.create_task(sandbox.exec(["sh", "-c", "echo all tests passed; sleep 300"], cwd="/", timeout_seconds=300))
            await runs(sandbox, "sleep")
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            result = await running
            assert (result.status, result.exit_code) == (ExecStatus.lost, None)
            with pytest.raises(SandboxLostError):
                await sandbox.exec(["true"], cwd="/")
        with pytest.raises(SandboxError):
            async with docker.open(spec) as sandbox:
                await sandbox.exec(["true"])
        assert time.monotonic() - began < 120
