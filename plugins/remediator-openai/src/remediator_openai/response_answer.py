"""A response of the responses API, whole or streamed, read into an answer. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.llm import Answer, TryAgainError, Usage
from remediator.llm.answer import count, finished
from remediator.llm.answer_json import clean, inner, objects, text
from remediator.llm.failure import refusal_in
from remediator.records.record import canonical_json
from remediator_openai.chat_answer import call_of

_LAST = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def is_last(event: Mapping[str, Any]) -> bool:
    """Return whether nothing comes after this event."""
    return event.get("type") in _LAST


def document_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the response that the last event holds. Raises TryAgainError where there is none."""
    if not events or not is_last(events[-1]):
        raise TryAgainError("the stream ended without a stop reason")
    response = dict(inner(events[-1], "response"))
    if not response.get("output"):
        # Some servers tell each item once, when it is done, and not again at the end.
        response["output"] = [inner(event, "item") for event in events if event.get("type") == "response.output_item.done"]
    return response


def answer_of(document: Mapping[str, Any], *, turn: int) -> Answer:
    """Read a response. `turn` makes ids for tool calls that have none.

    Raises TryAgainError where it is not whole, and what the server's own error means where it failed.
    """
    stop = _stop(document)
    items = objects(document.get("output"))
    calls = []
    for place, item in enumerate(items):
        if item.get("type") == "function_call":
            cut = stop == "length" and item is items[-1]
            if call := call_of(item, text(item.get("call_id")) or text(item.get("id")) or f"call_{turn}_{place}", cut=cut):
                calls.append(call)
    parts = [part for item in items if item.get("type", "message") == "message" for part in objects(item.get("content"))]
    refusal = "".join(text(part.get("refusal")) for part in parts)
    written = "".join(text(part.get("text")) for part in parts)
    reply = finished(written or refusal, calls, "refused" if refusal else stop, text(document.get("model")))
    thoughts = [_kept(item) for item in items if item.get("type") == "reasoning" and text(item.get("encrypted_content"))]
    if thoughts:
        reply = reply.model_copy(update={"carried": {"responses": thoughts}})
    return Answer(reply, _usage(inner(document, "usage")), len(canonical_json(items)))


def _kept(item: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = clean({name: item[name] for name in ("type", "id", "summary", "encrypted_content") if name in item})
    return {"summary": [], **kept}


def _stop(document: Mapping[str, Any]) -> str:
    status = document.get("status")
    if status == "completed":
        return "end"
    if status == "incomplete":
        return "refused" if inner(document, "incomplete_details").get("reason") == "content_filter" else "length"
    if refusal := refusal_in(document):
        raise refusal
    raise TryAgainError(f"the response did not come to its end: {text(status) or 'it has no status'}")


def _usage(usage: Mapping[str, Any]) -> Usage | None:
    sent, output = count(usage, "input_tokens"), count(usage, "output_tokens")
    if not sent or output is None:
        return None  # no question is empty: a gateway that does not count says 0
    read = min(count(inner(usage, "input_tokens_details"), "cached_tokens") or 0, sent)
    return Usage(fresh=sent - read, read=read, output=output)
