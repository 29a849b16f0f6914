"""Asks models within limits: checked before each question, kept before each answer is used, never paid for twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from pydantic import PrivateAttr

from remediator.contracts import Llm, Message, Prompt, Reply
from remediator.engine.ledger import Ledger
from remediator.errors import BudgetError, LlmError
from remediator.records.record import Record, canonical_json, digest_of
from remediator.records.spend import Spend
from remediator.redact import Redactor

_FEWEST_TOKENS = 256


class Caps(NamedTuple):
    """The most that may be spent. None is no cap of that kind; `deadline` is a monotonic clock's."""

    case_usd: Decimal | None = None
    run_usd: Decimal | None = None
    day_usd: Decimal | None = None
    case_tokens: int | None = None
    deadline: float | None = None


class Purse:
    """What one run may still spend. Questions that are under way count at the most that they can cost."""

    def __init__(self, ledger: Ledger, run_id: str, *, run_usd: Decimal | None, day_usd: Decimal | None) -> None:
        self.ledger = ledger
        self.run_id = run_id
        self.run_usd = run_usd
        self.day_usd = day_usd


class JournalledLlm(Llm):
    """A model behind the case's purse and the journal. Its answers come back in the order of the questions."""

    name: ClassVar[str] = "journalled"

    _inner: Llm = PrivateAttr()
    _purse: Purse = PrivateAttr()
    _caps: Caps = PrivateAttr()
    _case: str = PrivateAttr()
    _scope: str = PrivateAttr()
    _redact: Redactor = PrivateAttr()
    _asked: int = PrivateAttr(default=0)
    _before: Prompt | None = PrivateAttr(default=None)
    _measured: int = PrivateAttr(default=0)
    _given: set[bytes] = PrivateAttr(default_factory=set)

    @classmethod
    def around(cls, inner: Llm, purse: Purse, caps: Caps, *, case: str, scope: str, redact: Redactor) -> JournalledLlm:
        """Put a model behind a purse. `scope` tells apart who asks within the case: the same on every replay, and never used twice."""
        made = cls(price=inner.price)
        made._inner, made._purse, made._caps, made._case, made._scope, made._redact = inner, purse, caps, case, scope, redact
        return made

    async def complete(self, prompt: Prompt) -> Reply:
        """Return the answer, from the journal where it is there already.

        Raises BudgetError, before anything is sent, where it could cost more than is left; LlmError and its kinds.
        """
        self._asked += 1
        prompt = self._cleaned(prompt)
        key = f"{self._purse.run_id}:{self._case}:{self._scope}:{self._asked}"
        ledger = self._purse.ledger
        kept = await asyncio.to_thread(ledger.reply, key)
        if kept is None:
            reply = await self._paid(key, prompt)
        else:
            reply = Reply.model_validate(kept)
        self._before, self._measured = prompt, reply.spend.input_tokens
        self._given.add(_words(reply))
        return reply

    async def _paid(self, key: str, prompt: Prompt) -> Reply:
        ledger = self._purse.ledger
        prompt = await asyncio.to_thread(self._reserved, key, prompt)
        began = time.monotonic()
        try:
            reply = await self._inner.complete(prompt.model_copy(update={"key": digest_of(key.encode())[7:47]}))
        except LlmError as error:
            # What may have been paid for stays in the ledger at its most.
            if not error.charged_tries:
                await asyncio.to_thread(ledger.unanswered, key)
            raise
        spend = reply.spend.model_copy(update={"seconds": round(time.monotonic() - began, 3)})
        reply = reply.model_copy(update={"spend": spend})
        await asyncio.to_thread(ledger.answered, key, spend, reply.model_dump(mode="json"))
        return reply

    def _reserved(self, key: str, prompt: Prompt) -> Prompt:
        """Return what can be afforded, noted at the most that it can cost. Raises BudgetError.

        Other cases, and other runs that share the day's limit, look only before or after: the last of a limit is never taken twice.
        """
        with self._purse.ledger.one_transaction():
            prompt = self._affordable(prompt)
            said = _new_in(prompt, self._before).model_dump(mode="json")
            model = str(getattr(self._inner, "model", "") or self._inner.name)
            self._purse.ledger.ask(key, self._purse.run_id, self._case, self._scope, model, self._most(prompt), said)
        return prompt

    def _most(self, prompt: Prompt) -> Spend:
        """Return the most that a question can cost; what was measured of its beginning counts as measured."""
        most = self._inner.ceiling(prompt)
        before = self._before
        if not self._measured or before is None or not _goes_on(before, prompt):
            return most
        saved = max(0, before.size() - self._measured)
        usd = most.usd
        if self._inner.price is not None:
            usd -= saved * self._inner.price.dearest_input / Decimal(1_000_000)
        return most.model_copy(update={"usd": max(usd, Decimal(0)), "input_tokens": most.input_tokens - saved})

    def _affordable(self, prompt: Prompt) -> Prompt:
        """Return the prompt, asking for a shorter answer where a long one could cost too much. Raises BudgetError."""
        if self._caps.deadline is not None and time.monotonic() > self._caps.deadline:
            raise BudgetError("the case's time is used up", hint="raise limits.minutes in the playbook, or --minutes")
        wanted = prompt.max_tokens
        while True:
            over = self._over(self._most(prompt))
            if over is None:
                return prompt
            shorter = prompt.max_tokens // 2
            if shorter < min(_FEWEST_TOKENS, wanted):
                raise BudgetError(over, hint="raise the limit in the playbook or with --budget, or choose a cheaper model")
            prompt = prompt.model_copy(update={"max_tokens": shorter})

    def _over(self, most: Spend) -> str | None:
        ledger, purse = self._purse.ledger, self._purse
        case = ledger.spent(purse.run_id, self._case)
        tokens = case.input_tokens + case.output_tokens
        checks: Mapping[str, tuple[Decimal | None, Callable[[], Decimal]]] = {
            "case": (self._caps.case_usd, lambda: case.usd),
            "run": (purse.run_usd, lambda: ledger.spent(purse.run_id).usd),
            "day": (purse.day_usd, lambda: ledger.today().usd),
        }
        for what, (cap, spent) in checks.items():
            if cap is not None and spent() + most.usd > cap:
                return f"the next question could cost {most.usd:.4f} USD; {spent():.4f} of the {what}'s {cap} USD are spent"
        cap_tokens = self._caps.case_tokens
        if cap_tokens is not None and tokens + most.input_tokens + most.output_tokens > cap_tokens:
            return f"the next question could take {most.input_tokens + most.output_tokens} tokens; {tokens} of {cap_tokens} are used"
        return None

    def _cleaned(self, prompt: Prompt) -> Prompt:
        """Blank what looks like a secret: what leaves this machine is read by others. What the model itself said may go back as it was."""
        clean = self._blanked
        return prompt.model_copy(
            update={
                "system": self._redact(prompt.system),
                "messages": tuple(m if m.role == "assistant" and _words(m) in self._given else clean(m) for m in prompt.messages),
                "tools": tuple(
                    tool.model_copy(
                        update={"description": self._redact(tool.description), "parameters": _each_text(tool.parameters, self._redact)}
                    )
                    for tool in prompt.tools
                ),
            }
        )

    def _blanked(self, message: Message) -> Message:
        calls = tuple(call.model_copy(update={"arguments": _each_text(call.arguments, self._redact)}) for call in message.tool_calls)
        return message.model_copy(update={"text": self._redact(message.text), "tool_calls": calls, "carried": {}})


def _words(said: Message | Reply) -> bytes:
    return canonical_json([said.text, [(call.name, repr(call.arguments)) for call in said.tool_calls]])


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [_each_text(item, change) for item in value]
    return {change(key): _each_text(item, change) for key, item in value.items()} if isinstance(value, dict) else value


class _Said(Record):
    system: str = ""
    messages: tuple[Message, ...] = ()


def _new_in(prompt: Prompt, before: Prompt | None) -> _Said:
    if before is None:
        return _Said(system=prompt.system, messages=prompt.messages)
    old = dict(enumerate(before.messages))
    messages = tuple(message for place, message in enumerate(prompt.messages) if old.get(place) != message)
    return _Said(system=prompt.system if prompt.system != before.system else "", messages=messages)


def _goes_on(before: Prompt, prompt: Prompt) -> bool:
    """Return whether a question begins with one that was asked: an external agent's may be about anything else."""
    same = (prompt.system, prompt.tools) == (before.system, before.tools)
    return same and prompt.messages[: len(before.messages)] == before.messages
