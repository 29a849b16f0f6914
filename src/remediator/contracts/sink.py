"""Where proven fixes go."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from remediator.contracts.component import Component
from remediator.records.submission import Receipt, Submission


class Sink(Component):
    """Takes a submission. Must be idempotent on `submission.id`: a step may run twice."""

    kind: ClassVar[str] = "sink"

    @abstractmethod
    async def submit(self, submission: Submission) -> Receipt:
        """Hand the submission over. Raises SinkError where it did not arrive."""
