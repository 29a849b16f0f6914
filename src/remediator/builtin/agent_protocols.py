"""What coding agents say to a model, read leniently into our words, and our answers in theirs. No I/O.

Two protocols that such programs speak: Anthropic Messages and OpenAI chat completions. Fields that we have no word for (images, thinking,
cache marks) are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from remediator.contracts import Message, Prompt, Reply, ToolCall, ToolSpec
from remediator.llm.answer_json import clean
from remediator.records.record import canonical_json

_MOST_TOKENS = 32_000
_ANTHROPIC_STOPS = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens", "refused": "refusal"}
_CHAT_STOPS = {"end": "stop", "tools": "tool_calls", "length": "length", "refused": "content_filter"}


class Question(NamedTuple):
    """A question, and whether its answer is to be streamed."""

    prompt: Prompt
    stream: bool
    model: str


def protocol_of(path: str) -> str:
    """Return the protocol that a path belongs to, or an empty text."""
    plain = path.partition("?")[0].rstrip("/")
    if plain.endswith("/messages"):
        return "messages"
    return "chat" if plain.endswith("/chat/completions") else ""


def read_question(protocol: str, body: bytes) -> Question:
    """Return what is asked. Raises ValueError, LookupError, TypeError and the like where it is no question."""
    given = clean(json.loads(body))
    tools = [_tool(tool) for tool in given.get("tools") or ()]
    if protocol == "messages":
        system = _text(given.get("system") or "")
        messages = [message for turn in given["messages"] for message in _turn(turn)]
        most = given["max_tokens"]
    else:
        system = "\n".join(_text(turn.get("content") or "") for turn in given["messages"] if turn["role"] in ("system", "developer"))
        messages = [_chat(turn) for turn in given["messages"] if turn["role"] not in ("system", "developer")]
        most = given.get("max_completion_tokens") or given.get("max_tokens") or 8192
    prompt = Prompt(
        system=system,
        messages=tuple(messages),
        tools=tuple(tool for tool in tools if tool),
        max_tokens=max(1, min(int(most), _MOST_TOKENS)),
    )
    canonical_json(prompt.model_dump())  # what cannot be written as JSON again (NaN, say) is no question either
    return Question(prompt, bool(given.get("stream")), str(given.get("model", ""))[:200])


def write_answer(protocol: str, question: Question, reply: Reply) -> tuple[str, bytes]:
    """Return content type and body of an answer."""
    document = _message(question, reply) if protocol == "messages" else _completion(question, reply)
    if not question.stream:
        return "application/json", canonical_json(document)
    events = _message_events(document) if protocol == "messages" else _chat_events(document)
    return "text/event-stream", b"".join(events)


def write_error(protocol: str, message: str) -> bytes:
    """Return the body of an error."""
    kind = {"type": "invalid_request_error", "message": message}
    return canonical_json({"type": "error", "error": kind} if protocol == "messages" else {"error": {**kind, "code": None}})


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(
        str(block.get("text", "")) for block in content if isinstance(block, Mapping) and block.get("type") in ("text", "input_text")
    )


def _tool(tool: Mapping[str, Any]) -> ToolSpec | None:
    told = tool.get("function", tool)
    schema = told.get("input_schema") or told.get("parameters")
    # Tools that the provider runs by itself (a web search, say) are no way out.
    return ToolSpec(name=told["name"], description=told.get("description", ""), parameters=schema) if isinstance(schema, Mapping) else None


def _turn(turn: Mapping[str, Any]) -> Iterator[Message]:
    content = turn["content"]
    blocks: Sequence[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if turn["role"] == "assistant":
        calls = tuple(ToolCall(id=b["id"], name=b["name"], arguments=b.get("input") or {}) for b in blocks if b["type"] == "tool_use")
        yield Message(role="assistant", text=_text(blocks), tool_calls=calls)
        return
    for block in blocks:
        if block["type"] == "tool_result":
            yield Message(role="tool", call_id=block["tool_use_id"], text=_text(block.get("content") or ""))
    if text := _text(blocks):
        yield Message(role="user", text=text)


def _chat(turn: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(id=call["id"], name=call["function"]["name"], arguments=clean(json.loads(call["function"].get("arguments") or "{}")))
        for call in turn.get("tool_calls") or ()
    )
    role = turn["role"] if turn["role"] in ("user", "assistant", "tool") else "user"
    return Message(role=role, text=_text(turn.get("content") or ""), tool_calls=calls, call_id=turn.get("tool_call_id", ""))


def _message(question: Question, reply: Reply) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in reply.tool_calls]
    usage = {"input_tokens": reply.spend.input_tokens, "output_tokens": reply.spend.output_tokens}
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": question.model, "content": content,
        "stop_reason": _ANTHROPIC_STOPS[reply.stop], "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def _message_events(document: Mapping[str, Any]) -> Iterator[bytes]:
    yield _event("message_start", {"message": {**document, "content": [], "stop_reason": None}})
    for index, block in enumerate(document["content"]):
        text = block["type"] == "text"
        empty = {**block, "text": ""} if text else {**block, "input": {}}
        delta = (
            {"type": "text_delta", "text": block["text"]}
            if text
            else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        )
        yield _event("content_block_start", {"index": index, "content_block": empty})
        yield _event("content_block_delta", {"index": index, "delta": delta})
        yield _event("content_block_stop", {"index": index})
    yield _event("message_delta", {"delta": {"stop_reason": document["stop_reason"], "stop_sequence": None}, "usage": document["usage"]})
    yield _event("message_stop", {})


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + canonical_json({"type": kind, **data}) + b"\n\n"


def _completion(question: Question, reply: Reply) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
        for call in reply.tool_calls
    ]
    message = {"role": "assistant", "content": reply.text or None, **({"tool_calls": calls} if calls else {})}
    sent, got = reply.spend.input_tokens, reply.spend.output_tokens
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": question.model,
        "choices": [{"index": 0, "message": message, "finish_reason": _CHAT_STOPS[reply.stop]}],
        "usage": {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got},
    }  # fmt: skip


def _chat_events(document: Mapping[str, Any]) -> Iterator[bytes]:
    head = {**document, "object": "chat.completion.chunk"}
    choice = document["choices"][0]
    calls = [{**call, "index": index} for index, call in enumerate(choice["message"].get("tool_calls", ()))]
    delta = {"role": "assistant", "content": choice["message"]["content"] or "", **({"tool_calls": calls} if calls else {})}
    for change, stop in ((delta, None), ({}, choice["finish_reason"])):
        chunk = {**head, "choices": [{"index": 0, "delta": change, "finish_reason": stop}], "usage": None}
        yield b"data: " + canonical_json(chunk) + b"\n\n"
    yield b"data: " + canonical_json({**head, "choices": []}) + b"\n\ndata: [DONE]\n\n"
