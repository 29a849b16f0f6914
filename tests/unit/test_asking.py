"""Money: checked before it is spent, kept before it is used, never spent twice."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from remediator.contracts import Llm, Message, Price, Prompt, Reply, ToolCall, ToolSpec
from remediator.engine.asker import Asking
from remediator.engine.asking import Purse
from remediator.engine.ledger import Ledger
from remediator.errors import BudgetError, ConfigError, LlmBusyError, LlmError, StateError
from remediator.playbook import PlaybookLimits
from remediator.records.spend import Spend
from remediator.redact import Redactor
from remediator.testing.fake_llm import ScriptedLlm

PRICE = Price(input=Decimal(1), output=Decimal(2))


class Paid(ScriptedLlm):
    price: Price | None = PRICE


def reply(text: str, usd: str = "0.01") -> Reply:
    return Reply(text=text, spend=Spend(usd=Decimal(usd), input_tokens=100, output_tokens=10))


def prompt(text: str = "hello", max_tokens: int = 1000) -> Prompt:
    return Prompt(system="be good", messages=(Message(role="user", text=text),), max_tokens=max_tokens)


class Bench:
    def __init__(self, path: Path, llm: Llm, *, run_usd: str | None = None, day_usd: str | None = None, **limits: object) -> None:
        self.ledger = Ledger(path / "ledger.sqlite")
        purse = Purse(self.ledger, "run-1", run_usd=_money(run_usd), day_usd=_money(day_usd))
        self.asking = Asking(purse, lambda name: llm, Redactor(("hunter22",)))
        self.limits = PlaybookLimits.model_validate({"usd": "1", **limits})

    def asker(self, case: str = "fx-1", step: str = "1-propose", minutes_used: float = 0.0):
        return self.asking.for_step(case, step, self.limits, minutes_used=minutes_used)


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


async def test_an_answer_is_given_again_for_nothing(tmp_path: Path) -> None:
    llm = Paid(replies=(reply("one"), reply("two")))
    for _ in range(3):
        asked = Bench(tmp_path, llm).asker().llm("default")
        assert [(await asked.complete(prompt(text))).text for text in ("a", "b")] == ["one", "two"]
    assert len(llm.prompts) == 2
    assert Bench(tmp_path, llm).ledger.spent("run-1").usd == Decimal("0.02")


async def test_other_steps_cases_and_models_of_a_step_have_answers_of_their_own(tmp_path: Path) -> None:
    llm = Paid(replies=tuple(reply(str(number)) for number in range(4)))
    bench = Bench(tmp_path, llm)
    first = bench.asker()
    askers = [first.llm("a"), first.llm("b"), bench.asker(step="2-propose").llm("a"), bench.asker(case="fx-2").llm("a")]
    assert [(await asker.complete(prompt())).text for asker in askers] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("caps", "told"),
    [
        ({"usd": "0.0005"}, "case's"),
        ({"run_usd": "0.0005"}, "run's"),
        ({"day_usd": "0.0005"}, "day's"),
        ({"tokens": 500}, "tokens"),
    ],
)
async def test_what_could_cost_too_much_is_not_sent(tmp_path: Path, caps: dict[str, object], told: str) -> None:
    llm = Paid(replies=(reply("never"),))
    with pytest.raises(BudgetError, match=told):
        await Bench(tmp_path, llm, **caps).asker().llm("default").complete(prompt())  # type: ignore[arg-type]
    assert llm.prompts == ()


async def test_a_shorter_answer_is_asked_for_where_a_long_one_could_cost_too_much(tmp_path: Path) -> None:
    llm = Paid(replies=(reply("short"),))
    await Bench(tmp_path, llm, usd="0.0035").asker().llm("default").complete(prompt(max_tokens=4000))
    assert llm.prompts[0].max_tokens == 1000


async def test_the_time_of_a_case_is_checked_before_each_question(tmp_path: Path) -> None:
    llm = Paid(replies=(reply("never"),))
    with pytest.raises(BudgetError, match="time"):
        await Bench(tmp_path, llm, minutes=1).asker(minutes_used=2).llm("default").complete(prompt())


async def test_a_cap_is_never_crossed_however_answers_are_priced(tmp_path: Path) -> None:
    class Greedy(Paid):
        async def complete(self, prompt: Prompt) -> Reply:
            return Reply(text="x", spend=self.ceiling(prompt))

    bench = Bench(tmp_path, Greedy(), run_usd="0.10")
    asked = bench.asker().llm("default")
    with pytest.raises(BudgetError):
        while True:
            await asked.complete(prompt("x" * 2000))
    assert Decimal("0.09") < bench.ledger.spent("run-1").usd <= Decimal("0.10")


async def test_questions_under_way_count_at_the_most_that_they_can_cost(tmp_path: Path) -> None:
    begun, going = asyncio.Event(), asyncio.Event()

    class Slow(Paid):
        async def complete(self, prompt: Prompt) -> Reply:
            begun.set()
            await going.wait()
            return reply("late", "0.0001")

    bench = Bench(tmp_path, Slow(), run_usd="0.005")
    first = asyncio.ensure_future(bench.asker().llm("default").complete(prompt(max_tokens=1000)))
    await begun.wait()
    with pytest.raises(BudgetError):
        await bench.asker(case="fx-2").llm("default").complete(prompt(max_tokens=1000))
    going.set()
    await first
    assert (await bench.asker(case="fx-3").llm("default").complete(prompt(max_tokens=500))).text == "late"


async def test_a_question_without_an_answer_may_have_been_paid(tmp_path: Path) -> None:
    class Lost(Paid):
        async def complete(self, prompt: Prompt) -> Reply:
            raise LlmBusyError("no answer")

    bench = Bench(tmp_path, Lost())
    with pytest.raises(LlmBusyError):
        await bench.asker().llm("default").complete(prompt())
    lost = bench.ledger.spent("run-1").usd
    assert lost == PRICE.output * 1000 / 1_000_000 + PRICE.input * (prompt().size() + 1024) / 1_000_000
    later = Bench(tmp_path, Paid(replies=(reply("now", "0.001"),)))
    assert (await later.asker().llm("default").complete(prompt())).text == "now"
    assert later.ledger.spent("run-1").usd == lost + Decimal("0.001")


async def test_a_server_that_could_not_be_reached_takes_nothing_from_the_budget(tmp_path: Path) -> None:
    class Unreachable(Paid):
        async def complete(self, prompt: Prompt) -> Reply:
            error = LlmBusyError("no connection")
            error.charged_tries = 0
            raise error

    bench = Bench(tmp_path, Unreachable())
    with pytest.raises(LlmBusyError):
        await bench.asker().llm("default").complete(prompt())
    assert (bench.ledger.spent("run-1").usd, bench.ledger.spent("run-1").input_tokens) == (0, 0)


async def test_what_was_refused_cost_nothing(tmp_path: Path) -> None:
    class Wrong(Paid):
        async def complete(self, prompt: Prompt) -> Reply:
            raise LlmError("bad request")

    bench = Bench(tmp_path, Wrong())
    with pytest.raises(LlmError):
        await bench.asker().llm("default").complete(prompt())
    assert bench.ledger.spent("run-1").usd == 0


async def test_without_a_price_and_without_a_cap_on_tokens_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="price"):
        Bench(tmp_path, ScriptedLlm(), tokens=None).asker().llm("default")


async def test_without_a_price_tokens_are_capped(tmp_path: Path) -> None:
    llm = ScriptedLlm(replies=(reply("one", "0"),))
    bench = Bench(tmp_path, llm, tokens=6000)
    asked = bench.asker().llm("default")
    await asked.complete(prompt())
    with pytest.raises(BudgetError, match="tokens"):
        await asked.complete(prompt("x" * 9000))


async def test_secrets_do_not_leave(tmp_path: Path) -> None:
    llm = Paid(replies=(reply("ok"),))
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    await Bench(tmp_path, llm).asker().llm("default").complete(prompt(f"the key is {key}, the word is hunter22"))
    assert key not in llm.prompts[0].messages[0].text
    assert "hunter22" not in llm.prompts[0].messages[0].text


async def test_the_same_question_has_the_same_key_and_no_other_has(tmp_path: Path) -> None:
    keys: list[str] = []

    class Keyed(Paid):
        async def complete(self, prompt: Prompt) -> Reply:
            keys.append(prompt.key)
            raise LlmBusyError("no answer")

    for step in ("1-propose", "1-propose", "2-propose"):
        with pytest.raises(LlmBusyError):
            await Bench(tmp_path, Keyed()).asker(step=step).llm("default").complete(prompt())
    assert keys[0] == keys[1] != keys[2]


async def test_what_is_remembered_is_not_done_again(tmp_path: Path) -> None:
    done: list[str] = []

    def body(text: str) -> Callable[[], object]:
        async def work() -> str:
            done.append(text)
            return text

        return work

    for _ in range(2):
        asker = Bench(tmp_path, Paid()).asker()
        assert await asker.remembered("tool-1", body("a\ud800")) is not None  # type: ignore[arg-type]
        assert await asker.remembered("tool-2", body("b")) == "b"  # type: ignore[arg-type]
    assert len(done) == 2


async def test_the_transcript_holds_what_was_new_each_time(tmp_path: Path) -> None:
    call = ToolCall(id="1", name="read", arguments={"path": "a"})
    bench = Bench(tmp_path, Paid(replies=(Reply(tool_calls=(call,)), reply("done"))))
    asked = bench.asker().llm("default")
    first = Message(role="user", text="go")
    await asked.complete(Prompt(system="s", messages=(first,)))
    more = (first, Message(role="assistant", tool_calls=(call,)), Message(role="tool", call_id="1", text="content"))
    await asked.complete(Prompt(system="s", messages=more))
    said = [entry.said for entry in bench.ledger.calls("fx-1", "run-1")]
    assert [entry["system"] for entry in said] == ["s", ""]
    assert [[message["role"] for message in entry["messages"]] for entry in said] == [["user"], ["assistant", "tool"]]


async def test_another_question_of_the_same_length_is_not_taken_for_a_measured_one(tmp_path: Path) -> None:
    # Blanks are few tokens, random text is many: an external agent may ask for one after the other.
    asked = Bench(tmp_path, Paid(replies=(reply("a"), reply("b"))), usd="0.04").asker().llm("default")
    await asked.complete(prompt(" " * 20_000))
    with pytest.raises(BudgetError):
        await asked.complete(prompt("x" * 30_000))


async def test_the_transcript_holds_a_question_that_begins_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Paid(replies=(reply("a"), reply("b"))))
    asked = bench.asker().llm("default")
    await asked.complete(prompt("first"))
    await asked.complete(prompt("second").model_copy(update={"system": "other"}))
    said = [(entry.said["system"], entry.said["messages"][0]["text"]) for entry in bench.ledger.calls("fx-1", "run-1")]
    assert said == [("be good", "first"), ("other", "second")]


async def test_secrets_do_not_leave_in_words_that_the_model_never_said(tmp_path: Path) -> None:
    llm = Paid(replies=(Reply(text="hunter22", spend=Spend(input_tokens=1)), reply("b")))
    asked = Bench(tmp_path, llm).asker().llm("default")
    await asked.complete(prompt())
    call = ToolCall(id="1", name="edit", arguments={"new": ["hunter22"]})
    own, other = Message(role="assistant", text="hunter22"), Message(role="assistant", text="it is hunter22", tool_calls=(call,))
    tool = ToolSpec(name="t", description="hunter22", parameters={"description": "hunter22"})
    await asked.complete(Prompt(system="s", messages=(own, other), tools=(tool,)))
    sent = llm.prompts[-1]
    assert sent.messages[0] == own
    assert "hunter22" not in str((sent.messages[1], sent.tools))


def test_what_cannot_be_kept_does_not_hold_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(StateError):
        ledger.answered("k", Spend(input_tokens=10**30), {})
    with pytest.raises(ValueError, match="JSON"):
        ledger.answered("k", Spend(), {"a": float("nan")})
    assert ledger.spent() == Spend()


def test_a_question_that_is_sent_again_is_of_the_day_it_was_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 90_000)
    ledger.ask("k", "run-1", "fx-1", "1", "m", Spend(usd=Decimal(1)), {})
    monkeypatch.setattr(time, "time", lambda: now)
    assert ledger.today().usd == 0
    ledger.ask("k", "run-1", "fx-1", "1", "m", Spend(usd=Decimal(1)), {})
    assert ledger.today().usd == 2


_OTHER_RUN = """
import asyncio, sys, time
from decimal import Decimal
from pathlib import Path
from remediator.contracts import Llm, Message, Prompt, Reply
from remediator.engine.asking import Caps, JournalledLlm, Purse
from remediator.engine.ledger import Ledger
from remediator.errors import BudgetError
from remediator.records.spend import Spend

folder, me = Path(sys.argv[1]), sys.argv[2]

class Slow(Llm):
    name = "slow"
    def ceiling(self, prompt):
        time.sleep(0.1)  # long enough for the other to look before this one has noted
        return Spend(usd=Decimal("0.06"))
    async def complete(self, prompt):
        return Reply(text="yes", spend=Spend(usd=Decimal("0.06")))

async def main():
    purse = Purse(Ledger(folder / "ledger.sqlite"), me, run_usd=None, day_usd=Decimal("0.10"))
    (folder / me).touch()
    while len(list(folder.glob("run-*"))) < 2:
        time.sleep(0.01)
    asked = JournalledLlm.around(Slow(), purse, Caps(), case="c", scope="s", redact=lambda text: text)
    try:
        print((await asked.complete(Prompt(system="", messages=(Message(role="user", text="?"),)))).text)
    except BudgetError as error:
        print("no: " + error.message)

asyncio.run(main())
"""


async def test_the_last_of_a_day_is_not_taken_by_two_runs_at_once(tmp_path: Path) -> None:
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _OTHER_RUN, str(tmp_path), f"run-{number}", stdout=PIPE, stderr=PIPE, cwd=tmp_path
        )
        for number in range(2)
    ]
    said = sorted([(await run.communicate())[0].decode().strip() for run in runs])
    assert [text.partition(":")[0] for text in said] == ["no", "yes"], said
    assert "of the day's 0.10 USD are spent" in said[0]
    assert Ledger(tmp_path / "ledger.sqlite").today().usd == Decimal("0.06")


def test_what_was_noted_in_a_transaction_that_failed_is_taken_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(BudgetError), ledger.one_transaction():
        ledger.ask("k", "r", "c", "s", "m", Spend(usd=Decimal(1)), {})
        raise BudgetError("no")
    assert ledger.spent().usd == 0


async def test_tokens_of_a_model_without_a_price_are_counted_as_such_also_in_an_older_file(tmp_path: Path) -> None:
    before = sqlite3.connect(tmp_path / "ledger.sqlite")
    columns = (
        "number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, run_id TEXT, case_id TEXT, scope TEXT, model TEXT, asked REAL"
    )
    more = "tries INTEGER, most_usd TEXT, most_tokens INTEGER, lost_usd TEXT DEFAULT '0', lost_tokens INTEGER DEFAULT 0, usd TEXT"
    before.execute(
        f"CREATE TABLE calls ({columns}, {more}, input_tokens INTEGER, output_tokens INTEGER, seconds REAL, said BLOB, reply BLOB)"
    )
    before.close()
    for price, unpriced in ((None, 110), (PRICE, 0)):
        told = Reply(text="one", spend=Spend(input_tokens=100, output_tokens=10))
        bench = Bench(tmp_path, Paid(replies=(told,), price=price))
        asker = bench.asker(case=f"fx-{unpriced}")
        await asker.llm("default").complete(prompt())
        assert asker.spent().unpriced_tokens == unpriced
