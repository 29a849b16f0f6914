"""What a step of a case lets out, and as what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from remediator.engine.perform import Performer
from remediator.errors import LlmAuthError, RecipeError
from remediator.records import Declined
from remediator.records.case import Case


class _Refused(Performer):
    """Two candidates, of which each one's key is refused."""

    def __init__(self) -> None:
        self._asker: Any = SimpleNamespace(within=lambda scope: scope)

    def _fixer(self, name: str) -> Any:
        return SimpleNamespace(candidates=lambda finding: (name, name))

    async def _answer(self, fixer: Any, case: Case, asker: Any) -> Any:
        raise LlmAuthError("the key is refused")


async def test_a_refused_key_stops_the_run_as_itself_and_not_as_a_group_of_errors() -> None:
    case = cast("Case", SimpleNamespace(finding=None))
    with pytest.raises(LlmAuthError, match="the key is refused"):
        await _Refused()._propose(case, "agent")


async def test_what_could_not_be_set_up_is_told_with_the_end_of_its_log() -> None:
    async def broken() -> str:
        raise RecipeError("the setup command 'sh' failed", hint="the end of its log (sha256:1): cannot create\n  /opt/a")

    fixer, case = cast("Any", SimpleNamespace(name="f")), cast("Case", SimpleNamespace(finding=SimpleNamespace(id="f-1")))
    told = await _Refused()._guarded(fixer, case, broken())
    assert isinstance(told, Declined)
    assert told.detail == "the setup command 'sh' failed; the end of its log (sha256:1): cannot create /opt/a"
