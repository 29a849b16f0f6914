"""A prompt as chat completions write it. No I/O."""

from __future__ import annotations

from typing import Any

from remediator.contracts import Message, Prompt
from remediator.records.record import canonical_json


def question_of(prompt: Prompt, model: str, limit_field: str, *, stream: bool, stream_usage: bool) -> dict[str, Any]:
    """Return the body of a question."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    question: dict[str, Any] = {
        "model": model,
        limit_field: prompt.max_tokens,
        "messages": [*system, *(_message(message) for message in prompt.messages)],
        "stream": stream,
    }
    if stream and stream_usage:
        question["stream_options"] = {"include_usage": True}
    if prompt.tools:
        question["tools"] = [
            {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}}
            for tool in prompt.tools
        ]
    if prompt.temperature is not None:
        question["temperature"] = prompt.temperature
    return question


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    carried: dict[str, Any] = dict(message.carried.get("chat") or {}) if message.role == "assistant" else {}
    signed = carried.pop("calls", {})
    if not message.tool_calls:
        return {"role": message.role, "content": message.text, **carried}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": canonical_json(call.arguments).decode()},
            **({"extra_content": signed[call.id]} if call.id in signed else {}),
        }
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls, **carried}
