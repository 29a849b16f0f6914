"""A chat completion, whole or streamed, read into an answer; patient with servers that are only nearly compatible. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.contracts import ToolCall
from remediator.llm import Answer, TryAgainError, Usage
from remediator.llm.answer import count, finished
from remediator.llm.answer_json import inner, objects, read_arguments, text
from remediator.records.record import canonical_json

_STOPS = {"tool_calls": "tools", "function_call": "tools", "length": "length", "content_filter": "refused"}
_SAID = ("content", "refusal", "reasoning_content", "reasoning")


def document_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the completion that a stream tells. Raises TryAgainError where it ended before it was whole."""
    message: dict[str, Any] = {}
    calls: dict[int, dict[str, Any]] = {}
    reason, model, usage = None, "", None
    for event in events:
        model = text(event.get("model")) or model
        usage = event.get("usage") or usage
        for choice in objects(event.get("choices"))[:1]:
            delta = inner(choice, "delta") or inner(choice, "message")
            reason = choice.get("finish_reason") or reason
            for name in _SAID:
                if said := text(delta.get(name)):
                    message[name] = message.get(name, "") + said
            for place, part in enumerate(objects(delta.get("tool_calls"))):
                _grow(calls, part, place)
    if not reason:
        raise TryAgainError("the stream ended without a stop reason")
    message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {"model": model, "usage": usage, "choices": [{"finish_reason": reason, "message": message}]}


def answer_of(document: Mapping[str, Any], *, turn: int) -> Answer:
    """Read a completion. `turn` makes ids for tool calls that have none. Raises TryAgainError where it is not whole."""
    choice = next(iter(objects(document.get("choices"))), {})
    reason, message = choice.get("finish_reason"), inner(choice, "message")
    if not isinstance(reason, str) or not reason:
        raise TryAgainError("the answer has no stop reason")
    stop = _STOPS.get(reason, "end")
    told = objects(message.get("tool_calls"))
    calls = []
    for place, part in enumerate(told):
        cut = stop == "length" and place == len(told) - 1
        if call := call_of(inner(part, "function"), text(part.get("id")) or f"call_{turn}_{place}", cut=cut):
            calls.append(call)
    if refusal := text(message.get("refusal")):
        stop = "refused"
    reply = finished(_written(message.get("content")) or refusal, calls, stop, text(document.get("model")))
    return Answer(reply, _usage(inner(document, "usage")), len(canonical_json(message)))


def call_of(function: Mapping[str, Any], call_id: str, *, cut: bool) -> ToolCall | None:
    """Return a tool call; None where it is what the limit of tokens cut, which is no fault and must not be guessed."""
    try:
        if cut and not function.get("arguments"):
            return None
        arguments = read_arguments(function.get("arguments"))
    except TryAgainError:
        if cut:
            return None
        raise
    name = text(function.get("name"))
    if not name:
        raise TryAgainError("a tool call has no name")
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _grow(calls: dict[int, dict[str, Any]], part: Mapping[str, Any], place: int) -> None:
    """Add a piece of a tool call. Servers that send each call whole may leave the index out."""
    told, known_id = part.get("index"), text(part.get("id"))
    index = told if isinstance(told, int) else _place(calls, known_id, place)
    call = calls.setdefault(index, {"id": "", "function": {"name": "", "arguments": None}})
    function, piece = call["function"], inner(part, "function")
    call["id"] = call["id"] or known_id
    function["name"] = function["name"] or text(piece.get("name"))
    arguments = piece.get("arguments")
    if isinstance(arguments, str) and isinstance(function["arguments"], str):
        function["arguments"] += arguments
    elif arguments not in (None, ""):
        function["arguments"] = arguments


def _place(calls: Mapping[int, Mapping[str, Any]], known_id: str, place: int) -> int:
    if known_id:
        return next((index for index, call in calls.items() if call["id"] == known_id), len(calls))
    return place


def _written(content: Any) -> str:
    """Return the text, which some servers send as a list of parts."""
    return text(content) if isinstance(content, str) else "".join(text(part.get("text")) for part in objects(content))


def _usage(usage: Mapping[str, Any]) -> Usage | None:
    sent, output = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    if sent is None or output is None:
        return None
    read = min(count(inner(usage, "prompt_tokens_details"), "cached_tokens") or 0, sent)
    return Usage(fresh=sent - read, read=read, output=output)
