"""A chat completion, whole or streamed, read into an answer; patient with servers that are only nearly compatible. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.contracts import ToolCall
from remediator.llm import Answer, TryAgainError, Usage
from remediator.llm.answer import count, finished
from remediator.llm.answer_json import clean, inner, objects, read_arguments, read_object, text
from remediator.records.record import canonical_json

_STOPS = {
    "tool_calls": "tools",
    "function_call": "tools",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    **dict.fromkeys(("content_filter", "safety", "recitation", "sensitive"), "refused"),
}
_BROKE = ("error", "abort", "insufficient_system_resource", "network_error")
CARRIED = ("reasoning_content", "reasoning_details")
_SAID = ("content", "refusal", "reasoning_content", "reasoning")


def document_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the completion that a stream tells. Raises TryAgainError where it ended before it was whole."""
    message: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
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
            for part in objects(delta.get("content")):
                message["content"] = message.get("content", "") + text(part.get("text"))
            for part in objects(delta.get("reasoning_details")):
                _grow_detail(details, part)
            for part in objects(delta.get("tool_calls")):
                _grow(calls, part)
    if not reason:
        raise TryAgainError("the stream ended without a stop reason")
    message["tool_calls"] = [{name: value for name, value in call.items() if name != "index"} for call in calls]
    if details:
        message["reasoning_details"] = details
    return {"model": model, "usage": usage, "choices": [{"finish_reason": reason, "message": message}]}


def answer_of(document: Mapping[str, Any], *, turn: int) -> Answer:
    """Read a completion. `turn` makes ids for tool calls that have none. Raises TryAgainError where it is not whole."""
    choice = next(iter(objects(document.get("choices"))), {})
    reason, message = choice.get("finish_reason"), inner(choice, "message")
    if not isinstance(reason, str) or not reason:
        raise TryAgainError("the answer has no stop reason")
    if reason.lower() in _BROKE:
        raise TryAgainError(f"the answer broke off: {reason.lower()}")
    stop = _STOPS.get(reason.lower(), "end")
    told = objects(message.get("tool_calls"))
    calls, signed = [], dict[str, Any]()
    for place, part in enumerate(told):
        cut = stop == "length" and place == len(told) - 1
        if call := call_of(inner(part, "function"), text(part.get("id")) or f"call_{turn}_{place}", cut=cut):
            calls.append(call)
            if isinstance(part.get("extra_content"), dict):
                signed[call.id] = clean(part["extra_content"])
    if refusal := text(message.get("refusal")):
        stop = "refused"
    reply = finished(_written(message.get("content")) or refusal, calls, stop, text(document.get("model")))
    carried = {name: clean(message[name]) for name in CARRIED if message.get(name)} | ({"calls": signed} if signed else {})
    if carried:
        reply = reply.model_copy(update={"carried": {"chat": carried}})
    return Answer(reply, _usage(inner(document, "usage"), said=bool(reply.text or calls)), len(canonical_json(message)))


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


def _grow(calls: list[dict[str, Any]], part: Mapping[str, Any]) -> None:
    """Add a piece of a tool call to the call that it belongs to, or begin another one."""
    call = _begun(calls, part)
    if call is None:
        call = {"index": part.get("index"), "id": "", "function": {"name": "", "arguments": None}}
        calls.append(call)
    function, piece = call["function"], inner(part, "function")
    call["id"] = call["id"] or text(part.get("id"))
    function["name"] = function["name"] or text(piece.get("name"))
    if isinstance(part.get("extra_content"), dict):
        call["extra_content"] = part["extra_content"]
    arguments = piece.get("arguments")
    if isinstance(arguments, str) and isinstance(function["arguments"], str):
        function["arguments"] += arguments
    elif arguments not in (None, ""):
        function["arguments"] = arguments


def _begun(calls: list[dict[str, Any]], part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the call that a piece goes on with. Servers leave out the index, or number all their calls 0, or send no ids."""
    index, known_id, piece = part.get("index"), text(part.get("id")), inner(part, "function")
    if isinstance(index, int):
        found = next((call for call in reversed(calls) if call["index"] == index), None)
    elif known_id:
        found = next((call for call in reversed(calls) if call["id"] == known_id), None)
    else:
        found = calls[-1] if calls else None
    if found is None or (known_id and found["id"] and known_id != found["id"]):
        return None
    begins_anew = not known_id and text(piece.get("name")) and _is_whole(found["function"]["arguments"])
    return None if begins_anew else found


def _is_whole(arguments: Any) -> bool:
    if not isinstance(arguments, str):
        return isinstance(arguments, dict)
    try:
        read_object(arguments)
    except TryAgainError:
        return False
    return True


def _grow_detail(details: list[dict[str, Any]], part: Mapping[str, Any]) -> None:
    """Add a piece of a block of reasoning; pieces of one block follow each other."""
    same = ("type", "index")
    if not details or part.get("index") is None or any(details[-1].get(name) != part.get(name) for name in same):
        details.append(dict(part))
        return
    for name, value in part.items():
        grows = name in ("text", "summary", "data") and isinstance(value, str) and isinstance(details[-1].get(name), str)
        if grows:
            details[-1][name] += value
        elif value is not None:
            details[-1][name] = value


def _written(content: Any) -> str:
    """Return the text, which some servers send as a list of parts."""
    return text(content) if isinstance(content, str) else "".join(text(part.get("text")) for part in objects(content))


def _usage(usage: Mapping[str, Any], *, said: bool) -> Usage | None:
    """Return what was used. Zeros of a server that does not count are no count."""
    sent, output = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    if not sent or output is None or (said and not output):
        return None
    # Some servers leave thinking out of the completion's tokens and charge it: then only the total tells.
    output = max(output, (count(usage, "total_tokens") or 0) - sent)
    cached = count(inner(usage, "prompt_tokens_details"), "cached_tokens") or count(usage, "prompt_cache_hit_tokens") or 0
    read = min(cached, sent)
    return Usage(fresh=sent - read, read=read, output=output)
