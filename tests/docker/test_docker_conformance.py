from __future__ import annotations

from pathlib import Path

import pytest

from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.settings import trust_store
from remediator.testing.conformance import SandboxConformance

pytestmark = [pytest.mark.docker]


class TestDockerSandbox(SandboxConformance):
    image = "python3.11"

    @pytest.fixture
    def component(self, tmp_path: Path) -> DockerSandboxProvider:
        return DockerSandboxProvider(state=str(tmp_path), ca_bundle=trust_store() or None)
