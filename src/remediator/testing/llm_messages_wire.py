"""The server's side of the Anthropic Messages protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.contracts import Message, Prompt, Reply, ToolCall, ToolSpec
from remediator.records.record import canonical_json
from remediator.testing.llm_wire import Tokens, event, need, only, pieces

_STOPS = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens", "refused": "refusal"}
_ERRORS = {401: "authentication_error", 402: "billing_error", 403: "permission_error", 429: "rate_limit_error", 529: "overloaded_error"}


class MessagesWire:
    """Anthropic Messages."""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return `x-api-key`."""
        return headers.get("x-api-key", "")

    def prompt(self, body: Mapping[str, Any]) -> Prompt:
        """Read a question; roles must alternate, texts must not be empty, each tool call must be answered at once."""
        only(body, "model", "max_tokens", "messages", "stream", "system", "tools", "temperature")
        messages: list[Message] = []
        asked: set[str] = set()
        for number, turn in enumerate(body["messages"]):
            need(turn["role"] == ("assistant" if number % 2 else "user"), "messages: roles must alternate and begin with the user")
            need(turn["content"], "messages: content must not be empty")
            found = _assistant(turn["content"]) if number % 2 else _user(turn["content"])
            answered = {message.call_id for message in found if message.role == "tool"}
            need(answered == asked, "tool_use ids and tool_result ids differ")
            asked = {call.id for message in found for call in message.tool_calls}
            messages += found
        return Prompt(
            system="".join(_text(block) for block in body.get("system", [])),
            messages=tuple(messages),
            tools=tuple(
                ToolSpec(name=tool["name"], description=tool["description"], parameters=tool["input_schema"])
                for tool in body.get("tools", [])
            ),
            max_tokens=body["max_tokens"],
            temperature=body.get("temperature"),
        )

    def document(self, reply: Reply, model: str, tokens: Tokens) -> dict[str, Any]:
        """Write a message."""
        content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
        content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in reply.tool_calls]
        content = reply.carried.get("messages") or content
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": _STOPS[reply.stop], "stop_sequence": None,
            "usage": {
                "input_tokens": tokens.sent - tokens.read - tokens.written, "cache_read_input_tokens": tokens.read,
                "cache_creation_input_tokens": tokens.written, "output_tokens": tokens.output,
            },
        }  # fmt: skip

    def events(self, document: Mapping[str, Any]) -> list[bytes]:
        """Write a stream."""
        usage = document["usage"]
        start = {**document, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        found = [event({"type": "message_start", "message": start}, named=True), event({"type": "ping"}, named=True)]
        for index, block in enumerate(document["content"]):
            if block["type"] in ("thinking", "redacted_thinking"):
                found += _thought(index, block)
                continue
            is_text = block["type"] == "text"
            empty = {**block, "text": ""} if is_text else {**block, "input": {}}
            found.append(event({"type": "content_block_start", "index": index, "content_block": empty}, named=True))
            name, kind = ("text", "text_delta") if is_text else ("partial_json", "input_json_delta")
            whole = block["text"] if is_text else canonical_json(block["input"]).decode()
            deltas = [{"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}} for piece in pieces(whole)]
            found += [event(delta, named=True) for delta in deltas]
            found.append(event({"type": "content_block_stop", "index": index}, named=True))
        if document["stop_reason"]:
            delta = {"stop_reason": document["stop_reason"], "stop_sequence": None}
            found.append(event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}, named=True))
        return [*found, event({"type": "message_stop"}, named=True)]

    def unfinished(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the message without its stop reason."""
        return {**document, "stop_reason": None}

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error."""
        kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}}


def _thought(index: int, block: Mapping[str, Any]) -> list[bytes]:
    """Write thinking as it is streamed: its signature comes last; what was redacted comes whole."""
    empty = {**block, "thinking": "", "signature": ""} if block["type"] == "thinking" else dict(block)
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block.get("thinking", ""))]
    deltas += [{"type": "signature_delta", "signature": block["signature"]}] if block["type"] == "thinking" else []
    events: list[dict[str, Any]] = [{"type": "content_block_start", "index": index, "content_block": empty}]
    events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [event(one, named=True) for one in (*events, {"type": "content_block_stop", "index": index})]


def _text(block: Mapping[str, Any]) -> str:
    need(block["type"] == "text" and block["text"].strip(), "text content blocks must be non-empty")
    return str(block["text"])


def _user(blocks: list[dict[str, Any]]) -> list[Message]:
    results = [block for block in blocks if block["type"] == "tool_result"]
    need(blocks[: len(results)] == results, "tool_result blocks must come first")
    found = [
        Message(role="tool", call_id=block["tool_use_id"], text="".join(_text(part) for part in block.get("content", [])))
        for block in results
    ]
    return found + [Message(role="user", text=_text(block)) for block in blocks[len(results) :]]


def _assistant(blocks: list[dict[str, Any]]) -> list[Message]:
    calls = tuple(ToolCall(id=block["id"], name=block["name"], arguments=block["input"]) for block in blocks if block["type"] == "tool_use")
    thoughts = [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
    need(all(block.get("signature") or block.get("data") for block in thoughts), "thinking: the signature is missing")
    written = "".join(_text(block) for block in blocks if block["type"] != "tool_use" and block not in thoughts)
    return [Message(role="assistant", text=written, tool_calls=calls, carried={"messages": blocks} if thoughts else {})]
