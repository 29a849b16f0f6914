"""Keeps what a model was asked and said in a file, and answers from such a file without a model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr, SerializeAsAny

from remediator.contracts import Llm, Prompt, Reply
from remediator.errors import LlmError
from remediator.records import Spend
from remediator.records.record import canonical_json

_SHOWN = 120


class RecordingLlm(Llm):
    """Passes questions on and appends each with its answer to `path`, one JSON object a line. The file is private."""

    name: ClassVar[str] = "recording"
    inner: SerializeAsAny[Llm]
    path: Path

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        await self.inner.__aexit__(exc_type, exc, traceback)

    def ceiling(self, prompt: Prompt) -> Spend:
        """Return the inner model's ceiling."""
        return self.inner.ceiling(prompt)

    async def complete(self, prompt: Prompt) -> Reply:
        """Return the inner model's answer. What it raises is raised, and not recorded."""
        reply = await self.inner.complete(prompt)
        line = canonical_json({"prompt": prompt.as_json(), "reply": reply.as_json()}) + b"\n"
        await asyncio.to_thread(_append, self.path, line)
        return reply


class ReplayLlm(Llm):
    """Answers from a transcript: each recorded answer once, to the question that it was recorded for."""

    name: ClassVar[str] = "replay"
    remote: ClassVar[bool] = False
    path: Path

    _left: list[tuple[Prompt, Reply]] | None = PrivateAttr(default=None)

    @property
    def left(self) -> int:
        """Return how many recorded answers were not asked for yet."""
        return len(self._read())

    async def complete(self, prompt: Prompt) -> Reply:
        """Return the recorded answer. Raises LlmError naming the first place in which the question differs from the one that comes next."""
        left = self._read()
        asked = _question(prompt)
        for index, (recorded, reply) in enumerate(left):
            if _question(recorded) == asked:
                del left[index]
                return reply
        if not left:
            raise LlmError(f"{self.path} has no answer left", hint="record it again")
        where = first_difference(_question(left[0][0]), asked)
        raise LlmError(f"the question is not the recorded one: {where}", hint="record it again, or find out what changed")

    def _read(self) -> list[tuple[Prompt, Reply]]:
        if self._left is None:
            try:
                lines = [json.loads(line) for line in self.path.read_bytes().splitlines() if line.strip()]
                self._left = [(Prompt.model_validate(line["prompt"]), Reply.model_validate(line["reply"])) for line in lines]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise LlmError(f"{self.path} is no transcript: {error}") from error
        return self._left


def first_difference(recorded: Any, asked: Any, place: str = "") -> str:
    """Return where two values differ first, and what stands there in both."""
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for name in dict.fromkeys((*recorded, *asked)):
            if recorded.get(name) != asked.get(name):
                return first_difference(recorded.get(name), asked.get(name), f"{place}.{name}".lstrip("."))
    if isinstance(recorded, list) and isinstance(asked, list):
        for index, (before, now) in enumerate(zip(recorded, asked, strict=False)):
            if before != now:
                return first_difference(before, now, f"{place}[{index}]")
        return f"{place} has {len(recorded)} items in the record and {len(asked)} now"
    if isinstance(recorded, str) and isinstance(asked, str):
        at = next((at for at, (a, b) in enumerate(zip(recorded, asked, strict=False)) if a != b), min(len(recorded), len(asked)))
        return f"{place} at character {at}: {_near(recorded, at)} in the record, {_near(asked, at)} now"
    return f"{place}: {_cut(recorded)} in the record, {_cut(asked)} now"


def _question(prompt: Prompt) -> dict[str, Any]:
    return prompt.model_dump(mode="json", exclude={"key"})


def _append(path: Path, line: bytes) -> None:
    path.touch(mode=0o600)
    with path.open("ab") as file:
        file.write(line)


def _near(text: str, at: int) -> str:
    return _cut(text[max(at - 20, 0) : at + 40])


def _cut(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
