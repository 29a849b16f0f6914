"""Gives the steps of a case their models and their memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from remediator.contracts import Llm
from remediator.engine.asking import Caps, JournalledLlm, Purse
from remediator.errors import ConfigError
from remediator.playbook import PlaybookLimits
from remediator.records.spend import Spend
from remediator.redact import Redactor


class Asking(NamedTuple):
    """What all cases of a run share: the purse, the operator's models by name, and what must never be told."""

    purse: Purse
    make: Callable[[str], Llm]
    redact: Redactor

    def for_step(self, case_id: str, step: str, limits: PlaybookLimits, *, minutes_used: float) -> Asker:
        """Return the asker of one step. `step` is the same when the step runs again, and another for every other step."""
        left = max(0.0, limits.minutes - minutes_used) * 60
        caps = Caps(case_usd=limits.usd, case_tokens=limits.tokens, deadline=time.monotonic() + left)
        return Asker(self, case_id, step, caps)


class Asker:
    """One step's access to models and memory."""

    def __init__(self, asking: Asking, case_id: str, step: str, caps: Caps) -> None:
        self._asking = asking
        self._case = case_id
        self._step = step
        self._caps = caps
        self._made = 0

    def llm(self, name: str) -> Llm:
        """Return a model. Raises ConfigError for a name that is not known."""
        inner = self._asking.make(name)
        self._made += 1
        scope = f"{self._step}.{self._made}"
        caps = self._caps
        if inner.price is None and caps.case_tokens is None:
            raise ConfigError(f"the price of the model {name!r} is not known", hint="give it a price, or limits.tokens in the playbook")
        return JournalledLlm.around(inner, self._asking.purse, caps, case=self._case, scope=scope, redact=self._asking.redact)

    async def remembered(self, name: str, body: Callable[[], Awaitable[str]]) -> str:
        """Return what the body returned the first time this step ran."""
        purse = self._asking.purse
        key = f"{purse.run_id}:{self._case}:{self._step}:{name}"
        kept = await asyncio.to_thread(purse.ledger.memo, key)
        if kept is not None:
            return kept
        told = await body()
        await asyncio.to_thread(purse.ledger.remember, key, purse.run_id, self._case, told)
        return told

    def spent(self) -> Spend:
        """Return what this step has cost so far."""
        purse = self._asking.purse
        return purse.ledger.spent(purse.run_id, self._case, scope=self._step)

    def within(self, part: str) -> Asker:
        """Return an asker for a part of the step that goes on beside others."""
        return Asker(self._asking, self._case, f"{self._step}/{part}", self._caps)
