"""Models behind the Anthropic Messages protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remediator import hookimpl

if TYPE_CHECKING:
    from remediator.contracts import Llm


@hookimpl
def register_llms() -> list[type[Llm]]:
    """Return the model client of this plugin."""
    from remediator_anthropic.anthropic_llm import AnthropicLlm

    return [AnthropicLlm]
