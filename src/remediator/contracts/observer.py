"""What watches."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from remediator.contracts.component import Component
from remediator.records.event import Event


class Observer(Component):
    """Is told every event after it is in the journal. Its failures are logged, never felt."""

    kind: ClassVar[str] = "observer"

    @abstractmethod
    async def on_event(self, event: Event) -> None:
        """Take note of an event."""
