"""A language model, seen from those who ask it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from remediator.contracts.component import Component
from remediator.records.record import Record, canonical_json, plain
from remediator.records.spend import Spend

_FRAMING_TOKENS = 1024
_MILLION = Decimal(1_000_000)


class ToolSpec(Record):
    """A tool that the model may call. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolCall(Record):
    """The model's wish to have a tool called. Nothing in it is to be believed."""

    id: str
    name: str
    arguments: dict[str, Any] = {}

    @field_validator("arguments", mode="before")
    @classmethod
    def _plain(cls, arguments: Any) -> Any:
        # They are journalled and sent back: what breaks there would end the work for a slip of the model's.
        return plain(arguments) if isinstance(arguments, Mapping) else arguments


class Message(Record):
    """One message. `user` and `assistant` have text, `assistant` may have tool calls, `tool` answers the call `call_id` with text.

    `carried` is that of the reply which the message repeats.
    """

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    carried: dict[str, Any] = {}


class Prompt(Record):
    """What is asked: a system text, the messages so far, and the tools. `key` is the same when the same question is asked again.

    A provider that knows idempotency keys gets it; it is no part of the question.
    """

    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 4096
    temperature: float | None = None
    key: str = ""

    def size(self) -> int:
        """Return how many bytes the question has; no tokenizer makes more tokens than bytes."""
        return len(canonical_json(self.model_dump(mode="json", exclude={"key", "max_tokens", "temperature"})))


class Reply(Record):
    """What came back, and what it cost. `stop` is `length` where the answer was cut at `max_tokens`.

    `carried` is what the provider wants to see again, unchanged, when the conversation goes on (signed thinking, say), by protocol.
    Nobody else reads it; most providers refuse a tool's result that comes without it.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    stop: Literal["end", "tools", "length", "refused"] = "end"
    model: str = ""
    carried: dict[str, Any] = {}
    spend: Spend = Spend()


class Price(Record):
    """USD for a million tokens."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)

    def of(self, *, fresh: int, read: int = 0, written: int = 0, output: int = 0) -> Decimal:
        """Return what these numbers of tokens cost; cached ones cost like fresh ones where no other price is known."""
        read_price = self.input if self.cache_read is None else self.cache_read
        write_price = self.input if self.cache_write is None else self.cache_write
        return (fresh * self.input + read * read_price + written * write_price + output * self.output) / _MILLION

    @property
    def dearest_input(self) -> Decimal:
        """Return the most that a token which is sent can cost."""
        return max(self.input, self.cache_read or Decimal(0), self.cache_write or Decimal(0))


class Llm(Component):
    """A model that can be asked. Raises LlmError and its kinds, see `remediator.errors`."""

    kind: ClassVar[str] = "llm"
    remote: ClassVar[bool] = True
    """Whether asking opens a socket. With `offline`, only a loopback `base_url` may then be asked."""

    price: Price | None = Field(default=None, description="USD for a million tokens; unknown where absent, and then tokens are capped.")

    @abstractmethod
    async def complete(self, prompt: Prompt) -> Reply:
        """Return the model's answer. Retries what another try may mend; a truncated or broken answer is an error, not a reply."""

    def ceiling(self, prompt: Prompt) -> Spend:
        """Return the most that asking this can cost. Without a price, `usd` is 0 and the tokens have to be capped."""
        sent = prompt.size() + _FRAMING_TOKENS
        usd = Decimal(0)
        if self.price is not None:
            usd = (sent * self.price.dearest_input + prompt.max_tokens * self.price.output) / _MILLION
        return Spend(usd=usd, input_tokens=sent, output_tokens=prompt.max_tokens)
