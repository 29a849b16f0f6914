"""A way out of a sandbox without network for one kind of request: HTTP on its loopback, carried by commands, answered on the host.

`serve.py` runs inside, as the observer, and keeps requests in a folder that the tree's user cannot enter. `take.py` prints the next one,
`give.py` hands its answer back. No port of the host is ever reachable from inside.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from importlib import resources
from typing import NamedTuple

from remediator.contracts import ExecStatus, Sandbox
from remediator.errors import LlmError, RemediatorError, SandboxError, SandboxLostError

_PYTHON = "/usr/bin/python3"
_START_SECONDS, _TAKE_SECONDS = 20.0, 30.0
_MOST_BYTES = 16 * 1024 * 1024


class Asked(NamedTuple):
    """A request as it came in: everything in it is hostile."""

    method: str
    path: str
    body: bytes


class Answered(NamedTuple):
    """What is sent back."""

    status: int
    content_type: str
    body: bytes


Handler = Callable[[Asked], Awaitable[Answered]]


class Relay:
    """Serves one sandbox. `port` is where the sandbox's own loopback listens."""

    def __init__(self, sandbox: Sandbox, handler: Handler) -> None:
        self._sandbox = sandbox
        self._handler = handler
        self._folder = f"/tmp/{secrets.token_hex(12)}"  # noqa: S108 - inside the sandbox, made there with 0700
        self.port = 20_000 + secrets.randbelow(20_000)

    async def serve(self, seconds: float, ready: asyncio.Event) -> None:
        """Serve until cancelled, or until the server's time is over. Requests are answered one after the other.

        Raises what the handler raises, SandboxError and its kinds; never a group of them.
        """
        try:
            async with asyncio.TaskGroup() as group:
                server = group.create_task(self._observe("serve", str(self.port), seconds=seconds))
                await self._until_ready()
                ready.set()
                while not server.done():
                    await self._one()
        except ExceptionGroup as failed:
            raise cause_of(failed) from failed

    async def _until_ready(self) -> None:
        for _ in range(int(_START_SECONDS / 0.2)):
            if json.loads(await self._observe("take", "0.1") or "{}").get("ready"):
                return
            await asyncio.sleep(0.2)
        raise SandboxError("the relay did not start in the sandbox")

    async def _one(self) -> None:
        told = json.loads(await self._observe("take", str(_TAKE_SECONDS), seconds=2 * _TAKE_SECONDS) or "{}")
        if "id" not in told:
            return
        asked = Asked(str(told["method"]), str(told["path"]), base64.b64decode(told["body"]))
        answered = await self._handler(asked)
        message = {
            "id": str(told["id"]),
            "status": answered.status,
            "type": answered.content_type,
            "body": base64.b64encode(answered.body).decode("ascii"),
        }
        await self._observe("give", stdin=json.dumps(message).encode("ascii"))

    async def _observe(self, script: str, *words: str, stdin: bytes = b"", seconds: float = 60.0) -> bytes:
        text = resources.files(__package__).joinpath(f"{script}.py").read_text("utf-8")
        result = await self._sandbox.exec(
            [_PYTHON, "-I", "-S", "-B", "-c", text, self._folder, *words],
            cwd="/",
            stdin=stdin,
            timeout_seconds=seconds,
            output_bytes=2 * _MOST_BYTES,
            observer=True,
        )
        if result.status is not ExecStatus.exited:
            raise SandboxLostError(f"the relay ended with {result.status}")
        return result.stdout


def cause_of(failed: ExceptionGroup[Exception]) -> Exception:
    """Return the one error that the others came from: a bug first, then what a model's answer ended, then a sandbox's end."""
    flat = list(_flat(failed))
    return min(flat, key=lambda error: (isinstance(error, RemediatorError), not isinstance(error, LlmError), not _is_cause(error)))


def _flat(failed: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in failed.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _flat(error)
        else:
            yield error


def _is_cause(error: Exception) -> bool:
    return not isinstance(error, SandboxLostError)
