"""A project in a folder of a repository, which needs its operator's hints: proven by its owner, and again from what is public."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.app import Remediator
from remediator.clearinghouse.recipes import Recipes
from remediator.clearinghouse.validator import Found, judged
from remediator.evidence.bundle import read
from remediator.settings import load_settings

from ..git_server import Server, git, make_certificate

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]

FILES = {
    "README": "many projects\n",
    "services/app/shop/__init__.py": "",
    "services/app/shop/load.py": "import yaml\n\n\ndef read(text):\n    return yaml.load(text, Loader=yaml.UnsafeLoader)\n",
    "services/app/tests/test_load.py": (
        "import os\n\nfrom shop.load import read\n\n\ndef test_read():\n    assert read('a: 1') == {'a': 1}\n\n\n"
        "def test_flag():\n    assert os.environ['SHOP_FLAG'] == 'on'\n"
    ),
    "services/app/pyproject.toml": (
        "[project]\nname = 'shop'\nversion = '1.0'\ndependencies = ['pyyaml']\n\n[build-system]\nrequires = ['setuptools']\n"
        "build-backend = 'setuptools.build_meta'\n\n[tool.setuptools]\npackages = ['shop']\n"
    ),
}


@pytest.fixture
def mono(tmp_path: Path) -> Path:
    """A repository of several projects, and its public copy."""
    work = tmp_path / "mono"
    for name, text in FILES.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    git(tmp_path, "init", "-q", "-b", "main", str(work))
    git(work, "add", "-A")
    git(work, "commit", "-qm", "all of it")
    git(tmp_path, "clone", "-q", "--bare", str(work), str(tmp_path / "public/mono.git"))
    return work


@pytest.fixture
def url(mono: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    server = Server(tmp_path / "public", certificate)
    yield f"{server.url}/mono"
    server.http.shutdown()
    server.http.server_close()


def test_it_is_proven_again_from_its_repository_with_the_hints_of_whoever_validates(
    cli, state: Path, mono: Path, url: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[recipes.app.env]\nSHOP_FLAG = "on"\n')
    done = cli("-c", mine, "fix", mono / "services/app", "--only", "CWE-502", "--json")
    assert done.code == 0, done.err
    bundle = Path(done.json["cases"][0]["bundle_path"])
    told = {"recipes": {url: {"env": {"SHOP_FLAG": "on"}}}}

    async def validated() -> Found:
        async with Remediator.open(load_settings(state=state, validator=told)) as app:
            own = app.own_way(Recipes.read(app.settings.validator.recipes).of(url))
            return judged(read(bundle), await app.replay(bundle, source=url, own=own))

    found = asyncio.run(validated())
    assert (found.state, found.validation.level, found.validation.differences) == ("verified", 3, ())
    assert found.patch is not None and "+++ b/services/app/shop/load.py" in found.patch
    # Whoever has the repository applies it there.
    (tmp_path / "fix.patch").write_text(found.patch)
    git(mono, "apply", "--index", str(tmp_path / "fix.patch"))
    assert "safe_load" in (mono / "services/app/shop/load.py").read_text()
