"""`remediator models` and what `doctor` says of models, against a real local server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from remediator.cli.case_table import costs
from remediator.cli.main import run
from remediator.contracts import Reply
from remediator.engine.cost import cost_rows, totals
from remediator.engine.journal import Journal
from remediator.records import (
    Declined,
    EvidenceLevel,
    Finding,
    FindingReported,
    FixDeclined,
    Outcome,
    Patch,
    PatchProposed,
    ReasonCode,
    RunStarted,
    Spend,
    Verdict,
    VerdictReached,
)
from remediator.records.event import ReproducerAccepted, ReproducerDeclined
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.settings import load_settings
from remediator.testing.llm_server import Fault, LlmServer

KEY = "a-very-secret-key-0123456789"


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REMEDIATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ONE_KEY", KEY)


def config(tmp_path: Path, url: str, more: str = "") -> str:
    path = tmp_path / "r.toml"
    path.write_text(
        f'[models.one]\nuse = "anthropic"\nmodel = "some-model"\nbase_url = "{url}"\nkey = "env:ONE_KEY"\n'
        f"price = {{input = 3, output = 15}}\ntries = 2\nbackoff_seconds = 0.01\n{more}"
    )
    return str(path)


def test_list_shows_where_the_key_is_from_and_never_the_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    more = '[models.two]\nuse = "openai"\nmodel = "m2"\nkey = "cmd:get-key --token hunter2"\n'
    assert run(["-c", config(tmp_path, "http://127.0.0.1:1", more), "models", "list"]) == 0
    out = capfd.readouterr().out
    assert "some-model" in out and "env:ONE_KEY" in out and "known" in out and "https://api.openai.com" in out and "cmd:get-key …" in out
    assert KEY not in out and "hunter2" not in out


def test_without_a_model_the_list_says_how_to_make_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    assert "[models.NAME]" in capfd.readouterr().err


def test_test_shows_answer_time_tokens_and_cost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with LlmServer([Reply(text=f"yes\x1b[31m {KEY}", spend=Spend(input_tokens=1000, output_tokens=100))] * 2, key=KEY) as server:
        assert run(["-c", config(tmp_path, server.url), "models", "test", "one"]) == 0
        out = capfd.readouterr().out
        assert run(["-c", config(tmp_path, server.url), "models", "test", "one", "--json"]) == 0
    assert "yes\\x1b[31m [redacted]" in out and "1000 tokens in, 100 out, 0.004500 USD" in out
    assert Decimal(json.loads(capfd.readouterr().out)["usd"]) == Decimal("0.0045")


def test_a_model_without_a_key_or_a_server_is_told_what_to_mend(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    more = '[models.keyless]\nuse = "openai"\nmodel = "m"\nkey = "env:NOT_THERE"\n'
    path = config(tmp_path, "http://127.0.0.1:1", more)
    assert run(["-c", path, "models", "test", "keyless"]) == 2
    assert "export NOT_THERE" in capfd.readouterr().err
    assert run(["-c", path, "models", "test", "one"]) == 3
    told = capfd.readouterr().err
    assert "no connection" in told and "check its `base_url`" in told and "--resume" not in told


@pytest.mark.parametrize(("status", "code"), [(500, 3), (400, 3), (401, 4), (402, 4)])
def test_exit_codes_of_test(tmp_path: Path, capfd: pytest.CaptureFixture[str], status: int, code: int) -> None:
    with LlmServer(lambda asked: Fault(kind="status", status=status, message=f"because {KEY}"), key=KEY) as server:
        assert run(["-c", config(tmp_path, server.url), "-v", "models", "test", "one"]) == code
    seen = capfd.readouterr()
    assert "because [redacted]" in seen.err and KEY not in seen.err + seen.out


def test_offline_asks_nobody_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["-c", config(tmp_path, "https://a.example"), "--offline", "models", "test", "one"]) == 2
    assert "offline" in capfd.readouterr().err


def test_doctor_says_whether_each_model_answers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    more = (
        '[models.far]\nuse = "openai"\nmodel = "m"\n[models.bad]\nuse = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:1"\ntries = 1\n'
    )
    with LlmServer([Reply(text="yes")], key=KEY) as server:
        run(["-c", config(tmp_path, server.url, more), "--offline", "doctor"])
    out = capfd.readouterr().out
    assert "ok   model one: some-model answers" in out and "info model far: not asked (--offline)" in out and "FAIL model bad:" in out


NOW = datetime(2026, 11, 22, tzinfo=UTC)
SPEND = Spend(usd=Decimal("0.25"), input_tokens=100, output_tokens=10)


def journal() -> list[object]:
    found = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="")
    patch = Patch.of(finding_id=found.id, fixer="agent", title="t", diff="d")
    verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=Outcome.verified, level=EvidenceLevel.E3, required=EvidenceLevel.E3)
    one = {"run_id": "run-1", "at": NOW, "case_id": "fx-1"}
    return [
        RunStarted(run_id="run-1", at=NOW, target="t"),
        FixDeclined(**one, declined=Declined(finding_id=found.id, fixer="codemod", reason=ReasonCode.no_safe_transform)),
        PatchProposed(**one, patch=patch, spend=SPEND),
        PatchProposed(**one, patch=patch, spend=SPEND),
        VerdictReached(**one, verdict=verdict),
        FixDeclined(
            **{**one, "case_id": "fx-2"}, declined=Declined(finding_id=found.id, fixer="agent", reason=ReasonCode.budget), spend=SPEND
        ),
    ]


def test_costs_add_up_by_case_and_for_each_proven_fix() -> None:
    rows = cost_rows(journal())  # type: ignore[arg-type]
    assert [(row.case_id, row.fixer, row.spend.usd, row.verified) for row in rows] == [
        ("fx-1", "agent", Decimal("0.50"), True), ("fx-2", "agent", Decimal("0.25"), False),
    ]  # fmt: skip
    (total,) = totals(rows, "run_id")
    assert (total.spend.usd, total.cases, total.fixes, total.usd_per_fix) == (Decimal("0.75"), 2, 1, Decimal("0.75"))


def test_what_showing_a_flaw_and_judging_cost_is_in_the_sum() -> None:
    reported, *_ = journal()[1:]
    found = reported.declined.finding_id  # type: ignore[attr-defined]
    one = {"run_id": "run-1", "at": NOW, "case_id": "fx-1"}
    shown = Reproducer.of(finding_id=found, author="agent", files={"test_a.py": "a"})
    verdict = Verdict(patch_id="p", finding_id=found, outcome=Outcome.rejected, level=EvidenceLevel.E0, required=EvidenceLevel.E3)
    rows = cost_rows([
        ReproducerDeclined(**one, author="agent", reason="not-reproduced", spend=SPEND),
        ReproducerAccepted(**one, reproducer=shown, acceptance=Acceptance(reproducer_id=shown.id), spend=SPEND),
        VerdictReached(**one, verdict=verdict, spend=SPEND),
    ])  # fmt: skip
    assert [(row.fixer, row.spend.usd) for row in rows] == [("agent", Decimal("0.50")), ("judging", Decimal("0.25"))]


def test_tokens_without_a_known_price_are_not_told_to_be_free() -> None:
    unpriced = Spend(input_tokens=5, output_tokens=1, unpriced_tokens=6)
    assert costs(unpriced, None) == "Models: price unknown; 5 tokens sent, 1 received."
    assert costs(unpriced + SPEND, None).startswith("Models: 0.2500 USD and 6 tokens of unknown price; 105 tokens sent")
    free = Spend(input_tokens=5, output_tokens=1)
    assert costs(free, Decimal(0)).startswith("Models: 0.0000 USD, 0.0000 USD for each verified fix; 5 tokens sent")
    assert costs(SPEND, Decimal("0.25")).startswith("Models: 0.2500 USD, 0.2500 USD for each verified fix; 100 tokens")


def test_cost_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    book = Journal(load_settings().state / "journal.sqlite")
    for number, event in enumerate(journal()):
        book.append(event, str(number))  # type: ignore[arg-type]
    book.close()
    assert run(["models", "cost", "--by", "case"]) == 0
    out = capfd.readouterr().out
    assert "fx-1  0.5000" in out and "all   0.7500" in out
    assert run(["models", "cost", "--run", "run-9"]) == 2


UNPRICED = '[models.two]\nuse = "openai"\nmodel = "m2"\nkey = "env:ONE_KEY"\nbase_url = "{url}"\n'


def test_what_asking_whether_a_model_answers_cost_is_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answer = Reply(text="yes", spend=Spend(input_tokens=1000, output_tokens=100))
    with LlmServer([answer] * 3, key=KEY) as server:
        path = config(tmp_path, server.url, UNPRICED.format(url=server.url))
        run(["-c", path, "models", "test", "one"])
        run(["-c", path, "doctor"])
    capfd.readouterr()
    assert run(["models", "cost", "--json"]) == 0
    (total,) = json.loads(capfd.readouterr().out)
    assert (total["name"], Decimal(total["spend"]["usd"]), total["cases"]) == ("models test", Decimal("0.009"), 0)
    assert (total["spend"]["input_tokens"], total["spend"]["unpriced_tokens"]) == (3000, 1100)
    run(["models", "cost"])
    assert "models test  0.0090 + unknown  3000       300  0" in capfd.readouterr().out


def test_the_day_s_money_holds_for_that_question_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with LlmServer([], key=KEY) as server:
        assert run(["-c", config(tmp_path, server.url, "[limits]\nday_usd = 0.0001\n"), "models", "test", "one"]) == 5
    assert "of the day's 0.0001 USD are spent" in capfd.readouterr().err


def test_what_a_model_without_a_price_cost_is_unknown_and_not_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    book = Journal(load_settings().state / "journal.sqlite")
    spend = Spend(input_tokens=100, output_tokens=10, unpriced_tokens=110)
    found = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="")
    one = {"run_id": "run-1", "at": NOW, "case_id": "fx-1"}
    patch = Patch.of(finding_id=found.id, fixer="agent", title="t", diff="d")
    verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=Outcome.verified, level=EvidenceLevel.E3, required=EvidenceLevel.E3)
    events = [
        RunStarted(run_id="run-1", at=NOW, target="t"), FindingReported(**one, finding=found), PatchProposed(**one, patch=patch, spend=spend),
        VerdictReached(**one, verdict=verdict),
    ]  # fmt: skip
    for number, event in enumerate(events):
        book.append(event, str(number))
    book.close()
    run(["models", "cost"])
    assert "run-1  unknown  100        10   1      1       -" in capfd.readouterr().out
    run(["show", "fx-1"])
    assert "models: price unknown, 110 tokens" in capfd.readouterr().out


@pytest.mark.parametrize(("status", "named"), [(400, "check `model` and the options in"), (404, "`base_url` in"), (401, "mend the key of")])
def test_hints_name_the_table_to_mend(tmp_path: Path, capfd: pytest.CaptureFixture[str], status: int, named: str) -> None:
    with LlmServer(lambda asked: Fault(kind="status", status=status, message="no"), key=KEY) as server:
        run(["-c", config(tmp_path, server.url), "models", "test", "one"])
    assert f"{named} [models.one]" in capfd.readouterr().err
