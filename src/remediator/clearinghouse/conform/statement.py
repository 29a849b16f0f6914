"""One statement, and what was found about it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple

from remediator.clearinghouse.conform.ground import BrokenError, Ground, NotRunError
from remediator.redact import printable

Check = Callable[[Ground], Awaitable[None]]


class Outcome(StrEnum):
    """What was found. `not-run` is neither of the others."""

    holds = "holds"
    broken = "broken"
    not_run = "not-run"


class Statement(NamedTuple):
    """A statement of the protocol's page, by the section that it is of, and how it is tried. Its text is the check's docstring."""

    number: str
    check: Check
    writes: bool = True
    """Whether it changes something: then it is left out where one may only read."""

    @property
    def text(self) -> str:
        """Return the statement in words."""
        return " ".join((inspect.getdoc(self.check) or "").split())

    async def tried(self, ground: Ground) -> Found:
        """Try it."""
        try:
            await self.check(ground)
        except BrokenError as error:
            return Found(self.number, self.text, Outcome.broken, printable(str(error))[:500])
        except NotRunError as error:
            return Found(self.number, self.text, Outcome.not_run, printable(str(error))[:500])
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            # What a server says is a stranger's: a field that is missing or of another kind is its fault, and found wherever it is used.
            return Found(
                self.number, self.text, Outcome.broken, f"an answer has another form: {printable(f'{type(error).__name__}: {error}')[:300]}"
            )
        return Found(self.number, self.text, Outcome.holds, "")


class Found(NamedTuple):
    """What was found about a statement, and why."""

    number: str
    text: str
    outcome: Outcome
    reason: str
