"""The server's side of the OpenAI responses protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from remediator.contracts import Message, Prompt, Reply, ToolCall, ToolSpec
from remediator.records.record import canonical_json
from remediator.testing.llm_chat_wire import bearer, openai_error
from remediator.testing.llm_wire import Tokens, event, need, only, pieces


class ResponsesWire:
    """OpenAI responses."""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the bearer token."""
        return bearer(headers)

    def prompt(self, body: Mapping[str, Any]) -> Prompt:
        """Read a question; neighbouring items of the assistant are one message."""
        only(body, "model", "max_output_tokens", "input", "stream", "store", "include", "instructions", "tools", "temperature")
        need(body["store"] is False, "nothing may be stored")
        messages: list[Message] = []
        for item in body["input"]:
            message = _message(item)
            before = messages[-1] if messages else message
            bare = before.carried and not before.text and not before.tool_calls
            if message.role == "assistant" and messages and before.role == "assistant" and (message.tool_calls or bare):
                messages.pop()
                thoughts = [*before.carried.get("responses", []), *message.carried.get("responses", [])]
                message = Message(
                    role="assistant",
                    text=before.text + message.text,
                    tool_calls=(*before.tool_calls, *message.tool_calls),
                    carried={"responses": thoughts} if thoughts else {},
                )
            messages.append(message)
        return Prompt(
            system=body.get("instructions", ""),
            messages=tuple(messages),
            tools=tuple(
                ToolSpec(name=tool["name"], description=tool["description"], parameters=tool["parameters"])
                for tool in body.get("tools", [])
            ),
            max_tokens=body["max_output_tokens"],
            temperature=body.get("temperature"),
        )

    def document(self, reply: Reply, model: str, tokens: Tokens) -> dict[str, Any]:
        """Write a response."""
        kind = {"type": "refusal", "refusal": reply.text} if reply.stop == "refused" else {"type": "output_text", "text": reply.text}
        output: list[dict[str, Any]] = reply.carried.get("responses") or [{"type": "reasoning", "id": "rs_1", "summary": []}]
        output = list(output)
        if reply.text:
            output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [kind]})
        output += [
            {
                "type": "function_call",
                "id": f"fc_{at}",
                "call_id": call.id,
                "name": call.name,
                "arguments": canonical_json(call.arguments).decode(),
            }
            for at, call in enumerate(reply.tool_calls)
        ]
        cut = reply.stop == "length"
        return {
            "id": "resp_1", "object": "response", "model": model, "status": "incomplete" if cut else "completed", "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None, "output": output,
            "usage": {
                "input_tokens": tokens.sent, "input_tokens_details": {"cached_tokens": tokens.read},
                "output_tokens": tokens.output, "output_tokens_details": {"reasoning_tokens": 0},
            },
        }  # fmt: skip

    def events(self, document: Mapping[str, Any]) -> list[bytes]:
        """Write a stream; the last event holds the whole response."""
        found = [event({"type": "response.created", "response": {**document, "status": "in_progress", "output": []}}, named=True)]
        for index, item in enumerate(document["output"]):
            found.append(event({"type": "response.output_item.added", "output_index": index, "item": item}, named=True))
            said = "".join(part.get("text") or part.get("refusal") or "" for part in item.get("content", []))
            deltas = [{"type": "response.output_text.delta", "output_index": index, "delta": piece} for piece in pieces(said)]
            found += [event(delta, named=True) for delta in deltas]
            found.append(event({"type": "response.output_item.done", "output_index": index, "item": item}, named=True))
        if document["status"] in ("completed", "incomplete"):
            found.append(event({"type": f"response.{document['status']}", "response": document}, named=True))
        return found

    def unfinished(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the response as one that is still at it."""
        return {**document, "status": "in_progress"}

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error."""
        return openai_error(status, message)


def _message(item: Mapping[str, Any]) -> Message:
    match item.get("type", "message"):
        case "function_call":
            call = ToolCall(id=item["call_id"], name=item["name"], arguments=json.loads(item["arguments"]))
            return Message(role="assistant", tool_calls=(call,))
        case "reasoning":
            need(item.get("encrypted_content"), f"Item '{item.get('id')}' not found: it was not stored")
            return Message(role="assistant", carried={"responses": [dict(item)]})
        case "function_call_output":
            return Message(role="tool", call_id=item["call_id"], text=item["output"])
        case "message":
            return Message(role=item["role"], text=item["content"])
        case other:
            raise ValueError(f"{other}: unknown item")
