"""Runs one of the operator's own programs on this host: closed environment, limits, time-out, output cap.

Never for anything that comes from a target repository: that runs in a sandbox.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from remediator.errors import ScanError

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_STDERR_BYTES = 256 * 1024
_CHUNK = 64 * 1024
# Limits are set by a small program before it becomes the real one: a function run between fork and exec can deadlock.
_LAUNCHER = """
import os, resource, sys
memory, cpu, size = (int(word) for word in sys.argv[1:4])
for name, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu), (resource.RLIMIT_FSIZE, size), (resource.RLIMIT_CORE, 0)):
    if value >= 0:
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))
os.execv(sys.argv[4], sys.argv[4:])
"""


class ProgramLimits(NamedTuple):
    """What a program may use at the most; a negative number means no limit of ours."""

    timeout_seconds: float = 300.0
    output_bytes: int = 64 * 1024 * 1024
    memory_bytes: int = -1
    file_bytes: int = 1024 * 1024 * 1024


class ProgramResult(NamedTuple):
    """What a program did. `exit_code` is None where it was killed for its time or its output."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    truncated: bool = False

    @property
    def ended(self) -> bool:
        """Return whether it came to its own end, so that its output is whole."""
        return self.exit_code is not None

    @property
    def complaint(self) -> str:
        """Return the last lines that it wrote to its error stream."""
        lines = self.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        return "\n".join(lines[-5:])[-1000:]


def find_program(name: str) -> Path:
    """Return the absolute path of a program. Raises ScanError where there is none."""
    found = shutil.which(name)
    if found is None or not Path(found).is_absolute():
        raise ScanError(f"no program {name!r} was found", hint="name it by its absolute path, or put its folder on PATH")
    return Path(found)


def closed_environment(home: Path, program: Path) -> dict[str, str]:
    """Return an environment that holds nothing of ours but where programs and locales are."""
    path = f"{program.parent}:{SYSTEM_PATH}"
    return {"PATH": path, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


async def run_program(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes = b"", limits: ProgramLimits
) -> ProgramResult:
    """Run a program by absolute path to its end, or kill it and all that it started. Raises ScanError where it does not start."""
    if not Path(argv[0]).is_absolute():
        raise ScanError(f"{argv[0]!r} is not an absolute path")
    started = time.monotonic()
    cpu = int(limits.timeout_seconds * 8) + 60
    words = (str(limits.memory_bytes), str(cpu), str(limits.file_bytes))
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _LAUNCHER, *words, *argv,
            cwd=cwd, env=dict(env), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise ScanError(f"{argv[0]} does not start: {error.strerror}") from error
    run = _Run(process, stdin, limits.output_bytes)
    try:
        async with asyncio.timeout(limits.timeout_seconds):
            await run.to_its_end()
    except TimeoutError:
        run.timed_out = True
    finally:
        await _kill(process)
    code = None if run.timed_out or run.truncated else process.returncode
    seconds = time.monotonic() - started
    return ProgramResult(code, bytes(run.stdout), bytes(run.stderr), seconds, run.timed_out, run.truncated)


class _Run:
    def __init__(self, process: asyncio.subprocess.Process, stdin: bytes, cap: int) -> None:
        self.process, self.stdin, self.cap = process, stdin, cap
        self.stdout, self.stderr = bytearray(), bytearray()
        self.timed_out = self.truncated = False

    async def to_its_end(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed())
            group.create_task(self._drain_stderr())
            await self._drain_stdout()
        await self.process.wait()

    async def _feed(self) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(self.stdin)
            await self.process.stdin.drain()
            self.process.stdin.close()
        except (BrokenPipeError, ConnectionResetError):
            return

    async def _drain_stdout(self) -> None:
        assert self.process.stdout
        while chunk := await self.process.stdout.read(_CHUNK):
            self.stdout += chunk
            if len(self.stdout) > self.cap:
                del self.stdout[self.cap :]
                self.truncated = True
                _kill_group(self.process)
                return

    async def _drain_stderr(self) -> None:
        assert self.process.stderr
        while chunk := await self.process.stderr.read(_CHUNK):
            self.stderr += chunk
            del self.stderr[:-_STDERR_BYTES]


def _kill_group(process: asyncio.subprocess.Process) -> None:
    # The group is ours alone: the program was started as the leader of a new session.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


async def _kill(process: asyncio.subprocess.Process) -> None:
    _kill_group(process)
    if process.returncode is None:
        await process.wait()
