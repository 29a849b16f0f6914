from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from remediator.contracts import Verifier
from remediator.errors import PlaybookError, PluginError
from remediator.playbook import check_playbook, load_playbook, make, parse_playbook, playbook_names
from remediator.records import Check, CheckStatus, EvidenceLevel, Severity
from remediator.registry import Registry


class CountingVerifier(Verifier):
    name: ClassVar[str] = "counting"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E1
    times: int = 1

    async def verify(self, finding: object, patch: object, workspace: object) -> Check:
        return Check(name=self.name, level=self.level, status=CheckStatus.passed)


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry._shelve("test", CountingVerifier)
    return registry


def parsed(text: str):
    return parse_playbook(text.encode(), "test.yaml")


@pytest.mark.parametrize("name", playbook_names())
def test_every_shipped_playbook_is_sound(name: str) -> None:
    check_playbook(load_playbook(name), Registry.load(enabled=("semgrep",)))


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(PlaybookError, match=r"test.yaml: verfy.*did you mean 'verify'"):
        parsed("name: x\nverfy: []\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "name: [",
        "name: x\nname: y",
        "name: &a x\nsandbox: {use: *a}",
        "name: x\nlimits: {attempts: 0}",
        "name: x\nrequire: {bad: E3}",
        "name: x\nrequire: {default: E9}",
    ],
)
def test_a_malformed_playbook_is_an_error_and_never_a_default(text: str) -> None:
    with pytest.raises(PlaybookError):
        parsed(text)


def test_python_tags_are_refused() -> None:
    with pytest.raises(PlaybookError):
        parsed("name: !!python/object/apply:os.system ['true']")


def test_a_verifier_that_is_not_there_refuses_the_playbook(registry: Registry) -> None:
    with pytest.raises(PlaybookError, match="no verifier named 'absent'"):
        check_playbook(parsed("name: x\nsandbox: {use: none}\nverify: [{use: absent}]"), registry)


def test_not_even_an_optional_verifier_may_be_missing(registry: Registry) -> None:
    with pytest.raises(PlaybookError):
        check_playbook(parsed("name: x\nsandbox: {use: none}\nverify: [{use: 'absent?'}]"), registry)


def test_options_are_checked_before_anything_runs(registry: Registry) -> None:
    with pytest.raises(PlaybookError, match=r"counting: with: tims.*did you mean 'times'"):
        check_playbook(parsed("name: x\nsandbox: {use: none}\nverify: [{use: counting, with: {tims: 2}}]"), registry)


def test_options_of_the_playbook_stand_above_defaults(registry: Registry) -> None:
    use = parsed("name: x\nverify: [{use: counting, with: {times: 3}}]").verify[0]
    made = make(use, "verifier", Verifier, registry, {"times": 2, "unknown": 1})  # type: ignore[type-abstract]
    assert made.times == 3


def test_required_levels_go_by_severity() -> None:
    playbook = parsed("name: x\nrequire: {default: E2, critical: E4}")
    assert (playbook.required(Severity.low), playbook.required(Severity.critical)) == (EvidenceLevel.E2, EvidenceLevel.E4)


def test_a_playbook_survives_its_resolved_form() -> None:
    playbook = load_playbook("default")
    assert type(playbook).model_validate(playbook.resolved()) == playbook


def test_two_plugins_with_one_name_are_an_error_naming_both(registry: Registry) -> None:
    with pytest.raises(PluginError, match="counting.*test and other"):
        registry._shelve("other", CountingVerifier)


def test_a_broken_plugin_file_is_quarantined_and_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("raise RuntimeError('no')")
    registry = Registry.load(files=(path,))
    info = next(plugin for plugin in registry.plugins() if plugin.name == "broken")
    assert (info.state, info.reason) == ("quarantined", "RuntimeError: no")


def test_a_misspelt_hook_is_quarantined(tmp_path: Path) -> None:
    path = tmp_path / "misspelt.py"
    path.write_text("from remediator import hookimpl\n@hookimpl\ndef register_scaners():\n    return []\n")
    info = next(plugin for plugin in Registry.load(files=(path,)).plugins() if plugin.name == "misspelt")
    assert info.state == "quarantined" and "register_scaners" in info.reason


def test_an_enabled_plugin_that_is_not_installed_is_told() -> None:
    registry = Registry.load(enabled=("nowhere",))
    assert ("nowhere", "missing") in {(plugin.name, plugin.state) for plugin in registry.plugins()}
