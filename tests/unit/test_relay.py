"""The way out for a coding agent: real HTTP and the real scripts, in processes of this machine in place of a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from remediator.builtin.external_fixer import ExternalAgentFixer, _Desk
from remediator.builtin.relay import Answered, Asked, Relay, cause_of
from remediator.contracts import ExecResult, ExecStatus, Prompt, Reply, Sandbox
from remediator.errors import BudgetError, LlmAuthError, LlmError, SandboxError, SandboxLostError
from remediator.records import Declined, Finding, ReasonCode
from remediator.testing.fake_llm import ScriptedLlm
from remediator.testing.fake_workspace import FakeWorkspace

_MANY = """
import concurrent.futures, json, sys, urllib.request
def ask(number):
    body = str(number).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v1/messages", data=body)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return number, answer.read().decode()
with concurrent.futures.ThreadPoolExecutor(12) as pool:
    print(json.dumps(list(pool.map(ask, range(60)))))
"""
_ASKS_AND_WAITS = """
import json, sys, time, urllib.error, urllib.request
body = json.dumps({"max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}).encode()
try:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/v1/messages", data=body), timeout=60)
except urllib.error.HTTPError as error:
    print("answered", error.code)
time.sleep(60)
"""


# Every line of the handler lets the others go first, so that what may go wrong between two threads does.
_UNFAIR = """
import threading, time
def _each_line(frame, event, argument):
    if frame.f_code.co_name == "answer" and event == "line":
        time.sleep(0.001)
    return _each_line
threading.settrace(_each_line)
"""


class Processes(Sandbox):
    """Runs our own scripts where they are; nothing of a target's."""

    async def exec(
        self,
        argv: Sequence[str],
        *,
        cwd: str = "/job",
        env: dict[str, str] | None = None,
        stdin: bytes = b"",
        timeout_seconds: float = 300.0,
        output_bytes: int | None = None,
        observer: bool = False,
    ) -> ExecResult:
        words = [_UNFAIR + word if "class Handler" in word else word for word in argv]
        process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd="/", env=env)
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), timeout_seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return ExecResult(argv=tuple(argv), status=ExecStatus.exited, exit_code=process.returncode, stdout=out, stderr=err)

    async def put(self, tree: object) -> None:
        raise AssertionError

    async def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        pass

    async def read(self, path: str, *, limit_bytes: int = 0) -> bytes:
        raise AssertionError


class _Place(FakeWorkspace):
    def sandbox(self, *, setup: Sequence[Sequence[str]] = ()) -> Any:
        return self._open()

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Sandbox]:
        yield Processes(image_digest="none")


async def _serving(relay: Relay) -> asyncio.Task[None]:
    ready = asyncio.Event()
    task = asyncio.create_task(relay.serve(60, ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return task


async def test_each_request_gets_its_own_answer() -> None:
    async def echo(asked: Asked) -> Answered:
        return Answered(200, "text/plain", b"to " + asked.body)

    sandbox = Processes(image_digest="none")
    relay = Relay(sandbox, echo)
    task = await _serving(relay)
    result = await sandbox.exec([sys.executable, "-c", _MANY, str(relay.port)])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == [[number, f"to {number}"] for number in range(60)]


@pytest.mark.parametrize(
    "error", [LlmAuthError("the key is refused"), SandboxError("no room"), ValueError("a bug")], ids=lambda e: type(e).__name__
)
async def test_what_ends_the_relay_is_told_as_itself(error: Exception) -> None:
    async def failing(asked: Asked) -> Answered:
        raise error

    sandbox = Processes(image_digest="none")
    relay = Relay(sandbox, failing)
    task = await _serving(relay)
    asking = asyncio.create_task(sandbox.exec([sys.executable, "-c", _ASKS_AND_WAITS, f"http://127.0.0.1:{relay.port}"]))
    with pytest.raises(type(error)) as raised:
        await asyncio.wait_for(task, 50)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert raised.value is error


class _Ends(ScriptedLlm):
    _error: tuple[Exception, ...] = ()

    async def complete(self, prompt: Prompt) -> Reply:
        raise self._error[0]


async def _worked(tmp_path: Path, error: Exception, **options: Any) -> Any:
    model = _Ends()
    model._error = (error,)
    finding = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="")
    fixer = ExternalAgentFixer(command=(sys.executable, "-c", _ASKS_AND_WAITS, "{base_url}"), seconds=50, **options)
    return await fixer.fix(finding, _Place({"a.py": "x = 1\n"}, tmp_path, models={"default": model}), ())


async def test_a_refused_key_ends_the_agent_and_the_run(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(LlmAuthError, match="the key is refused"):
        await _worked(tmp_path, LlmAuthError("the key is refused"))
    assert time.monotonic() - began < 45, "the agent waits a minute; nobody may wait for it"


async def test_used_up_money_ends_the_agent_as_what_it_is(tmp_path: Path) -> None:
    told = await _worked(tmp_path, BudgetError("2 of 2 USD are spent"))
    assert isinstance(told, Declined)
    assert (told.reason, told.detail) == (ReasonCode.budget, "2 of 2 USD are spent")


async def test_another_error_of_the_model_is_the_agents_to_mend(tmp_path: Path) -> None:
    error = LlmError("too long")
    sandbox = Processes(image_digest="none")
    model = _Ends()
    model._error = (error,)
    relay = Relay(sandbox, _Desk(model, 5).answer)
    task = await _serving(relay)
    script = _ASKS_AND_WAITS.replace("time.sleep(60)", "")
    result = await sandbox.exec([sys.executable, "-c", script, f"http://127.0.0.1:{relay.port}"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert result.stdout.strip() == b"answered 502"


def test_a_group_is_told_as_what_began_it() -> None:
    began = LlmAuthError("key")
    group = ExceptionGroup("g", [SandboxLostError("gone"), ExceptionGroup("h", [SandboxError("none"), began])])
    assert cause_of(group) is began
