"""Models in the settings: made, refused, and their keys kept out of everything."""

from __future__ import annotations

import sys
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import ConfigError
from remediator.models import make_model, model_names
from remediator.registry import Registry
from remediator.secret import checked_reference
from remediator.settings import Settings, load_settings

KEY = "k-0123456789-abcdef"
ONE = '[models.one]\nuse = "openai"\nmodel = "m"\nbase_url = "https://a.example/v1"\n'


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ONE_KEY", KEY)
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load(enabled=("anthropic", "openai"))


def settings(tmp_path: Path, text: str, **overrides: Any) -> Settings:
    path = tmp_path / "remediator.toml"
    path.write_text(text)
    return load_settings(path, **overrides)


def test_a_table_makes_a_model(tmp_path: Path, registry: Registry) -> None:
    given = settings(tmp_path, ONE + 'key = "env:ONE_KEY"\nprice = {input = 0.1, output = 15}\ntries = 3\n')
    llm: Any = make_model("one", given, registry)
    assert (llm.name, llm.model, llm.tries, llm.key.get_secret_value()) == ("openai", "m", 3, KEY)
    assert llm.price.input == Decimal("0.1") and model_names(given) == ("one",)
    assert KEY not in repr(llm) and KEY not in repr(given) and KEY not in given.model_dump_json()


WRONG = [
    ("oen", "", "no model 'oen' in the settings; did you mean 'one'"), ("one", "bse_url = 'x'", "did you mean 'base_url'"), ("one", "tries = 0", "models.one: tries"),
    ("one", "allow_http = 1\nproxi = 2", "did you mean 'proxy'"), ("one", "headers = {Authorization = 'x'}", "may not be set"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "more", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, registry: Registry, name: str, more: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make_model(name, settings(tmp_path, ONE + more), registry)


def test_an_unknown_component_says_what_there_is(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(ConfigError, match="no llm named 'opnai'") as caught:
        make_model("one", settings(tmp_path, '[models.one]\nuse = "opnai"\n'), registry)
    assert "openai" in caught.value.hint


@pytest.mark.parametrize("url", ["https://me:hunter2secret@a.example", "http://a.example/v1"])
def test_an_unfit_address_is_refused_and_not_repeated(tmp_path: Path, registry: Registry, url: str) -> None:
    with pytest.raises(ConfigError, match="base_url must") as caught:
        make_model("one", settings(tmp_path, ONE.replace("https://a.example/v1", url)), registry)
    assert "hunter2secret" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize("key", [KEY, f"key:{KEY}", f"sk:{KEY}", "env:", "env:A B", "keyring:x", "cmd: "])
def test_a_key_in_the_settings_is_an_error_that_does_not_repeat_it(tmp_path: Path, key: str) -> None:
    import traceback

    with pytest.raises(ConfigError, match=r"models\.one\.key") as caught:
        settings(tmp_path, ONE + f'key = "{key}"\n')
    assert KEY not in "".join(traceback.format_exception(caught.value)) + caught.value.hint


def test_a_key_comes_from_a_program(tmp_path: Path, registry: Registry) -> None:
    given = settings(tmp_path, ONE + f'key = "cmd:{sys.executable} -c \'print(\\"{KEY}\\")\'"\n')
    llm: Any = make_model("one", given, registry)
    assert llm.key.get_secret_value() == KEY
    assert given.redactor()(f"<{KEY}>") == "<[redacted]>"


async def test_a_program_may_be_asked_from_inside_of_an_event_loop(tmp_path: Path) -> None:
    given = settings(tmp_path, "")
    assert given.secret(f"cmd:{sys.executable} -c print(123456)").get_secret_value() == "123456"


BAD_PROGRAMS = [
    (f"cmd:{sys.executable} -c 'import sys; print(\"{KEY}\"); sys.exit(3)'", "exit code 3"),
    (f"cmd:{sys.executable} -c pass", "is empty"),
    (f"cmd:{sys.executable} -c 'print(\"a\\nb\")'", "not one key"),
    ("cmd:no-such-program-here x", "no program"),
    ("cmd:'unclosed", "taken apart"),
    ("env:NO_SUCH_VARIABLE", "not there"),
]


@pytest.mark.parametrize(("reference", "told"), BAD_PROGRAMS)
def test_a_key_that_cannot_be_had(tmp_path: Path, reference: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        settings(tmp_path, "").secret(reference)
    assert told != "exit code 3" or f'("{KEY}")' not in str(caught.value).replace(reference, "")


def test_without_the_keyring_library_the_hint_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="no keyring library") as caught:
        settings(tmp_path, "").secret("keyring:model/me")
    assert "remediator[keyring]" in caught.value.hint


def test_a_key_comes_from_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {("https://a/model", "me"): KEY}
    fake = types.SimpleNamespace(get_password=lambda service, user: held.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", fake)
    given = settings(tmp_path, "")
    assert given.secret("keyring:https://a/model/me").get_secret_value() == KEY
    with pytest.raises(ConfigError, match="holds nothing"):
        given.secret("keyring:other/me")


@pytest.mark.parametrize("reference", ["env:A_1", "keyring:a/b", "cmd:pass show x"])
def test_references(reference: str) -> None:
    assert checked_reference(reference) == reference


def test_offline_only_this_machine_is_asked(tmp_path: Path, registry: Registry) -> None:
    near = ONE.replace("https://a.example", "http://127.0.0.1:1")
    assert make_model("one", settings(tmp_path, near, offline=True), registry)
    with pytest.raises(ConfigError, match=r"a\.example may not be asked offline"):
        make_model("one", settings(tmp_path, ONE + 'key = "env:NO_SUCH"', offline=True), registry)


def test_the_environments_proxy_counts_unless_the_host_is_excepted(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "me:proxypassword@proxy.example:3128")
    llm: Any = make_model("one", settings(tmp_path, ONE), registry)
    assert llm.proxy.get_secret_value() == "http://me:proxypassword@proxy.example:3128" and "proxypassword" not in repr(llm)
    monkeypatch.setenv("no_proxy", ".example")
    llm = make_model("one", settings(tmp_path, ONE), registry)
    assert llm.proxy is None


def test_what_is_wrong_with_a_model_is_told_without_the_words_of_a_library() -> None:
    for entry in ({"key": "sk-0123456789abcdef"}, {"base_url": "http://llm.example.org/v1"}):
        with pytest.raises(ConfigError) as caught:
            settings = load_settings(models={"one": {"use": "openai", "model": "m", **entry}})
            make_model("one", settings, Registry.load(enabled=settings.plugins))
        assert "Value error" not in caught.value.message and "sk-0123456789abcdef" not in caught.value.message
