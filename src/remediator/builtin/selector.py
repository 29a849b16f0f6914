"""One blind question where several patches are proven alike: which to hand over. It can make no patch better than it was measured to be."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from remediator.builtin.prompts import load_prompts, quoted
from remediator.contracts import Llm, Message, Prompt, Reply

_MOST_TOKENS = 2048
_MOST_CHARACTERS = 60_000
_OBJECT = re.compile(r"\{[^{}]*\}")


async def selected(llm: Llm, finding: str, contract: str, diffs: Sequence[str]) -> int | str:
    """Return the place of the diff that the model names, or why its answer is of no use. `finding` and `contract` are quoted already.

    Raises LlmError and its kinds.
    """
    most = _MOST_CHARACTERS // len(diffs)
    if any(len(diff) > most for diff in diffs):
        return "the patches are too long to be compared"
    prompts = load_prompts("selector")
    patches = "\n\n".join(f"Patch {number}:\n{quoted('patch', diff, most)}" for number, diff in enumerate(diffs, 1))
    question = prompts.render("question", finding=finding, contract=contract, patches=patches)
    reply = await llm.complete(
        Prompt(system=prompts.render("system"), messages=(Message(role="user", text=question),), max_tokens=_MOST_TOKENS)
    )
    number = _named(reply)
    return number - 1 if number is not None and 1 <= number <= len(diffs) else "the model named no patch of these"


def _named(reply: Reply) -> int | None:
    """Return the number in the last JSON object of the answer; what was cut or refused is no answer."""
    if reply.stop != "end":
        return None
    for text in reversed(_OBJECT.findall(reply.text)):
        try:
            found = json.loads(text).get("choice")
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, int) and not isinstance(found, bool) else None
    return None
