"""Preparing with network, and what is kept of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from remediator.builtin.docker_engine import connect
from remediator.builtin.docker_images import kept_tag
from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.contracts import ExecStatus, Limits, PrepareSpec, SandboxSpec
from remediator.errors import SandboxError, SandboxUnavailableError

pytestmark = pytest.mark.docker

IMAGE_ENV = ["LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin"]
TRUST = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture
async def docker() -> AsyncIterator[DockerSandboxProvider]:
    try:
        connect("").close()
    except SandboxUnavailableError as error:
        pytest.skip(f"no Docker engine: {error}")
    async with DockerSandboxProvider(ca_bundle=TRUST if TRUST.is_file() else None, prepare_env={"CANARY": "operator"}) as provider:
        yield provider


@pytest.fixture
def spec() -> Any:
    chosen = PrepareSpec(
        image="python3.11", key=f"test of preparing {id(object())}", limits=Limits(memory_mb=1024, disk_mb=300, tmp_mb=256)
    )
    yield chosen
    connect("").remove_image(kept_tag(chosen.key), force=True)


async def test_kept_image_has_the_files_and_nothing_else(docker: DockerSandboxProvider, spec: PrepareSpec) -> None:
    assert await docker.find(spec.key) is None
    async with docker.prepare(spec) as sandbox:
        assert (await sandbox.exec(["sh", "-c", "echo $CANARY"])).stdout == b"operator\n"
        script = "echo kept > /opt/venv/kept; echo x > /job/lost; echo x > /tmp/lost; echo x > /home/runner/lost; sleep 600 &"
        await sandbox.exec(["sh", "-c", script])
        digest = await docker.keep(sandbox, spec)
    assert await docker.find(spec.key) == digest
    config = connect("").inspect_image(digest)["Config"]
    assert (sorted(config["Env"]), config["Cmd"], config["User"]) == (IMAGE_ENV, ["/bin/sh"], "10001:10001")
    assert not config.get("Volumes")
    assert not config.get("Entrypoint")
    async with docker.open(SandboxSpec(image=digest)) as sandbox:
        found = await sandbox.exec(
            ["sh", "-c", "cat /opt/venv/kept; ls -A /job /tmp /home/runner; echo [$CANARY]; echo x >> /opt/venv/kept"]
        )
    assert found.stdout == b"kept\n/home/runner:\n\n/job:\n\n/tmp:\n[]\n"
    assert b"Read-only file system" in found.stderr


async def test_only_prepared_sandboxes_can_be_kept(docker: DockerSandboxProvider) -> None:
    async with docker.open(SandboxSpec(image="python3.11")) as sandbox:
        with pytest.raises(SandboxError):
            await docker.keep(sandbox, PrepareSpec(image="python3.11", key="never"))
    assert await docker.find("never") is None


async def test_build_that_fills_the_disk_is_stopped(docker: DockerSandboxProvider) -> None:
    limits = Limits(memory_mb=512, disk_mb=100, tmp_mb=64)
    script = "head -c 300000000 /dev/zero > /opt/venv/fill; sleep 30"
    async with docker.prepare(PrepareSpec(image="python3.11", key="never", limits=limits)) as sandbox:
        result = await sandbox.exec(["sh", "-c", script], timeout_seconds=60)
    assert (result.status, result.exit_code) == (ExecStatus.oom, None)
    assert b"MB to its disk" in result.stderr


async def test_preparing_is_confined_as_working_is_but_for_the_network(docker: DockerSandboxProvider) -> None:
    async with docker.prepare(PrepareSpec(image="python3.11", key="never")) as sandbox:
        made = connect("").inspect_container(sandbox.cell.box().id)  # type: ignore[attr-defined]
    host = made["HostConfig"]
    assert (host["CapDrop"], host["Privileged"], host["Binds"], host["IpcMode"]) == (["ALL"], False, None, "none")
    assert host["Memory"] == host["MemorySwap"] == 4096 * 1024 * 1024
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    assert sorted(made["Config"]["Env"]) == IMAGE_ENV
    assert host["NetworkMode"].startswith("remediator-")
    assert not [mount for mount in made["Mounts"] if mount["Type"] == "bind"]


@pytest.mark.network
async def test_packages_install_with_network_and_run_without(docker: DockerSandboxProvider, spec: PrepareSpec) -> None:
    async with docker.prepare(spec) as sandbox:
        venv = await sandbox.exec(["uv", "venv", "--clear", "/opt/venv"], cwd="/tmp")
        install = await sandbox.exec(["uv", "pip", "install", "--python", "/opt/venv/bin/python", "six"], cwd="/tmp")
        pip = await sandbox.exec(["sh", "-c", "python3 -m pip download -q --no-deps -d /tmp/wheels six"], cwd="/tmp")
        assert (venv.exit_code, install.exit_code, pip.exit_code) == (0, 0, 0), (install.stderr, pip.stderr)
        digest = await docker.keep(sandbox, spec)
    async with docker.open(SandboxSpec(image=digest)) as sandbox:
        assert (await sandbox.exec(["/opt/venv/bin/python", "-c", "import six"])).ok
        assert not (await sandbox.exec(["sh", "-c", "grep -rl 'BEGIN CERTIFICATE' /tmp /opt/venv --include=remediator*"])).stdout
