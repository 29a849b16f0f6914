"""The test kit for models: the server's bookkeeping, and transcripts."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path

import pytest
from remediator_openai.openai_llm import OpenaiLlm

from remediator.contracts import Llm, Message, Price, Prompt, Reply, ToolCall
from remediator.errors import LlmError, UsageError
from remediator.testing import ScriptedLlm
from remediator.testing.conformance import LlmConformance
from remediator.testing.llm_server import Asked, LlmServer
from remediator.testing.transcripts import RecordingLlm, ReplayLlm, first_difference


def ask(text: str = "q", key: str = "") -> Prompt:
    return Prompt(system="s", messages=(Message(role="user", text=text),), key=key)


def to(server: LlmServer) -> OpenaiLlm:
    return OpenaiLlm(model="m", base_url=server.url, backoff_seconds=0.01)


async def test_the_same_key_is_answered_from_store_and_charged_once() -> None:
    def counted(asked: Asked) -> Reply:
        return Reply(text=f"answer {asked.number}")

    async with LlmServer(counted, price=Price(input=Decimal(1), output=Decimal(1))) as server:
        texts = [(await to(server).complete(ask(key=key))).text for key in ("a", "a", "b", "")]
    assert texts == ["answer 1", "answer 1", "answer 3", "answer 4"]
    assert (server.charges, len(server.asked)) == (3, 4) and server.charged.usd > 0


async def test_one_key_for_two_questions_is_the_tests_mistake() -> None:
    with pytest.raises(UsageError, match="another question"):
        async with LlmServer(lambda asked: Reply(text="x")) as server:
            await to(server).complete(ask("one", "k"))
            with contextlib.suppress(LlmError):
                await to(server).complete(ask("two", "k"))


async def test_a_script_that_is_at_its_end_fails_the_test() -> None:
    with pytest.raises(UsageError, match="one more than the script"):
        async with LlmServer([]) as server:
            with contextlib.suppress(LlmError):
                await to(server).complete(ask())


def test_it_runs_in_a_thread_of_its_own() -> None:
    import asyncio

    with LlmServer([Reply(text="yes")]) as server:
        assert asyncio.run(to(server).complete(ask())).text == "yes"


async def test_a_question_that_no_server_would_take_is_refused() -> None:
    async with LlmServer([]) as server:
        with pytest.raises(LlmError, match="unknown field"):
            await OpenaiLlm(model="m", base_url=server.url, extra={"foo": 1}).complete(ask())
    assert server.refused


class TestRecordingConformance(LlmConformance):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Llm:
        return RecordingLlm(inner=ScriptedLlm(replies=(Reply(text="yes"),)), path=tmp_path / "t.jsonl")

    def test_its_options_are_closed_and_have_a_schema(self, component: Llm) -> None:
        with pytest.raises(ValueError, match="no-such-option"):
            RecordingLlm(**{"no-such-option": 1})


async def record(tmp_path: Path) -> Path:
    path = tmp_path / "t.jsonl"
    replies = (Reply(text="one", tool_calls=(ToolCall(id="1", name="t", arguments={"a": ["ü"]}),), stop="tools"), Reply(text="two"))
    llm = RecordingLlm(inner=ScriptedLlm(replies=replies), path=path)
    async with llm:
        assert (await llm.complete(ask("first", key="x")), await llm.complete(ask("second"))) == replies
    return path


async def test_a_transcript_answers_like_the_model_did(tmp_path: Path) -> None:
    path = await record(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    llm = ReplayLlm(path=path)
    assert [(await llm.complete(ask(text))).text for text in ("second", "first")] == ["two", "one"]
    assert llm.left == 0
    with pytest.raises(LlmError, match="no answer left"):
        await llm.complete(ask("first"))


async def test_another_question_names_the_first_difference(tmp_path: Path) -> None:
    llm = ReplayLlm(path=await record(tmp_path))
    with pytest.raises(LlmError, match=r"messages\[0\]\.text at character 2: 'first' in the record, 'fist' now"):
        await llm.complete(ask("fist"))


def test_a_broken_transcript_is_told(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{}\n")
    with pytest.raises(LlmError, match="no transcript"):
        _ = ReplayLlm(path=tmp_path / "t").left


DIFFERENCES = [
    ({"a": 1}, {"a": 2}, "a: 1 in the record, 2 now"), ({"a": [1]}, {"a": [1, 2]}, "a has 1 items in the record and 2 now"),
    ({"a": {"b": None}}, {"a": {"b": "x"}}, "a.b: None in the record, 'x' now"), ({"a": 1}, {"b": 1}, "a: 1 in the record, None now"),
]  # fmt: skip


@pytest.mark.parametrize(("recorded", "asked", "told"), DIFFERENCES)
def test_first_difference(recorded: object, asked: object, told: str) -> None:
    assert first_difference(recorded, asked) == told
