"""Tells those who watch a one-shot command what happens, in the events of a run. Nothing of it is kept in the journal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from remediator.engine.journal import Recorder
from remediator.records.event import CheckDone, FindingReported, RunProgress
from remediator.records.finding import Finding
from remediator.records.verdict import Check
from remediator.redact import printable


class Teller:
    """What `verify` and `replay` tell while they work; `name` stands in the events in place of a run."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, message: str, **facts: Any) -> None:
        """Tell a remark of a component; called from synchronous code, so the telling is a task of its own."""
        phase = str(facts.pop("phase", "noted"))
        plain = {key: value if isinstance(value, str | int | float | bool | None) else str(value) for key, value in facts.items()}
        event = RunProgress(run_id=self._name, at=datetime.now(UTC), phase=phase, message=printable(message), data=plain)
        task = asyncio.ensure_future(self._recorder.show(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def found(self, case_id: str, finding: Finding) -> None:
        """Tell which finding the patch is judged for, so that all further lines can name its place."""
        await self._recorder.show(FindingReported(run_id=self._name, at=datetime.now(UTC), case_id=case_id, finding=finding))

    async def checked(self, case_id: str, patch_id: str, check: Check) -> None:
        """Tell a check's answer, after all that was noted on the way to it."""
        await self.drained()
        await self._recorder.show(CheckDone(run_id=self._name, at=datetime.now(UTC), case_id=case_id, patch_id=patch_id, check=check))

    async def drained(self) -> None:
        """Wait until everything noted was told."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))


@contextlib.asynccontextmanager
async def telling(recorder: Recorder, name: str) -> AsyncIterator[Teller]:
    """Open a teller; when this is left, everything was told."""
    teller = Teller(recorder, name)
    try:
        yield teller
    finally:
        await teller.drained()
