"""The server's side of the OpenAI chat completions protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from remediator.contracts import Message, Prompt, Reply, ToolCall, ToolSpec
from remediator.records.record import canonical_json
from remediator.testing.llm_wire import Tokens, event, need, only, pieces

_STOPS = {"end": "stop", "tools": "tool_calls", "length": "length", "refused": "content_filter"}

_CARRIED = ("reasoning_content", "reasoning_details")


class ChatWire:
    """OpenAI chat completions."""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the bearer token."""
        return bearer(headers)

    def prompt(self, body: Mapping[str, Any]) -> Prompt:
        """Read a question."""
        limits = ("max_tokens", "max_completion_tokens")
        only(body, "model", "messages", "stream", "stream_options", "tools", "temperature", *limits)
        need("stream_options" not in body or body["stream"], "stream_options is only allowed with stream")
        system = [message["content"] for message in body["messages"] if message["role"] == "system"]
        messages = [_message(message) for message in body["messages"] if message["role"] != "system"]
        return Prompt(
            system="".join(system),
            messages=tuple(messages),
            tools=tuple(_tool(tool["function"]) for tool in body.get("tools", [])),
            max_tokens=next(body[name] for name in limits if name in body),
            temperature=body.get("temperature"),
        )

    def document(self, reply: Reply, model: str, tokens: Tokens) -> dict[str, Any]:
        """Write a completion."""
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": canonical_json(call.arguments).decode()}}
            for call in reply.tool_calls
        ]
        carried = dict(reply.carried.get("chat", {}))
        for call_id, extra in carried.pop("calls", {}).items():
            next(call for call in calls if call["id"] == call_id)["extra_content"] = extra
        message = {"role": "assistant", "content": reply.text or None, **carried, **({"tool_calls": calls} if calls else {})}
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": _STOPS[reply.stop]}],
            "usage": {
                "prompt_tokens": tokens.sent, "completion_tokens": tokens.output, "total_tokens": tokens.sent + tokens.output,
                "prompt_tokens_details": {"cached_tokens": tokens.read},
            },
        }  # fmt: skip

    def events(self, document: Mapping[str, Any]) -> list[bytes]:
        """Write a stream, with usage at its end."""
        head = {"id": document["id"], "object": "chat.completion.chunk", "model": document["model"]}
        choice = document["choices"][0]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": piece} for piece in pieces(choice["message"].get("reasoning_content", ""))]
        deltas += [{"reasoning_details": [part]} for part in choice["message"].get("reasoning_details", [])]
        deltas += [{"content": piece} for piece in pieces(choice["message"]["content"] or "")]
        for index, call in enumerate(choice["message"].get("tool_calls", [])):
            function = call["function"]
            deltas.append({"tool_calls": [{**call, "index": index, "function": {"name": function["name"], "arguments": ""}}]})
            deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces(function["arguments"])]
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None} for delta in deltas]
        if choice["finish_reason"]:
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}], "usage": None})
        chunks.append({"choices": [], "usage": document["usage"]})
        return [*(event({**head, **chunk}) for chunk in chunks), b"data: [DONE]\n\n"]

    def unfinished(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the completion without its finish reason."""
        return {**document, "choices": [{**document["choices"][0], "finish_reason": None}]}

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error."""
        return openai_error(status, message)


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of an Authorization header."""
    return headers.get("Authorization", "").removeprefix("Bearer ")


def openai_error(status: int, message: str) -> dict[str, Any]:
    """Write an error as both OpenAI protocols do."""
    kinds = {401: "invalid_api_key", 402: "insufficient_quota", 429: "rate_limit_exceeded"}
    code = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": code, "code": code, "param": None}}


def _tool(function: Mapping[str, Any]) -> ToolSpec:
    only(function, "name", "description", "parameters")
    return ToolSpec(name=function["name"], description=function["description"], parameters=function["parameters"])


def _message(message: Mapping[str, Any]) -> Message:
    only(message, "role", "content", "tool_calls", "tool_call_id", *_CARRIED)
    carried = {name: message[name] for name in _CARRIED if name in message}
    if signed := {call["id"]: call["extra_content"] for call in message.get("tool_calls", []) if "extra_content" in call}:
        carried["calls"] = signed
    calls = tuple(
        ToolCall(id=call["id"], name=call["function"]["name"], arguments=json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", [])
    )
    need(message["content"] is not None or calls, "content must be a string")
    return Message(
        role=message["role"],
        text=message["content"] or "",
        tool_calls=calls,
        call_id=message.get("tool_call_id", ""),
        carried={"chat": carried} if carried else {},
    )
