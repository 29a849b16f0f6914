"""Models behind the responses protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from remediator.contracts import Prompt
from remediator.llm import Answer, HttpLlm
from remediator_openai.openai_llm import HOSTED, path_below
from remediator_openai.response_answer import answer_of, document_of, is_last
from remediator_openai.response_question import question_of


class OpenaiResponsesLlm(HttpLlm):
    """Asks by the responses API, streamed; the server is told to store nothing."""

    name: ClassVar[str] = "openai-responses"
    default_url: ClassVar[str] = HOSTED
    dispensable: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "temperature": ("temperature",),
        "include": ("include", "encrypted content", "encrypted_content"),
    }

    def path(self) -> str:
        """Return the path below `base_url`."""
        return path_below(self.base_url, "responses")

    def key_headers(self, key: str) -> Mapping[str, str]:
        """Return the header that carries the key."""
        return {"Authorization": f"Bearer {key}"}

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the question."""
        return question_of(prompt, self.model, stream=self.stream)

    def ends(self, event: Mapping[str, Any]) -> bool:
        """Return whether this event holds the whole response."""
        return is_last(event)

    def document(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Put a stream together. Raises TryAgainError where it was cut."""
        return document_of(events)

    def answer(self, document: Mapping[str, Any], prompt: Prompt) -> Answer:
        """Read a response. Raises TryAgainError where it is not whole."""
        return answer_of(document, turn=len(prompt.messages))
