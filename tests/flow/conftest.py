"""The real program on real packages, in a state folder that the whole session shares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PROGRAM = str(Path(sys.executable).parent / "remediator")


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Done]


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "remediator"


def environment(state: Path) -> dict[str, str]:
    return {**os.environ, "REMEDIATOR_HOME": str(state), "XDG_CONFIG_HOME": str(state.parent / "config"), "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def cli(state: Path) -> Cli:
    def run(*words: str | Path, timeout: float = 600, cwd: Path | None = None, **variables: str) -> Done:
        argv = [PROGRAM, *(str(word) for word in words)]
        where = cwd or state.parent
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout, env={**environment(state), **variables}, cwd=where, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def fixed(cli: Cli) -> Iterator[dict[str, Any]]:
    """The main job, done once: pyanyapi 0.6.0."""
    done = cli("fix", "pypi:pyanyapi==0.6.0", "--only", "CWE-502", "--json")
    assert done.code == 0, done.err
    yield done.json


@pytest.fixture
def sandboxes(state: Path) -> Callable[[], set[str]]:
    """Return what containers of this installation are there now."""
    from remediator.builtin.docker_owner import INSTANCE, instance_id

    ours = f"label={INSTANCE}={instance_id(str(state))}"

    def there() -> set[str]:
        listed = subprocess.run(["docker", "ps", "-aq", "--filter", ours], capture_output=True, text=True, check=True, timeout=30)
        return set(listed.stdout.split())

    return there
