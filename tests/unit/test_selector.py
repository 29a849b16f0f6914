"""Among patches that are proven alike one is chosen blindly, once, and whatever comes of it changes no verdict."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from remediator.builtin.agent_fixer import AgentFixer
from remediator.cli.case_page import print_case
from remediator.contracts import Price, Prompt, Reply, Workspace
from remediator.engine.asker import Asker, Asking
from remediator.engine.asking import Purse
from remediator.engine.cost import JUDGING, cost_rows
from remediator.engine.ledger import Ledger
from remediator.engine.perform import Performer
from remediator.engine.plan import Choose, Seal, next_step
from remediator.errors import ConfigError, LlmAuthError
from remediator.playbook import Playbook, PlaybookLimits
from remediator.records import Case, Choice, EvidenceLevel, Finding, Patch, ReasonCode, Spend
from remediator.records.event import PatchChosen
from remediator.records.verdict import Check, CheckStatus, Outcome, Verdict
from remediator.redact import Redactor
from remediator.testing.fake_llm import ScriptedLlm
from remediator.testing.fake_workspace import FakeWorkspace

FINDING = Finding.at(rule_id="r", scanner="s", message="runs code", location=None, snippet="")
PLAYBOOK = Playbook.model_validate({"name": "p", "fix": [{"use": "agent"}], "submit": []})


def patch(line: str) -> Patch:
    diff = f"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x = {line}\n"
    return Patch.of(finding_id=FINDING.id, fixer="agent", title=f"title of {line}", behaviour=f"reasons of {line}", diff=diff)


def proven(of: Patch, level: EvidenceLevel = EvidenceLevel.E4, run: int = 1) -> Verdict:
    check = Check(name="tests", level=EvidenceLevel.E3, status=CheckStatus.passed, evidence={"changed_lines": {"executed": run}})
    return Verdict(patch_id=of.id, finding_id=FINDING.id, outcome=Outcome.verified, level=level, required=EvidenceLevel.E3, checks=(check,))


A, B, C = patch("2"), patch("3"), patch("4")


def case(*patches: Patch, **changes: Any) -> Case:
    given = {"patches": patches, "verdicts": tuple(proven(one) for one in patches), **changes}
    return Case(id="fx-1", run_id="run-1", finding=FINDING).model_copy(update=given)


def test_only_patches_that_are_worth_the_same_are_chosen_among() -> None:
    assert next_step(PLAYBOOK, case(A, B)) == Choose((A, B))
    assert next_step(PLAYBOOK, case(A)) == Seal(ReasonCode.fixed, "")
    better = case(A, B, verdicts=(proven(A), proven(B, EvidenceLevel.E5)))
    assert (next_step(PLAYBOOK, better), better.equals) == (Seal(ReasonCode.fixed, ""), (B,))
    run_more = case(A, B, C, verdicts=(proven(A), proven(B, run=2), proven(C, run=2)))
    assert next_step(PLAYBOOK, run_more) == Choose((B, C))
    chosen = case(A, B, choice=Choice(patch_id=B.id, among=(A.id, B.id), decided_by="selector"))
    assert next_step(PLAYBOOK, chosen) == Seal(ReasonCode.fixed, "")


def test_a_choice_decides_between_equals_and_nowhere_else() -> None:
    choice = Choice(patch_id=B.id, among=(A.id, B.id), decided_by="selector")
    assert case(A, B).best == (A, proven(A))
    assert case(A, B, choice=choice).best == (B, proven(B))
    weaker = case(A, B, verdicts=(proven(A), proven(B, EvidenceLevel.E3)), choice=choice)
    assert weaker.best == (A, proven(A))


def _unknown(name: str) -> Any:
    raise ConfigError(f"there is no model {name!r}")


class _Choosing(Performer):
    """Performs on a workspace in memory, with the run's real purse and ledger."""

    def __init__(self, folder: Path, model: ScriptedLlm | None, *, usd: str = "1", fixer: Any = None) -> None:
        self._run_id, self._folder, self._chooser = "run-1", folder, fixer or AgentFixer()
        purse = Purse(Ledger(folder / "ledger.sqlite"), "run-1", run_usd=Decimal(usd), day_usd=None)
        asking = Asking(purse, lambda name: model if model is not None else _unknown(name), Redactor())
        self._asker = asking.for_step("fx-1", "7-choose", PlaybookLimits.model_validate({"usd": "1"}), minutes_used=0)

    def _fixer(self, name: str) -> Any:
        return self._chooser

    @contextlib.asynccontextmanager
    async def _workspace(self, case: Case, asker: Asker) -> AsyncIterator[Any]:
        made = FakeWorkspace({}, self._folder)
        made.llm = asker.llm  # type: ignore[method-assign]
        yield made


class Paid(ScriptedLlm):
    price: Price | None = Price(input=Decimal(1), output=Decimal(2))


def says(text: str, stop: Any = "end") -> Paid:
    return Paid(replies=(Reply(text=text, stop=stop, spend=Spend(usd=Decimal("0.01"), input_tokens=9, output_tokens=1)),))


async def chosen(performer: Performer, *patches: Patch) -> PatchChosen:
    (event,) = await performer.perform(case(*patches), Choose(patches), None)  # type: ignore[arg-type]
    assert isinstance(event, PatchChosen)
    return event


def diffs_in(prompt: Prompt) -> list[str]:
    shown = prompt.messages[0].text
    return sorted(
        (one.id for one in (A, B, C) if one.diff in shown), key=lambda id_: shown.index(next(p.diff for p in (A, B, C) if p.id == id_))
    )


async def test_the_patch_that_the_model_names_is_taken(tmp_path: Path) -> None:
    taken = {}
    for number in (1, 2, 3):
        (tmp_path / str(number)).mkdir()
        model = says(f'Thinking {{"choice": 9}}, so: {{"choice": {number}}}')
        event = await chosen(_Choosing(tmp_path / str(number), model), A, B, C)
        assert (event.choice.decided_by, event.choice.among, event.spend.usd) == ("selector", (A.id, B.id, C.id), Decimal("0.01"))
        assert event.choice.patch_id == diffs_in(model.prompts[0])[number - 1]
        taken[number] = event.choice.patch_id
        assert [row.fixer for row in cost_rows([event])] == [JUDGING]
    assert set(taken.values()) == {A.id, B.id, C.id}


async def test_the_question_is_blind_to_authors_reasons_and_order(tmp_path: Path) -> None:
    asked = []
    for number, order in enumerate(((A, B, C), (C, A, B))):
        (tmp_path / str(number)).mkdir()
        model = says('{"choice": 1}')
        await chosen(_Choosing(tmp_path / str(number), model), *order)
        asked.append(model.prompts[0])
    assert asked[0].messages == asked[1].messages
    text = asked[0].system + asked[0].messages[0].text
    assert "runs code" in text and "title of" not in text and "reasons of" not in text and "agent" not in text


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ('{"choice": 4}', "end"),
        ('{"choice": 0}', "end"),
        ('{"choice": -1}', "end"),
        ('{"choice": true}', "end"),
        ('{"choice": "2"}', "end"),
        ("the second", "end"),
        ("", "end"),
        ('{"choice": 2}', "length"),
        ('{"choice": 2}', "refused"),
        ('{"choice": ' + "[" * 90_000 + "}", "end"),
    ],
)
async def test_an_answer_of_no_use_takes_the_first(tmp_path: Path, text: str, stop: str) -> None:
    event = await chosen(_Choosing(tmp_path, says(text, stop)), B, A, C)
    assert event.choice == Choice(patch_id=B.id, among=(B.id, A.id, C.id), decided_by="first", detail="the model named no patch of these")


class _Refusing(Paid):
    async def complete(self, prompt: Prompt) -> Reply:
        raise LlmAuthError("the key is refused")


class _Odd(AgentFixer):
    async def choose(self, finding: Finding, diffs: Any, workspace: Workspace) -> Any:
        return 3 if self.steps == 1 else 1 / 0


@pytest.mark.parametrize(
    ("model", "options", "told"),
    [
        (says('{"choice": 2}'), {"usd": "0.0001"}, "could cost"),
        (_Refusing(), {}, "the key is refused"),
        (None, {}, "there is no model 'default'"),
        (ScriptedLlm(), {"fixer": _Odd(steps=1)}, "no patch of these: 3"),
        (ScriptedLlm(), {"fixer": _Odd()}, "the fixer broke: ZeroDivisionError"),
    ],
    ids=["no money", "no key", "no model", "out of range", "broken"],
)
async def test_what_is_proven_is_not_lost_because_nobody_could_be_asked(tmp_path: Path, model: Any, options: Any, told: str) -> None:
    event = await chosen(_Choosing(tmp_path, model, **options), B, A)
    assert (event.choice.patch_id, event.choice.decided_by) == (B.id, "first")
    assert told in event.choice.detail


async def test_patches_too_long_to_be_compared_are_not_paid_for(tmp_path: Path) -> None:
    model = says('{"choice": 2}')
    event = await chosen(_Choosing(tmp_path, model), B, patch("'" + "y" * 40_000 + "'"))
    assert (event.choice.decided_by, model.prompts) == ("first", ())


async def test_a_step_that_runs_again_hears_the_same_and_pays_nothing(tmp_path: Path) -> None:
    model = says('{"choice": 2}')
    first = await chosen(_Choosing(tmp_path, model), A, B)
    again = await chosen(_Choosing(tmp_path, model), A, B)
    assert first.choice == again.choice and first.choice.decided_by == "selector"
    assert (len(model.prompts), again.spend.usd) == (1, Decimal("0.01"))


@pytest.mark.parametrize(("by", "detail", "told"), [("selector", "", "the selector's choice"), ("first", "no key", "the first; no key")])
def test_the_case_says_which_way_it_was_decided(by: Any, detail: str, told: str) -> None:
    out = io.StringIO()
    choice = Choice(patch_id=B.id, among=(A.id, B.id), decided_by=by, detail=detail)
    print_case(Console(file=out, width=200), case(A, B, choice=choice))
    assert f"one of 2 patches that are proven alike: {told}" in out.getvalue()
    assert "+x = 3" in out.getvalue()
