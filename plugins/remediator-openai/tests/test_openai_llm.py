"""Both OpenAI protocols: written, read, odd servers, and the conformance suite against a real local server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from remediator_openai import chat_answer, response_answer
from remediator_openai.chat_question import question_of
from remediator_openai.openai_llm import OpenaiLlm
from remediator_openai.openai_responses_llm import OpenaiResponsesLlm

from remediator.contracts import Message, Prompt, Reply, ToolCall
from remediator.llm import TryAgainError, Usage
from remediator.testing.conformance import LlmConformance
from remediator.testing.llm_server import LlmServer

ASK = Prompt(system="s", messages=(Message(role="user", text="q"),))


class TestChatConformance(LlmConformance):
    @pytest.fixture
    async def component(self) -> AsyncIterator[OpenaiLlm]:
        async with LlmServer(lambda asked: Reply(text="yes"), key="k-123456") as server:
            yield OpenaiLlm(model="m", base_url=server.url, key=SecretStr("k-123456"))


class TestResponsesConformance(LlmConformance):
    @pytest.fixture
    async def component(self) -> AsyncIterator[OpenaiResponsesLlm]:
        async with LlmServer(lambda asked: Reply(text="yes")) as server:
            yield OpenaiResponsesLlm(model="m", base_url=server.url)


@pytest.mark.live
class TestLive(LlmConformance):
    @pytest.fixture(params=[OpenaiLlm, OpenaiResponsesLlm], ids=["chat", "responses"])
    def component(self, request: pytest.FixtureRequest) -> Any:
        model = os.environ.get("REMEDIATOR_LIVE_OPENAI_MODEL")
        if not model:
            pytest.skip("REMEDIATOR_LIVE_OPENAI_MODEL names no model")
        key = os.environ.get("REMEDIATOR_LIVE_OPENAI_KEY")
        url = os.environ.get("REMEDIATOR_LIVE_OPENAI_URL", "")
        return request.param(model=model, base_url=url, key=SecretStr(key) if key else None)


def test_the_limit_is_called_as_the_server_calls_it() -> None:
    assert OpenaiLlm(model="m").body(ASK)["max_completion_tokens"] == 4096
    assert OpenaiLlm(model="m", base_url="http://127.0.0.1:1/v1").body(ASK)["max_tokens"] == 4096
    assert OpenaiLlm(model="m", limit_field="max_tokens").body(ASK)["max_tokens"] == 4096


def test_usage_in_a_stream_is_asked_for() -> None:
    assert question_of(ASK, "m", "max_tokens", stream=True, stream_usage=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in question_of(ASK, "m", "max_tokens", stream=True, stream_usage=False)
    assert "stream_options" not in question_of(ASK, "m", "max_tokens", stream=False, stream_usage=True)


def completion(message: dict[str, Any], reason: str | None = "stop", **fields: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": reason}], **fields}


CALL = {"id": "1", "function": {"name": "t", "arguments": '{"a": 1}'}}
ODD: list[tuple[dict[str, Any], Reply]] = [
    (
        completion({"content": None, "tool_calls": [CALL]}),
        Reply(tool_calls=(ToolCall(id="1", name="t", arguments={"a": 1}),), stop="tools"),
    ),
    (
        completion({"tool_calls": [{"function": {"name": "t", "arguments": {"a": 1}}}, {"function": {"name": "u"}}]}),
        Reply(tool_calls=(ToolCall(id="call_3_0", name="t", arguments={"a": 1}), ToolCall(id="call_3_1", name="u")), stop="tools"),
    ),
    (completion({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}), Reply(text="ab")),
    (completion({"content": None, "refusal": "no"}), Reply(text="no", stop="refused")),
    (completion({"content": ""}, "content_filter"), Reply(stop="refused")),
    (
        completion({"content": "half", "tool_calls": [{"id": "1", "function": {"name": "t", "arguments": '{"a'}}]}, "length"),
        Reply(text="half", stop="length"),
    ),
    (completion({"content": "x"}, "eos"), Reply(text="x")),
]


@pytest.mark.parametrize(("document", "reply"), ODD)
def test_servers_that_are_only_nearly_compatible(document: dict[str, Any], reply: Reply) -> None:
    assert chat_answer.answer_of(document, turn=3).reply == reply


BROKEN = [
    {}, {"choices": []}, {"choices": [3]}, completion({"content": "x"}, None), completion({}, "tool_calls"),
    completion({"tool_calls": [{"id": "1", "function": {"name": "t", "arguments": "{"}}]}, "tool_calls"),
    completion({"tool_calls": [{"id": "1", "function": {"arguments": "{}"}}]}, "tool_calls"),
    completion({"tool_calls": [{"id": "1", "function": {"name": "t", "arguments": "[" * 100_000}}]}, "tool_calls"),
]  # fmt: skip


@pytest.mark.parametrize("document", BROKEN, ids=range(len(BROKEN)))
def test_what_is_not_whole_is_no_reply(document: dict[str, Any]) -> None:
    with pytest.raises(TryAgainError):
        chat_answer.answer_of(document, turn=1)


def delta(*, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": fields, "finish_reason": reason}]}


def piece(arguments: str, **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"arguments": arguments, **({"name": "t"} if "id" in fields else {})}}


STREAMS = [
    # By index, in turns.
    [
        delta(tool_calls=[piece("", index=0, id="a"), piece("", index=1, id="b")]), delta(tool_calls=[piece('{"n":', index=1)]),
        delta(tool_calls=[piece('{"n": 1}', index=0)]), delta(tool_calls=[piece(" 2}", index=1)]), delta(reason="tool_calls"),
    ],
    # Each whole, without an index, in events of their own; a whole object for arguments.
    [delta(tool_calls=[{"id": "a", "function": {"name": "t", "arguments": {"n": 1}}}]), delta(tool_calls=[piece('{"n": 2}', id="b")], reason="stop")],
]  # fmt: skip


@pytest.mark.parametrize("events", STREAMS, ids=["indexed", "whole"])
def test_tool_calls_in_a_stream(events: list[dict[str, Any]]) -> None:
    reply = chat_answer.answer_of(chat_answer.document_of(events), turn=1).reply
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [("a", "t", {"n": 1}), ("b", "t", {"n": 2})]
    assert reply.stop == "tools"


def call_piece(arguments: str, **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"name": "t", "arguments": arguments}}


WHOLE = [
    # Every call whole, each in an event of its own: all numbered 0; without ids; with neither ids nor numbers; with empty ids.
    [delta(tool_calls=[call_piece('{"n": 1}', index=0, id="a")]), delta(tool_calls=[call_piece('{"n": 2}', index=0, id="b")])],
    [delta(tool_calls=[call_piece('{"n": 1}', index=0)]), delta(tool_calls=[call_piece('{"n": 2}', index=1)])],
    [delta(tool_calls=[call_piece('{"n": 1}')]), delta(tool_calls=[call_piece('{"n": 2}')])],
    [delta(tool_calls=[call_piece('{"n": 1}', index=0, id="")]), delta(tool_calls=[call_piece('{"n": 2}', index=0, id="")])],
    [delta(tool_calls=[call_piece('{"n": 1}'), call_piece('{"n": 2}')])],
    # No number and no id in what goes on; the name again in every piece.
    [delta(tool_calls=[call_piece('{"n"', id="a")]), delta(tool_calls=[piece(": 1}")]), delta(tool_calls=[call_piece('{"n": 2}', id="b")])],
    [delta(tool_calls=[call_piece('{"n"', index=0)]), delta(tool_calls=[call_piece(": 1}", index=0)]), delta(tool_calls=[call_piece('{"n": 2}', index=1)])],
]  # fmt: skip


@pytest.mark.parametrize("events", WHOLE, ids=range(len(WHOLE)))
def test_calls_that_are_not_told_apart_by_number_are_by_what_they_are(events: list[dict[str, Any]]) -> None:
    reply = chat_answer.answer_of(chat_answer.document_of([*events, delta(reason="stop")]), turn=1).reply
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("t", {"n": 1}), ("t", {"n": 2})]
    assert len({call.id for call in reply.tool_calls}) == 2 and reply.stop == "tools"


def test_pieces_of_reasoning_are_one_block() -> None:
    part = {"type": "reasoning.text", "index": 0}
    events = [
        delta(reasoning_details=[{**part, "text": "a"}]),
        delta(reasoning_details=[{**part, "text": "b", "signature": None}]),
        delta(reasoning_details=[{**part, "signature": "s"}]),
        delta(reasoning_details=[{"type": "reasoning.encrypted", "index": 1, "data": "d"}]),
        delta(content="x", reason="stop"),
    ]
    carried = chat_answer.answer_of(chat_answer.document_of(events), turn=1).reply.carried
    whole = [{**part, "text": "ab", "signature": "s"}, {"type": "reasoning.encrypted", "index": 1, "data": "d"}]
    assert carried == {"chat": {"reasoning_details": whole}}


def test_text_in_parts_is_read_from_a_stream_too() -> None:
    events = [delta(content=[{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}]), delta(content="b", reason="stop")]
    assert chat_answer.answer_of(chat_answer.document_of(events), turn=1).reply.text == "ab"


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_broke_off_is_none(reason: str) -> None:
    with pytest.raises(TryAgainError, match="broke off"):
        chat_answer.answer_of(completion({"content": "half"}, reason), turn=1)


ADDRESSES = [
    ("http://127.0.0.1:11434", "http://127.0.0.1:11434/v1/chat/completions"),
    ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1/chat/completions"),
    ("https://a.example/api/v1", "https://a.example/api/v1/chat/completions"),
    ("https://a.example/v1beta/openai/", "https://a.example/v1beta/openai/chat/completions"),
    ("https://a.example/v1/chat/completions", "https://a.example/v1/chat/completions"),
]


@pytest.mark.parametrize(("base", "url"), ADDRESSES)
def test_an_address_may_be_a_host_a_version_or_the_whole(base: str, url: str) -> None:
    assert OpenaiLlm(model="m", base_url=base)._question(ASK).url == url
    assert OpenaiResponsesLlm(model="m", base_url="https://a.example").path() == "v1/responses"


def test_a_stream_without_stop_reason_is_no_answer() -> None:
    with pytest.raises(TryAgainError, match="stop reason"):
        chat_answer.document_of([delta(content="half a")])


def test_without_usage_the_most_that_is_possible_is_counted() -> None:
    document = chat_answer.document_of([delta(content="four"), delta(reasoning_content="thought"), delta(reason="stop")])
    usage = chat_answer.answer_of(document, turn=1).counted(ASK)
    assert usage.fresh == ASK.size() and len("fourthought") <= usage.output <= ASK.max_tokens
    cut = chat_answer.answer_of(completion({"content": "x"}, "length"), turn=1)
    assert cut.counted(ASK).output == ASK.max_tokens


USAGES = [
    ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(6, 4, 0, 2)),
    ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": None}, Usage(10, 0, 0, 2)),
    ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 40}}, Usage(0, 10, 0, 2)),
    # Nothing was counted; thinking that only the total has; a cache under another name.
    ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None), ({"prompt_tokens": 10, "completion_tokens": 0}, None),
    ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 52}, Usage(10, 0, 0, 42)),
    ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}, Usage(2, 8, 0, 2)),
    ({"prompt_tokens": -1, "completion_tokens": 2}, None), ({"prompt_tokens": True, "completion_tokens": 2}, None), (None, None),
]  # fmt: skip


@pytest.mark.parametrize(("usage", "told"), USAGES)
def test_usage(usage: dict[str, Any] | None, told: Usage | None) -> None:
    assert chat_answer.answer_of(completion({"content": "x"}, usage=usage), turn=1).usage == told


def test_items_that_are_told_once_are_collected() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "yes"}]}
    events = [
        {"type": "response.output_item.done", "item": item},
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
    ]
    assert response_answer.answer_of(response_answer.document_of(events), turn=1).reply.text == "yes"
    for cut in (events[:1], []):
        with pytest.raises(TryAgainError, match="stop reason"):
            response_answer.document_of(cut)


@pytest.mark.parametrize("status", ["in_progress", "cancelled", "queued", None])
def test_a_response_that_did_not_end_is_no_reply(status: str | None) -> None:
    with pytest.raises(TryAgainError):
        response_answer.answer_of({"status": status, "output": []}, turn=1)
