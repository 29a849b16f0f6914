"""What everything that a plugin registers has in common."""

from __future__ import annotations

from abc import ABC
from types import TracebackType
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict


class Component(BaseModel, ABC):
    """Something a plugin registers. Its fields are its options: closed, frozen, and checked before anything runs.

    `kind` is set by the contract, `name` by the component. A playbook says `use: NAME` and `with: {OPTIONS}`. A component is opened
    with `async with` once per run; both ends do nothing by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    name: ClassVar[str]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        return None

    def version(self) -> str:
        """Return what identifies this component's behaviour beyond its options, such as the digest of its rules."""
        return ""
