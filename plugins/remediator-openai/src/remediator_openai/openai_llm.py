"""Models behind the chat completions protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from remediator.contracts import Prompt
from remediator.llm import Answer, HttpLlm
from remediator_openai.chat_answer import answer_of, document_of
from remediator_openai.chat_question import question_of

HOSTED = "https://api.openai.com/v1"


def path_below(base_url: str, path: str) -> str:
    """Return the path below an address that may be a bare host, end in its version, or be the whole address already."""
    below = urlsplit(base_url).path.strip("/")
    if below.endswith(path):
        return ""
    return path if below else f"v1/{path}"


class OpenaiLlm(HttpLlm):
    """Asks by chat completions, streamed: the hosted service, or any compatible server by its `base_url`."""

    name: ClassVar[str] = "openai"
    default_url: ClassVar[str] = HOSTED
    dispensable: ClassVar[Mapping[str, tuple[str, ...]]] = {"temperature": ("temperature",), "stream_options": ("stream_options",)}
    renamed: ClassVar[Mapping[str, str]] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

    limit_field: Literal["", "max_tokens", "max_completion_tokens"] = Field(
        default="", description="How the server calls the limit; empty: the new name for the hosted service, `max_tokens` for others."
    )
    stream_usage: bool = Field(default=True, description="Whether to ask for usage in a stream; some old servers refuse that.")

    def path(self) -> str:
        """Return the path below `base_url`."""
        return path_below(self.base_url, "chat/completions")

    def key_headers(self, key: str) -> Mapping[str, str]:
        """Return the header that carries the key."""
        return {"Authorization": f"Bearer {key}"}

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the question."""
        limit = self.limit_field or ("max_completion_tokens" if self.base_url == HOSTED else "max_tokens")
        return question_of(prompt, self.model, limit, stream=self.stream, stream_usage=self.stream_usage)

    def ends(self, event: Mapping[str, Any]) -> bool:
        """Return False: usage comes after the stop reason, and `[DONE]` ends every stream."""
        return False

    def document(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Put a stream together. Raises TryAgainError where it was cut."""
        return document_of(events)

    def answer(self, document: Mapping[str, Any], prompt: Prompt) -> Answer:
        """Read a completion. Raises TryAgainError where it is not whole."""
        return answer_of(document, turn=len(prompt.messages))
