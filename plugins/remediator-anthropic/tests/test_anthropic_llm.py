"""The Messages protocol: written, read, and the conformance suite against a real local server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr
from remediator_anthropic.anthropic_llm import AnthropicLlm
from remediator_anthropic.message import answer_of, document_of
from remediator_anthropic.question import question_of

from remediator.contracts import Message, Price, Prompt, Reply, ToolCall, ToolSpec
from remediator.llm import TryAgainError, Usage
from remediator.llm.answer_json import read_object
from remediator.testing.conformance import LlmConformance
from remediator.testing.llm_server import LlmServer


class TestConformance(LlmConformance):
    @pytest.fixture
    async def component(self) -> AsyncIterator[AnthropicLlm]:
        async with LlmServer(lambda asked: Reply(text="yes"), key="k-123456") as server:
            yield AnthropicLlm(model="m", base_url=server.url, key=SecretStr("k-123456"))


@pytest.mark.live
class TestLive(LlmConformance):
    @pytest.fixture
    def component(self) -> AnthropicLlm:
        model = os.environ.get("REMEDIATOR_LIVE_ANTHROPIC_MODEL")
        if not model:
            pytest.skip("REMEDIATOR_LIVE_ANTHROPIC_MODEL names no model")
        return AnthropicLlm(model=model, key=SecretStr(os.environ["REMEDIATOR_LIVE_ANTHROPIC_KEY"]))


def ask(**changes: Any) -> Prompt:
    return Prompt(**{"system": "s", "messages": (Message(role="user", text="q"),), **changes})


def test_system_tools_and_the_end_of_the_conversation_are_marked_for_the_cache() -> None:
    tool = ToolSpec(name="t", description="d", parameters={"type": "object"})
    question = question_of(ask(tools=(tool,)), "m", stream=True, cache=True)
    assert question == {
        "model": "m", "max_tokens": 4096, "stream": True,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "t", "description": "d", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}]}],
    }  # fmt: skip
    assert "cache_control" not in str(question_of(ask(), "m", stream=True, cache=False))


def test_results_of_tools_and_what_the_user_says_then_are_one_turn() -> None:
    call = ToolCall(id="1", name="t", arguments={"a": 1})
    talk = (
        Message(role="user", text="q"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", call_id="1", text="r"),
        Message(role="user", text="go on"),
        Message(role="assistant", text=" "),
    )
    turns = question_of(ask(messages=talk), "m", stream=False, cache=False)["messages"]
    assert [(turn["role"], [block["type"] for block in turn["content"]]) for turn in turns] == [
        ("user", ["text"]), ("assistant", ["tool_use"]), ("user", ["tool_result", "text"]),
    ]  # fmt: skip


STOPS = [
    ("end_turn", "end"), ("stop_sequence", "end"), ("max_tokens", "length"), ("model_context_window_exceeded", "length"),
    ("refusal", "refused"), ("something-new", "end"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "stop"), STOPS)
def test_stop_reasons(reason: str, stop: str) -> None:
    assert answer_of({"stop_reason": reason, "content": []}).reply.stop == stop


def message(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"stop_reason": "tool_use", "content": list(blocks), **fields}


def test_a_tool_call_that_the_limit_cut_is_left_out() -> None:
    whole = {"type": "tool_use", "id": "1", "name": "t", "input": {}}
    cut = {"type": "tool_use", "id": "2", "name": "t", "input": '{"path": "a'}
    reply = answer_of(message(whole, cut, stop_reason="max_tokens")).reply
    assert ([call.id for call in reply.tool_calls], reply.stop) == (["1"], "length")


BROKEN = [
    {}, {"stop_reason": None, "content": []}, {"stop_reason": "end_turn"}, {"stop_reason": "end_turn", "content": "x"}, message(),
    message({"type": "tool_use", "id": "1", "name": "t", "input": '{"a'}), message({"type": "tool_use", "id": "", "name": "t", "input": {}}),
    message({"type": "tool_use", "id": "1", "name": "t", "input": [1]}),
]  # fmt: skip


@pytest.mark.parametrize("given", ['{"a": 1, "b": 1e999}', read_object('{"a": 1, "b": 1e999}')], ids=["streamed", "whole"])
def test_arguments_that_json_cannot_hold_are_for_the_tool_to_answer(given: Any) -> None:
    reply = answer_of(message({"type": "tool_use", "id": "1", "name": "t", "input": given}, stop_reason="tool_use")).reply
    assert reply.tool_calls[0].arguments == {"a": 1, "b": "inf"}


@pytest.mark.parametrize("document", BROKEN, ids=str)
def test_what_is_not_whole_is_no_reply(document: dict[str, Any]) -> None:
    with pytest.raises(TryAgainError):
        answer_of(document)


def test_usage_is_told_apart_and_the_last_one_of_a_stream_counts() -> None:
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 7}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "y\ud800"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9, "cache_creation_input_tokens": 3}},
        {"type": "message_stop"},
    ]
    answer = answer_of(document_of(events))
    assert (answer.reply.text, answer.usage) == ("y?", Usage(5, 7, 3, 9))
    for cut in (events[:-1], events[:-2], [*events[:5], events[6]], []):
        with pytest.raises(TryAgainError, match="stop reason"):
            document_of(cut)


def test_writing_to_the_cache_is_never_counted_too_cheap() -> None:
    llm = AnthropicLlm(model="m", price=Price(input=Decimal(4), output=Decimal(1)))
    assert llm.price is not None and llm.price.dearest_input == Decimal(5)


def test_a_call_that_was_cut_does_not_go_back_with_its_thinking() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    unsigned = {"type": "thinking", "thinking": "cut"}
    cut = {"type": "tool_use", "id": "2", "name": "t", "input": '{"path": "a'}
    reply = answer_of(message(thinking, unsigned, {"type": "text", "text": " "}, cut, stop_reason="max_tokens")).reply
    assert reply.carried == {"messages": [thinking]}


def test_a_gateway_that_counts_nothing_is_not_believed() -> None:
    usage = {"input_tokens": 0, "output_tokens": 0}
    assert answer_of(message(stop_reason="end_turn", usage=usage)).usage is None
    cached = {**usage, "cache_read_input_tokens": 9}
    assert answer_of(message(stop_reason="end_turn", usage=cached)).usage == Usage(0, 9, 0, 0)


@pytest.mark.parametrize(
    ("base", "path"),
    [("https://a.example", "v1/messages"), ("https://a.example/v1/", "messages"), ("https://a.example/v1/messages", "")],
)
def test_both_forms_of_the_address_work(base: str, path: str) -> None:
    assert AnthropicLlm(model="m", base_url=base).path() == path
