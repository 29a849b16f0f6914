"""A message of the Messages API, whole or streamed, read into an answer. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.contracts import ToolCall
from remediator.llm import Answer, TryAgainError, Usage
from remediator.llm.answer import count, finished
from remediator.llm.answer_json import clean, inner, objects, read_arguments, text
from remediator.records.record import canonical_json

THINKING = ("thinking", "redacted_thinking")
_STOPS = {"tool_use": "tools", "max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "refused"}


def is_last(event: Mapping[str, Any]) -> bool:
    """Return whether nothing comes after this event."""
    return event.get("type") == "message_stop"


def document_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the message that a stream tells. Raises TryAgainError where it ended before it was whole."""
    message: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind, index = event.get("type"), event.get("index")
        if kind == "message_start":
            message.update(inner(event, "message"))
            usage.update(inner(message, "usage"))
        elif kind == "content_block_start" and isinstance(index, int):
            blocks[index] = dict(inner(event, "content_block"))
        elif kind == "content_block_delta" and isinstance(index, int):
            _grow(blocks.setdefault(index, {"type": "text"}), inner(event, "delta"))
        elif kind == "message_delta":
            message.update(inner(event, "delta"))
            usage.update({name: value for name, value in inner(event, "usage").items() if value is not None})
    if not events or not is_last(events[-1]) or not message.get("stop_reason"):
        raise TryAgainError("the stream ended without a stop reason")
    return {**message, "usage": usage, "content": [blocks[index] for index in sorted(blocks)]}


def answer_of(document: Mapping[str, Any]) -> Answer:
    """Read a message. Raises TryAgainError where it has no stop reason or is of no use."""
    reason = document.get("stop_reason")
    if not isinstance(reason, str) or not isinstance(document.get("content"), list):
        raise TryAgainError("the answer has no stop reason")
    blocks = objects(document["content"])
    written = "".join(text(block.get("text")) for block in blocks if block.get("type") == "text")
    stop = _STOPS.get(reason, "end")
    calls = [
        call for block in blocks if block.get("type") == "tool_use" and (call := _call(block, cut=stop == "length" and block is blocks[-1]))
    ]
    reply = finished(written, calls, stop, text(document.get("model")))
    if any(block.get("type") in THINKING for block in blocks):
        reply = reply.model_copy(update={"carried": {"messages": _carried(blocks, calls)}})
    return Answer(reply, _usage(inner(document, "usage")), len(canonical_json(blocks)))


def _carried(blocks: Sequence[Mapping[str, Any]], calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Return the blocks that go back as they came, in their order: thinking is signed, and may stand between texts and calls."""
    told = {call.id: call for call in calls}
    kept: list[dict[str, Any]] = []
    for block in blocks:
        kind = block.get("type")
        # Thinking without a signature was cut, or is of a server that does not check it: neither may be sent.
        if (kind == "thinking" and block.get("signature")) or kind == "redacted_thinking":
            kept.append(clean(dict(block)))
        elif kind == "text" and text(block.get("text")).strip():
            kept.append({"type": "text", "text": text(block.get("text"))})
        elif kind == "tool_use" and (call := told.get(text(block.get("id")))):
            kept.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
    return kept


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    kind = delta.get("type")
    if kind == "text_delta":
        block["text"] = text(block.get("text")) + text(delta.get("text"))
    elif kind == "input_json_delta":
        before = block.get("input")
        block["input"] = (before if isinstance(before, str) else "") + text(delta.get("partial_json"))
    elif kind == "thinking_delta":
        block["thinking"] = text(block.get("thinking")) + text(delta.get("thinking"))
    elif kind == "signature_delta":
        block["signature"] = text(block.get("signature")) + text(delta.get("signature"))


def _call(block: Mapping[str, Any], *, cut: bool) -> ToolCall | None:
    """Return a tool call; None where it is what the limit of tokens cut, which is no fault and must not be guessed."""
    try:
        if cut and not block.get("input"):
            return None
        arguments = read_arguments(block.get("input"))
    except TryAgainError:
        if cut:
            return None
        raise
    name, call_id = text(block.get("name")), text(block.get("id"))
    if not name or not call_id:
        raise TryAgainError("a tool call has no name or no id")
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _usage(usage: Mapping[str, Any]) -> Usage | None:
    fresh, output = count(usage, "input_tokens"), count(usage, "output_tokens")
    if fresh is None or output is None:
        return None
    if not fresh and not count(usage, "cache_read_input_tokens") and not count(usage, "cache_creation_input_tokens"):
        return None  # no question is empty: a gateway that does not count says 0
    return Usage(fresh, count(usage, "cache_read_input_tokens") or 0, count(usage, "cache_creation_input_tokens") or 0, output)
