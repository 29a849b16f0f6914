from __future__ import annotations

from pathlib import Path

import pytest

from remediator.errors import ConfigError
from remediator.settings import load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("REMEDIATOR_CONFIG", raising=False)
    monkeypatch.delenv("REMEDIATOR_HOME", raising=False)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "remediator.toml"
    path.write_text(text)
    return path


def test_defaults_need_nothing(tmp_path: Path) -> None:
    assert load_settings().state == tmp_path / "state" / "remediator"


def test_the_environment_stands_above_the_users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config" / "remediator").mkdir(parents=True)
    write(tmp_path / "config" / "remediator", "playbook = 'a'\nsandbox = 'none'\n")
    monkeypatch.setenv("REMEDIATOR_PLAYBOOK", "b")
    settings = load_settings()
    assert (settings.playbook, settings.sandbox) == ("b", "none")


def test_a_file_in_the_working_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "sandbox = 'none'\n")
    (tmp_path / ".env").write_text("REMEDIATOR_SANDBOX=none\n")
    assert load_settings().sandbox == "docker"


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'sandbox'"):
        load_settings(write(tmp_path, "sandbx = 'none'\n"))


@pytest.mark.parametrize("text", ["=", "playbook = 1", "[concurrency]\ncases = 0"])
def test_bad_settings_are_told_with_their_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"remediator\.toml"):
        load_settings(write(tmp_path, text))


def test_options_of_a_component_come_from_its_table(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "[components.docker]\nruntime = 'runsc'\n"))
    assert settings.defaults_for("docker")["runtime"] == "runsc"


@pytest.mark.parametrize("text", ["colour = 'red'\n", "[recipe]\ncolour = 'red'\n"])
def test_an_unknown_key_is_told_with_what_there_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="colour") as told:
        load_settings(write(tmp_path, text))
    assert "playbook" in told.value.hint and "docs/reference/settings.md" in told.value.hint
