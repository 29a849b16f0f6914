"""A sandbox that is one Docker container, for steps that are asynchronous."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import PrivateAttr

from remediator.builtin.docker_cell import Cell
from remediator.builtin.docker_exec import Command, Outcome, refuse_failure
from remediator.builtin.docker_profile import JOB, WRITABLE, user_of
from remediator.contracts import ExecResult, ExecStatus, Limits, Sandbox, Tree
from remediator.errors import SandboxError

_SMALL = 64 * 1024
_FILE_SECONDS = 120.0

# Exit codes 61 and 62 are ours. `nonblock` keeps a FIFO from hanging us, `nofollow` a link from leading elsewhere.
_READ = (
    'if [ -L "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }; then exit 61; fi; if [ ! -r "$1" ]; then exit 62; fi; '
    'exec dd if="$1" iflag=nofollow,nonblock,count_bytes,fullblock bs=65536 count="$2" status=none'
)
_WRITE = (
    'umask 022; folder=$(dirname "$1") && mkdir -p "$folder" && part=$(mktemp "$folder/.remediator.XXXXXXXX") && '
    '{ cat > "$part" && [ "$(stat -c %s "$part")" = "$3" ] && chmod "$2" "$part" && mv -fT "$part" "$1" || { rm -f "$part"; exit 1; }; }'
)


class DockerContainer(Sandbox):
    """One container. Commands run as the user `runner`, with `observer` as the user of that name.

    What `write` puts under `/tmp` belongs to the observer: the tree's code can read it and not change it. Files under `/job`
    belong to the runner.
    """

    _cell: Cell = PrivateAttr()
    _in_thread: Callable[[Callable[[], Any], Callable[[], None]], Awaitable[Any]] = PrivateAttr()
    _limits: Limits = PrivateAttr()
    _env: Mapping[str, str] = PrivateAttr()

    @classmethod
    def around(
        cls,
        cell: Cell,
        in_thread: Callable[[Callable[[], Any], Callable[[], None]], Awaitable[Any]],
        *,
        limits: Limits,
        image_digest: str,
        env: Mapping[str, str],
    ) -> DockerContainer:
        """Return the asynchronous face of a cell; `env` is what every command gets."""
        made = cls(image_digest=image_digest)
        made._cell, made._in_thread, made._limits, made._env = cell, in_thread, limits, env
        return made

    @property
    def cell(self) -> Cell:
        """Return the container itself, for the provider."""
        return self._cell

    async def exec(
        self,
        argv: Sequence[str],
        *,
        cwd: str = JOB,
        env: dict[str, str] | None = None,
        stdin: bytes = b"",
        timeout_seconds: float = 300.0,
        output_bytes: int | None = None,
        observer: bool = False,
    ) -> ExecResult:
        """Run a command and wait for its end; see the contract."""
        chunks = (stdin,) if stdin else None
        cap = self._limits.output_bytes if output_bytes is None else output_bytes
        command = Command(tuple(argv), user_of(observer), cwd, {**self._env, **(env or {})}, chunks, timeout_seconds, cap)
        outcome = await self._run(command)
        return ExecResult(
            argv=tuple(argv),
            status=outcome.status,
            exit_code=outcome.exit_code,
            stdout=outcome.stdout,
            stderr=outcome.stderr,
            seconds=round(outcome.seconds, 4),
        )

    async def put(self, tree: Tree) -> None:
        """Make `/job` hold exactly the tree. Raises SandboxError when it does not fit."""
        _refuse_oversize(tree, self._limits)
        await self._in_thread(lambda: self._cell.put(tree), self._cell.abort)

    async def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Write one file by absolute path, under `/job` or `/tmp`. Raises SandboxError where it cannot be."""
        path = _checked(path)
        mode = "0755" if executable else "0644"
        await self._shell(_WRITE, path, mode, str(len(data)), stdin=data, observer=not path.startswith(JOB), what=f"to write {path}")

    async def read(self, path: str, *, limit_bytes: int = 16 * 1024 * 1024) -> bytes:
        """Return one regular file's content. Raises SandboxError when it is missing, not regular, or larger."""
        path = _checked(path)
        for observer in (True, False):  # nobody can reach into the observer's reading, so it comes first
            argv = ("/bin/sh", "-c", _READ, "sh", path, str(limit_bytes + 1))
            outcome = await self._run(Command(argv, user_of(observer), "/", {}, None, _FILE_SECONDS, limit_bytes + _SMALL))
            if outcome.exit_code == 0 and len(outcome.stdout) > limit_bytes:
                raise SandboxError(f"{path} is larger than {limit_bytes} bytes")
            if outcome.exit_code == 0:
                return outcome.stdout
            if outcome.exit_code == 61:
                raise SandboxError(f"{path} is not a regular file")
            if outcome.status is not ExecStatus.exited:
                break
        refuse_failure(outcome, f"to read {path}", otherwise=f"{path} is missing or unreadable")
        return b""

    async def _shell(self, script: str, *words: str, stdin: bytes | None = None, observer: bool = False, what: str) -> None:
        chunks: Iterable[bytes] | None = None if stdin is None else (stdin,)
        argv = ("/bin/sh", "-c", script, "sh", *words)
        refuse_failure(await self._run(Command(argv, user_of(observer), "/", {}, chunks, _FILE_SECONDS, _SMALL)), what)

    async def _run(self, command: Command) -> Outcome:
        outcome: Outcome = await self._in_thread(lambda: self._cell.run(command), self._cell.abort)
        return outcome


def _checked(path: str) -> str:
    """Return the path if it is absolute, plain and below a folder that may be written. Raises SandboxError."""
    inside = any(path.startswith(f"{folder}/") for folder in WRITABLE)
    if not inside or posixpath.normpath(path) != path or "\0" in path:
        raise SandboxError(f"not a plain path under {' or '.join(WRITABLE)}: {path!r}")
    return path


def _refuse_oversize(tree: Tree, limits: Limits) -> None:
    entries = tree.entries()
    size = sum(entry.size for entry in entries)
    if size > limits.disk_mb * 1024 * 1024 or len(entries) > limits.inodes:
        told = f"{len(entries)} files, {size} bytes"
        raise SandboxError(f"the tree does not fit: {told}", hint="Raise the sandbox limits `disk_mb` and `inodes`.")
