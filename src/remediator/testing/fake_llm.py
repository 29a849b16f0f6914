"""A model whose answers are written beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import PrivateAttr

from remediator.contracts import Llm, Prompt, Reply


class ScriptedLlm(Llm):
    """Gives the scripted replies in order and keeps what it was asked in `prompts`."""

    name: ClassVar[str] = "scripted"
    remote: ClassVar[bool] = False
    replies: tuple[Reply, ...] = ()

    _prompts: list[Prompt] = PrivateAttr(default_factory=list)

    @property
    def prompts(self) -> Sequence[Prompt]:
        """Return every prompt so far."""
        return tuple(self._prompts)

    async def complete(self, prompt: Prompt) -> Reply:
        """Return the next reply. Raises IndexError where the script is at its end."""
        self._prompts.append(prompt)
        return self.replies[len(self._prompts) - 1]
