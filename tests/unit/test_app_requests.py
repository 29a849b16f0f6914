"""What a request becomes: which run it goes on with, and what it overrides in the playbook."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from remediator.app import Remediator
from remediator.engine.model_use import check_models
from remediator.engine.request import FixRequest
from remediator.engine.run import run_folder
from remediator.errors import ConfigError, StateError, UsageError
from remediator.records import EvidenceLevel, RunFinished, RunStarted
from remediator.settings import load_settings

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Remediator]:
    async with Remediator.open(load_settings(state=tmp_path / "state", no_plugins=True)) as opened:
        yield opened


def unfinished(app: Remediator, run_id: str, target: Path, playbook: Path | None = None) -> None:
    request = FixRequest(target=str(target), only=(run_id,), playbook=str(playbook) if playbook else None)
    configuration = {"request": request.as_json()}
    app.journal.append(RunStarted(run_id=run_id, at=NOW, target=str(target), configuration=configuration), run_id)


async def test_resume_goes_on_with_the_run_of_this_folder_and_of_no_other(app: Remediator, tmp_path: Path, monkeypatch) -> None:
    for name in ("mine", "other", "third"):
        (tmp_path / name).mkdir()
    unfinished(app, "run-mine", tmp_path / "mine")
    unfinished(app, "run-other", tmp_path / "other")
    monkeypatch.chdir(tmp_path / "mine")
    run_id, request, resumed = app._which_run(FixRequest(target=".", resume=True))
    assert (run_id, request.only, resumed) == ("run-mine", ("run-mine",), True)
    monkeypatch.chdir(tmp_path / "third")
    with pytest.raises(UsageError, match="no unfinished run"):
        app._which_run(FixRequest(target=".", resume=True))


async def test_options_beside_resume_choose_the_run_that_was_begun_with_them_and_change_none(app: Remediator, tmp_path: Path) -> None:
    for run_id in ("run-one", "run-two"):
        unfinished(app, run_id, tmp_path)
    again = FixRequest(target=str(tmp_path), resume=True)
    for only, run_id in (((), "run-two"), (("run-one",), "run-one")):
        assert app._which_run(again.model_copy(update={"only": only}))[0] == run_id
    with pytest.raises(UsageError, match="--only, --require: run-two was begun otherwise"):
        app._which_run(again.model_copy(update={"only": ("CWE-502",), "required": EvidenceLevel.E2}))


async def test_a_finished_run_is_not_resumed(app: Remediator, tmp_path: Path) -> None:
    unfinished(app, "run-mine", tmp_path)
    app.journal.append(RunFinished(run_id="run-mine", at=NOW, outcome="finished"), "end")
    with pytest.raises(UsageError, match="no unfinished run"):
        app._which_run(FixRequest(target=str(tmp_path), resume=True))


async def test_a_run_that_another_process_works_on_is_not_ended_by_asking(app: Remediator, tmp_path: Path) -> None:
    playbook = tmp_path / "bare.yaml"
    playbook.write_text("name: bare\nverify: [{use: applies}]\nsandbox: {use: none}\n")
    unfinished(app, "run-mine", tmp_path, playbook)
    folder = run_folder(app.settings.state, "run-mine")
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another process"):
            await app.fix(FixRequest(target=str(tmp_path), resume=True))
    assert app.runs()[0].finished is None


async def test_a_run_remembers_its_folder_by_a_name_that_holds_everywhere(app: Remediator, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert app._which_run(FixRequest(target="."))[1].target == str(tmp_path)
    assert app._which_run(FixRequest(target="pypi:six==1.0"))[1].target == "pypi:six==1.0"


async def test_naming_the_sandbox_of_the_playbook_keeps_its_options(app: Remediator, tmp_path: Path) -> None:
    playbook = tmp_path / "hard.yaml"
    playbook.write_text("name: hard\nverify: [{use: applies}]\nsandbox: {use: docker, with: {runtime: runsc}}\n")
    request = FixRequest(target=".", playbook=str(playbook))
    for sandbox, options in ((None, {"runtime": "runsc"}), ("docker", {"runtime": "runsc"}), ("none", {})):
        assert app.playbook_for(request.model_copy(update={"sandbox": sandbox})).sandbox.options == options


async def test_a_model_that_cannot_be_had_is_an_error_before_any_work(tmp_path: Path) -> None:
    async with Remediator.open(load_settings(state=tmp_path / "state")) as app:
        with pytest.raises(ConfigError, match="no model 'nope' in the settings"):
            await app.fix(FixRequest(target=str(tmp_path), model="nope"))
        assert not app.journal.runs()


PRICED = {"use": "openai", "model": "m", "base_url": "http://127.0.0.1:1", "price": {"input": 1, "output": 2}}
UNPRICED = {key: value for key, value in PRICED.items() if key != "price"}
ASKING = "name: asking\nscan: []\nfix: [{use}]\nverify: [{{use: applies}}]\nsandbox: {{use: none}}\n"
AGENT = "{use: agent, with: {llm: %s}}"
EXTERNAL = "{use: external-agent, with: {llm: %s, command: [x]}}"


def playbook_of(tmp_path: Path, *fixers: str, more: str = "") -> str:
    path = tmp_path / "asking.yaml"
    path.write_text(ASKING.format(use=", ".join(fixers)) + more)
    return str(path)


@pytest.mark.parametrize(
    ("fixer", "named"),
    [
        (AGENT % "default", "fix: agent: no model 'default'"),
        ("{use: agent}", "fix: agent: no model 'default'"),
        ("{use: agent, with: {llm: big, llms: [bigg]}}", "fix: agent: no model 'bigg' in the settings; did you mean 'big'"),
        (EXTERNAL % "far", "fix: external-agent: no model 'far'"),
    ],
)
async def test_a_fixer_whose_model_is_not_there_is_an_error_before_any_work(tmp_path: Path, fixer: str, named: str) -> None:
    async with Remediator.open(load_settings(state=tmp_path / "state", models={"big": PRICED})) as app:
        with pytest.raises(ConfigError, match=named) as told:
            await app.fix(FixRequest(target="https://git.invalid/x", playbook=playbook_of(tmp_path, fixer)))
        assert not app.journal.runs()
    assert "there is: big" in str(told.value.hint)


async def test_the_shipped_agent_playbook_names_the_table_that_is_missing(tmp_path: Path) -> None:
    async with Remediator.open(load_settings(state=tmp_path / "state")) as app:
        with pytest.raises(ConfigError) as told:
            await app.fix(FixRequest(target="https://git.invalid/x", playbook="agent"))
    assert "playbook agent: fix: agent: no model 'default'" in told.value.message
    assert "[models.default]" in str(told.value.hint)


async def test_candidates_reach_the_playbooks_own_agent_and_are_refused_where_there_is_none(tmp_path: Path) -> None:
    async with Remediator.open(load_settings(state=tmp_path / "state", models={"big": PRICED})) as app:
        request = FixRequest(target=".", playbook=playbook_of(tmp_path, AGENT % "big"), candidates=3)
        assert app.playbook_for(request).fix[0].options == {"llm": "big", "candidates_for_severe": 3}
        with pytest.raises(UsageError, match="--candidates: no fixer of the playbook 'asking' asks a model"):
            await app.fix(request.model_copy(update={"playbook": playbook_of(tmp_path, "{use: codemod}")}))
        assert not app.journal.runs()


def checked(app: Remediator, playbook: str, usd: str) -> tuple[str, ...]:
    request = FixRequest(target=".", playbook=playbook, usd=Decimal(usd))
    return check_models(app.playbook_for(request), app.registry, request, app.model)


async def test_a_budget_that_limits_nothing_is_told_and_one_that_cannot_be_held_is_refused(tmp_path: Path) -> None:
    models = {"big": PRICED, "free": UNPRICED}
    async with Remediator.open(load_settings(state=tmp_path / "state", models=models)) as app:
        assert checked(app, playbook_of(tmp_path, AGENT % "big"), "0") == ()
        assert "asks no model" in checked(app, playbook_of(tmp_path, "{use: codemod}"), "0")[0]
        assert "does not limit the model free" in checked(app, playbook_of(tmp_path, AGENT % "free"), "1")[0]
        with pytest.raises(UsageError, match="--budget 0 cannot be held to") as told:
            checked(app, playbook_of(tmp_path, AGENT % "free"), "0")
    assert "[models.free]" in str(told.value.hint)


async def test_a_model_that_nothing_limits_is_refused_before_any_work(tmp_path: Path) -> None:
    playbook = playbook_of(tmp_path, AGENT % "free", more="limits: {tokens: null}\n")
    async with Remediator.open(load_settings(state=tmp_path / "state", models={"free": UNPRICED})) as app:
        with pytest.raises(ConfigError, match="price of the model 'free' is not known") as told:
            await app.fix(FixRequest(target="https://git.invalid/x", playbook=playbook))
    assert "[models.free]" in str(told.value.hint)
