"""What the fixer makes of an agent's end."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from remediator.builtin import external_fixer
from remediator.builtin.external_fixer import ExternalAgentFixer
from remediator.contracts import ExecResult, ExecStatus


@pytest.mark.parametrize(
    ("exit_code", "edits", "declined"), [(2, {}, True), (0, {}, False), (2, {"a.py": "x"}, False)], ids=["broken", "idle", "useful"]
)
async def test_an_agent_that_broke_is_not_told_to_have_found_nothing(
    monkeypatch: pytest.MonkeyPatch, exit_code: int, edits: dict[str, str], declined: bool
) -> None:
    async def left(sandbox: object, workspace: object) -> str:
        return json.dumps({"edits": edits})

    monkeypatch.setattr(external_fixer, "_edits", left)
    kept: list[bytes] = []
    workspace = SimpleNamespace(keep=lambda name, data: kept.append(data) or "digest", note=lambda *said, **facts: None)
    desk = SimpleNamespace(asked=0)
    result = ExecResult(
        argv=("agent",), status=ExecStatus.exited, exit_code=exit_code, stdout=b"out\n", stderr=b"no such\n  file", seconds=0.1
    )
    fixer = ExternalAgentFixer(command=("agent",))
    told = json.loads(await fixer._left(cast("Any", None), cast("Any", workspace), cast("Any", desk), result))
    assert kept == [b"out\nno such\n  file"]
    if declined:
        assert told == {"declined": "could-not-check", "detail": "the agent ended with exit code 2 and changed nothing: no such file"}
    else:
        assert told == {"edits": edits}
