"""Models behind the Anthropic Messages protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from remediator.contracts import Prompt
from remediator.llm import Answer, HttpLlm
from remediator_anthropic.message import answer_of, document_of, is_last
from remediator_anthropic.question import question_of

_DEARER_WRITE = Decimal("1.25")


class AnthropicLlm(HttpLlm):
    """Asks by the Messages API, streamed, with the system text, the tools and the conversation cached."""

    name: ClassVar[str] = "anthropic"
    default_url: ClassVar[str] = "https://api.anthropic.com"

    api_version: str = Field(default="2023-06-01", pattern=r"^[0-9-]+$", description="The protocol's version.")
    cache: bool = Field(default=True, description="Whether to mark what the provider may keep for the next question.")

    @model_validator(mode="after")
    def _dearer(self) -> Self:
        # Writing to this cache costs a quarter more than sending; where nobody says so, a cap on money would not hold.
        if self.price is not None and self.price.cache_write is None:
            price = self.price.model_copy(update={"cache_write": self.price.input * _DEARER_WRITE})
            object.__setattr__(self, "price", price)
        return self

    def path(self) -> str:
        """Return the path below `base_url`."""
        if self.base_url.endswith("/v1/messages"):
            return ""
        return "messages" if self.base_url.endswith("/v1") else "v1/messages"

    def key_headers(self, key: str) -> Mapping[str, str]:
        """Return the header that carries the key."""
        return {"x-api-key": key}

    def protocol_headers(self) -> Mapping[str, str]:
        """Return the header that names the version."""
        return {"anthropic-version": self.api_version}

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the question."""
        return question_of(prompt, self.model, stream=self.stream, cache=self.cache)

    def ends(self, event: Mapping[str, Any]) -> bool:
        """Return whether this is `message_stop`."""
        return is_last(event)

    def document(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Put a stream together. Raises TryAgainError where it was cut."""
        return document_of(events)

    def answer(self, document: Mapping[str, Any], prompt: Prompt) -> Answer:
        """Read a message. Raises TryAgainError where it is not whole."""
        return answer_of(document)
