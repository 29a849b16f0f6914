"""One command in a running container: its input, its capped output, its deadline and how it ended."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from remediator.builtin.docker_stream import Demux, Stream
from remediator.contracts import ExecStatus
from remediator.errors import SandboxError, SandboxLostError
from remediator.redact import printable

_FIRST_CHECK_SECONDS = 0.1
_CHECK_SECONDS = 1.0
_SETTLE_SECONDS = 0.2
_EXIT_SECONDS = 5.0


class Command(NamedTuple):
    """What to run and within which bounds."""

    argv: Sequence[str]
    user: str
    cwd: str
    env: Mapping[str, str]
    stdin: Iterable[bytes] | None
    timeout_seconds: float
    cap_bytes: int


class Outcome(NamedTuple):
    """How it ended. Whether memory ran out is not known here."""

    status: ExecStatus
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float


class Execution:
    """Runs one command and blocks until its end; `abort` ends the wait from another thread."""

    def __init__(self, api: Any, container: str, command: Command) -> None:
        self._api = api
        self._container = container
        self._command = command
        self._wake_read, self._wake_write = os.pipe()
        self._demux = Demux(command.cap_bytes)
        self._exec_id = ""

    def abort(self) -> None:
        """Make `run` return at once. The command goes on until the container is killed."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")

    def run(self) -> Outcome:
        """Run the command to its end, deadline or cap. Raises what the engine's client raises while nothing has begun."""
        try:
            return self._run()
        finally:
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _run(self) -> Outcome:
        command = self._command
        self._exec_id = self._api.exec_create(
            self._container,
            list(command.argv),
            stdin=command.stdin is not None,
            user=command.user,
            workdir=command.cwd,
            environment=dict(command.env),
        )["Id"]
        began = time.monotonic()
        stream = Stream(self._api.exec_start(self._exec_id, socket=True))
        try:
            status = self._pump(stream, began + command.timeout_seconds)
        finally:
            stream.close()
        exit_code = self._exit_code() if status is ExecStatus.exited else None
        if status is ExecStatus.exited and exit_code is None:
            status = ExecStatus.lost
        return Outcome(status, exit_code, bytes(self._demux.stdout), bytes(self._demux.stderr), time.monotonic() - began)

    def _pump(self, stream: Stream, deadline: float) -> ExecStatus:
        """Move bytes until the end. A process left behind may hold the output open: the engine is asked now and then."""
        sender = _Sender(stream, self._command.stdin)
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        pause = _FIRST_CHECK_SECONDS
        next_check = time.monotonic() + pause
        ended_at: float | None = None
        while True:
            now = time.monotonic()
            if now >= deadline:
                return ExecStatus.timeout
            if ended_at is not None and now >= ended_at + _SETTLE_SECONDS:
                return ExecStatus.exited
            if ended_at is None and now >= next_check:
                pause = min(_CHECK_SECONDS, pause * 2)
                next_check = now + pause
                ended_at = now if self._ended() else None
            poll.register(stream.socket, select.POLLIN | (select.POLLOUT if sender.pending else 0))
            until = min(deadline, next_check if ended_at is None else ended_at + _SETTLE_SECONDS)
            ready = dict(poll.poll(max(0.0, until - now) * 1000 + 1)) if not stream.has_early else {}
            if self._wake_read in ready:
                return ExecStatus.lost
            sender.step()
            data = stream.receive()
            if data == b"":
                return ExecStatus.exited
            if data and not self._demux.feed(data):
                return ExecStatus.truncated

    def _ended(self) -> bool:
        try:
            return not self._api.exec_inspect(self._exec_id)["Running"]
        except self._lost_errors():
            return True

    def _exit_code(self) -> int | None:
        """Return the exit code, or None where the engine does not tell one in time: an early end of the stream is not a result."""
        give_up = time.monotonic() + _EXIT_SECONDS
        pause = 0.002
        while time.monotonic() < give_up:
            try:
                state = self._api.exec_inspect(self._exec_id)
            except self._lost_errors():
                return None
            if not state["Running"]:
                code = state["ExitCode"]
                return None if code is None else int(code)
            time.sleep(pause)
            pause = min(0.1, pause * 2)
        return None

    @staticmethod
    def _lost_errors() -> tuple[type[Exception], ...]:
        from remediator.builtin.docker_engine import client_errors

        return client_errors()


class _Sender:
    """Feeds a command's input as fast as it is read."""

    def __init__(self, stream: Stream, chunks: Iterable[bytes] | None) -> None:
        self._stream = stream
        self._chunks: Iterator[bytes] = iter(chunks or ())
        self._part = memoryview(b"")
        self.pending = chunks is not None

    def step(self) -> None:
        """Send what fits now; after the last byte, say that the input is over."""
        while self.pending:
            if not self._part:
                chunk = next(self._chunks, None)
                if chunk is None:
                    self._stream.end_input()
                    self.pending = False
                    return
                self._part = memoryview(chunk)
                continue
            try:
                sent = self._stream.send(self._part)
            except OSError:
                self.pending = False
                return
            if not sent:
                return
            self._part = self._part[sent:]


def refuse_failure(outcome: Outcome, what: str, otherwise: str = "") -> None:
    """Raise SandboxError where a command of ours did not do its work, SandboxLostError where the container went away."""
    if outcome.status is ExecStatus.lost:
        raise SandboxLostError(f"the sandbox went away while it was asked {what}", hint="Open a fresh one.")
    if outcome.status is not ExecStatus.exited:
        raise SandboxError(f"the sandbox failed {what}: {outcome.status}")
    if outcome.exit_code != 0:
        told = (outcome.stderr or outcome.stdout).decode("utf-8", "replace").strip()[:300]
        raise SandboxError(otherwise or f"the sandbox failed {what}: exit {outcome.exit_code}: {printable(told)}")
