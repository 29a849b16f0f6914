"""A prompt as the responses API writes it. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from remediator.contracts import Message, Prompt
from remediator.records.record import canonical_json


def question_of(prompt: Prompt, model: str, *, stream: bool) -> dict[str, Any]:
    """Return the body of a question. The whole conversation goes along: nothing is to be kept by the server."""
    question: dict[str, Any] = {
        "model": model,
        "max_output_tokens": prompt.max_tokens,
        "input": [item for message in prompt.messages for item in _items(message)],
        "stream": stream,
        "store": False,
        # What is not stored there has to come along: without its thoughts a reasoning model loses the thread between two tool calls.
        "include": ["reasoning.encrypted_content"],
    }
    if prompt.system:
        question["instructions"] = prompt.system
    if prompt.tools:
        question["tools"] = [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": False}
            for tool in prompt.tools
        ]
    if prompt.temperature is not None:
        question["temperature"] = prompt.temperature
    return question


def _items(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.call_id, "output": message.text}
        return
    if message.role == "assistant":
        yield from message.carried.get("responses") or ()
    if message.text or not message.tool_calls:
        yield {"role": message.role, "content": message.text}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": canonical_json(call.arguments).decode()}
