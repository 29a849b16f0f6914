"""A language model, seen from a fixer."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from remediator.contracts.component import Component
from remediator.records.record import Record
from remediator.records.spend import Spend


class Prompt(Record):
    """What is asked: a system text and the messages so far, as plain JSON values."""

    system: str
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...] = ()
    max_tokens: int = 4096


class Reply(Record):
    """What came back, and what it cost."""

    text: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    spend: Spend = Spend()


class Llm(Component):
    """A model that can be asked."""

    kind: ClassVar[str] = "llm"

    @abstractmethod
    async def complete(self, prompt: Prompt) -> Reply:
        """Return the model's answer."""
