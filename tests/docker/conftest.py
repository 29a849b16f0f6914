"""The base image that these tests share, built once with what this machine's network needs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.contracts import SandboxSpec
from remediator.errors import SandboxUnavailableError
from remediator.settings import load_settings


@pytest.fixture(scope="session", autouse=True)
def base_image(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each test makes a provider of its own, most of them without certificates: none of them may be the first to build."""
    state: Path = tmp_path_factory.mktemp("base-image")

    async def built() -> None:
        async with DockerSandboxProvider(**load_settings(state=state).defaults_for("docker")) as provider:
            await provider.probe()
            async with provider.open(SandboxSpec(image="python3.11")):
                pass

    try:
        asyncio.run(built())
    except SandboxUnavailableError as error:
        if "failed" in error.message:
            raise
        pytest.skip(f"no Docker engine: {error}")
