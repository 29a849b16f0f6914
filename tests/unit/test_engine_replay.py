"""A stranger's bundle chooses no engine, no host file and no image of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from remediator.engine.replay import OwnWay, Replayer, replay_bundle
from remediator.errors import EvidenceError, PlaybookError, UsageError
from remediator.playbook import Playbook, Use, load_playbook
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
