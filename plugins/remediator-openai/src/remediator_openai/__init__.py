"""Models behind the OpenAI protocols, and every server that speaks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remediator import hookimpl

if TYPE_CHECKING:
    from remediator.contracts import Llm


@hookimpl
def register_llms() -> list[type[Llm]]:
    """Return the model clients of this plugin."""
    from remediator_openai.openai_llm import OpenaiLlm
    from remediator_openai.openai_responses_llm import OpenaiResponsesLlm

    return [OpenaiLlm, OpenaiResponsesLlm]
