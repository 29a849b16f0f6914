"""Asks a model whether it answers, outside of any run: paid for and noted like every other question."""

from __future__ import annotations

import asyncio
import secrets

from remediator.artefacts import private_folder
from remediator.contracts import Llm, Message, Prompt, Reply
from remediator.engine.asking import Caps, JournalledLlm, Purse
from remediator.engine.ledger import Ledger
from remediator.settings import Settings

TRIED = "models test"
"""What the ledger has in place of a run for such questions."""
_QUESTION = Prompt(system="You are asked whether you answer.", messages=(Message(role="user", text="Say yes."),), max_tokens=256)


async def ask_small_question(llm: Llm, name: str, settings: Settings) -> Reply:
    """Ask what costs next to nothing. Raises LlmError and its kinds, BudgetError where the day's money is used up, StateError."""
    await asyncio.to_thread(private_folder, settings.state)
    ledger = await asyncio.to_thread(Ledger, settings.state / "ledger.sqlite")
    try:
        purse = Purse(ledger, TRIED, run_usd=None, day_usd=settings.limits.day_usd)
        # Asked anew each time: an answer from the journal would say nothing of the server.
        scope = f"{name}.{secrets.token_hex(8)}"
        asked = JournalledLlm.around(llm, purse, Caps(), case="", scope=scope, redact=settings.redactor())
        async with llm:
            return await asked.complete(_QUESTION)
    finally:
        ledger.close()
