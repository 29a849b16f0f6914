"""A stranger's bundle chooses no engine, no host file and no image of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from remediator.engine.replay import OwnWay, Replayer, replay_bundle
from remediator.errors import EvidenceError, PlaybookError, UsageError
from remediator.evidence.base import Base
from remediator.evidence.replay import ReplayRequest
from remediator.playbook import Playbook, Use, load_playbook
from remediator.records.source import Source, SourceKind
from remediator.settings import load_settings


def _replayer(tmp_path: Path) -> Replayer:
    return Replayer(load_settings(state=tmp_path), None, print, source=None, playbook=None)  # type: ignore[arg-type]


def test_the_sandbox_options_of_a_bundle_are_not_used(tmp_path: Path) -> None:
    ours = load_playbook("default")
    evil = Use(use="docker", **{"with": {"host": "tcp://192.0.2.1:2375", "ca_bundle": "/etc/shadow", "base_registry": "evil.example"}})
    trusted = _replayer(tmp_path)._trusted(ours.model_copy(update={"sandbox": evil}))
    assert trusted.sandbox == ours.sandbox
    assert (trusted.fix, trusted.submit) == ((), ())


def test_a_playbook_that_judges_otherwise_is_refused(tmp_path: Path) -> None:
    ours = load_playbook("default")
    with pytest.raises(PlaybookError):
        _replayer(tmp_path)._trusted(Playbook(name="default", scan=ours.scan, verify=ours.verify[:1], sandbox=ours.sandbox))


def test_whoever_judges_by_its_own_recipe_follows_no_easier_playbook_than_its_own(tmp_path: Path) -> None:
    ours = load_playbook("default")
    strict = tmp_path / "strict.yaml"
    told = ours.model_copy(update={"name": "strict", "scan": (*ours.scan, Use(use="advisory"))}).resolved()
    strict.write_text(yaml.safe_dump(told))
    settings = load_settings(state=tmp_path, playbook=str(strict))

    def replayer(own: bool) -> Replayer:
        return Replayer(settings, None, print, source=None, playbook=None, own=OwnWay() if own else None)  # type: ignore[arg-type]

    assert replayer(own=False)._trusted(ours).scan == ours.scan
    with pytest.raises(PlaybookError):
        replayer(own=True)._trusted(ours)
    assert replayer(own=True)._trusted(load_playbook(str(strict))).scan[-1].name == "advisory"


async def test_what_is_no_bundle_at_all_is_not_called_a_damaged_one(tmp_path: Path) -> None:
    folder, archive = tmp_path / "folder", tmp_path / "b.tar.zst"
    folder.mkdir()
    for path, name in ((folder, "readme.txt"), (tmp_path, "notes.txt")):
        (path / name).write_text("x")
        with pytest.raises(UsageError, match=f"{path if path == folder else path / name} is no bundle"):
            await replay_bundle(path if path == folder else path / name, load_settings(state=tmp_path), None, print)  # type: ignore[arg-type]
    (folder / "MANIFEST.json").write_text("{}")
    archive.write_bytes(b"x")
    for path in (folder, archive):
        with pytest.raises(EvidenceError):
            await replay_bundle(path, load_settings(state=tmp_path), None, print)  # type: ignore[arg-type]


def _git(folder: Path, *words: str) -> str:
    told = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", str(folder), *told, *words], check=True, capture_output=True, text=True).stdout.strip()


async def test_the_commit_of_a_bundle_is_the_one_that_is_fetched(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    _git(repository, "init", "-q", "-b", "main")
    (repository / "a.py").write_text("a = 1\n")
    _git(repository, "add", "a.py")
    commits = []
    for _ in range(2):
        # Two commits, one tree.
        _git(repository, "commit", "-q", "--allow-empty", "-m", f"commit {len(commits)}")
        commits.append(_git(repository, "rev-parse", "HEAD"))
    tree = _git(repository, "rev-parse", "HEAD^{tree}")
    (repository / "a.py").write_text("a = 2\n")
    _git(repository, "commit", "-q", "-am", "moved on")

    async def based(commit: str, revision: str, *, own: bool) -> str:
        settings = load_settings(state=tmp_path / "state")
        uri = str(repository)
        replayer = Replayer(settings, None, print, source=uri, playbook=None, own=OwnWay() if own else None)  # type: ignore[arg-type]
        source = Source(kind=SourceKind.git, uri=uri, name="r", revision=revision, commit=commit, tree=tree)
        request = ReplayRequest(source, Base(tree, commit, reason="left out"), *(None,) * 7)  # type: ignore[arg-type]
        return (await replayer._base(request))[1].id

    # A branch that moved on is no other commit.
    for commit in commits:
        assert await based(commit, "main", own=True) == tree
    for wrong in ("0" * 40, _git(repository, "rev-parse", "HEAD")):
        with pytest.raises(EvidenceError):
            await based(wrong, commits[0], own=True)
    # Whoever replays on their own names the source, and only the files count.
    assert await based("0" * 40, commits[0], own=False) == tree
