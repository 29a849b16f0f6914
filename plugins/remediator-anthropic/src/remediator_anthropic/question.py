"""A prompt as the Messages API writes it. No I/O."""

from __future__ import annotations

from typing import Any

from remediator.contracts import Message, Prompt
from remediator_anthropic.message import THINKING

_KEPT = {"type": "ephemeral"}


def question_of(prompt: Prompt, model: str, *, stream: bool, cache: bool) -> dict[str, Any]:
    """Return the body of a question.

    With `cache`, the end of the system text and the end of the conversation are marked: the next question begins with the same.
    """
    messages = _messages(prompt.messages)
    question: dict[str, Any] = {"model": model, "max_tokens": prompt.max_tokens, "messages": messages, "stream": stream}
    if prompt.system:
        question["system"] = [{"type": "text", "text": prompt.system}]
    if prompt.tools:
        question["tools"] = [{"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in prompt.tools]
    if prompt.temperature is not None:
        question["temperature"] = prompt.temperature
    if cache:
        for blocks in (question.get("system"), messages[-1]["content"] if messages else None):
            if blocks and blocks[-1]["type"] not in THINKING:
                blocks[-1]["cache_control"] = _KEPT
    return question


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return alternating turns: results of tools are the user's, and what stands side by side is one turn."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        if blocks := _blocks(message):
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"].extend(blocks)
            else:
                turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    # The API refuses empty texts.
    written: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text.strip() else []
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.call_id, "content": written}]
    carried = message.carried.get("messages")
    if message.role == "assistant" and isinstance(carried, list) and carried:
        return [dict(block) for block in carried]
    calls = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in message.tool_calls]
    return [*written, *calls]
