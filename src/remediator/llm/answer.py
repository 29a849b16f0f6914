"""A protocol's answer read into plain words, and what it used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from remediator.contracts import Price, Prompt, Reply, ToolCall
from remediator.records import Spend

_MOST_TOKENS = 10**9  # of one answer; a number beyond it is nonsense, and the most that we can tell ourselves counts


class TryAgainError(Exception):
    """This try gave nothing to be used, and another one may. `charged` says whether the try may have to be paid nevertheless."""

    def __init__(self, reason: str, *, after_seconds: float | None = None, charged: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_seconds = after_seconds
        self.charged = charged


class Usage(NamedTuple):
    """Numbers of tokens: sent fresh, read from the provider's cache, written to it, and generated."""

    fresh: int
    read: int = 0
    written: int = 0
    output: int = 0

    def spend(self, price: Price | None, seconds: float) -> Spend:
        """Return it as a spend; without a price the money is 0."""
        usd = price.of(fresh=self.fresh, read=self.read, written=self.written, output=self.output) if price else 0
        return Spend(usd=usd, input_tokens=self.fresh + self.read + self.written, output_tokens=self.output, seconds=seconds)


class Answer(NamedTuple):
    """What a protocol's answer says. `usage` is None where the server does not tell; `size` is how many bytes were generated."""

    reply: Reply
    usage: Usage | None
    size: int

    def counted(self, prompt: Prompt) -> Usage:
        """Return the usage that was told, else the most that it can have been: no token has less than one byte."""
        if self.usage is not None:
            return self.usage
        output = prompt.max_tokens if self.reply.stop == "length" else min(self.size, prompt.max_tokens)
        return Usage(fresh=prompt.size(), output=output)


def count(document: Mapping[str, Any], name: str) -> int | None:
    """Return a number of tokens, or None where the document has no such number."""
    value = document.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None


def finished(text: str, calls: list[ToolCall], stop: str, model: str) -> Reply:
    """Return the reply of an answer that came to its end. Raises TryAgainError where it says that it calls a tool and names none."""
    if stop == "tools" and not calls:
        raise TryAgainError("the answer says that it calls a tool, and names none")
    if calls and stop == "end":
        stop = "tools"
    return Reply.model_validate({"text": text, "tool_calls": tuple(calls), "stop": stop, "model": model[:200]})
