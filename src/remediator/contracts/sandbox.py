"""Where repository code runs: the only place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import ClassVar

from remediator.contracts.component import Component
from remediator.contracts.tree import Tree
from remediator.records.record import Record


class ExecStatus(StrEnum):
    """How a command ended. Only `exited` gives an exit code that means something."""

    exited = "exited"
    timeout = "timeout"
    oom = "oom"
    truncated = "truncated"
    lost = "lost"


class ExecResult(Record):
    """What a command did. `truncated` output is cut at the cap and the container is gone: nothing in it may count as a pass."""

    argv: tuple[str, ...]
    status: ExecStatus
    exit_code: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Return whether the command ran to its end with exit code 0."""
        return self.status is ExecStatus.exited and self.exit_code == 0


class Limits(Record):
    """What a sandbox may use at the most."""

    memory_mb: int = 2048
    cpus: float = 2.0
    pids: int = 512
    disk_mb: int = 2048
    inodes: int = 200_000
    tmp_mb: int = 512
    output_bytes: int = 16 * 1024 * 1024


class Engine(Record):
    """What answers behind a sandbox provider."""

    name: str
    version: str
    runtime: str = ""
    warnings: tuple[str, ...] = ()


class SandboxSpec(Record):
    """What to open: an image made by `prepare` (or a base image's name) and limits. There is no network."""

    image: str
    limits: Limits = Limits()
    labels: dict[str, str] = {}


class PrepareSpec(Record):
    """What to prepare: a base image's name, and the key under which the result is kept."""

    image: str
    key: str
    limits: Limits = Limits(memory_mb=4096, disk_mb=8192, tmp_mb=2048)
    labels: dict[str, str] = {}


class Sandbox(Component):
    """One running container, used by one step and thrown away. Files are at `/job`, which is the working directory.

    Commands run as an unprivileged user. A command that times out, floods its output or exhausts memory takes the container with
    it: every later call raises SandboxLostError.
    """

    kind: ClassVar[str] = "open-sandbox"
    name: ClassVar[str] = "open-sandbox"

    image_digest: str = ""

    @abstractmethod
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
        """Run a command and wait for its end.

        With `observer`, it runs as a second user whose files and processes the first cannot touch (and the other way round);
        what the tree's code must not forge is collected there. Raises SandboxLostError when the container is gone before it starts,
        SandboxUnavailableError when the engine refuses.
        """

    @abstractmethod
    async def put(self, tree: Tree) -> None:
        """Make `/job` hold exactly the tree. Raises SandboxError when it does not fit."""

    @abstractmethod
    async def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Write one file by absolute path, under `/job` or `/tmp`."""

    @abstractmethod
    async def read(self, path: str, *, limit_bytes: int = 16 * 1024 * 1024) -> bytes:
        """Return one regular file's content. Raises SandboxError when it is missing, not regular, or larger."""


class SandboxProvider(Component):
    """Opens sandboxes."""

    kind: ClassVar[str] = "sandbox"

    @abstractmethod
    async def probe(self) -> Engine:
        """Return what answers. Raises SandboxUnavailableError with a hint where nothing does."""

    @abstractmethod
    def open(self, spec: SandboxSpec) -> AbstractAsyncContextManager[Sandbox]:
        """Open a fresh sandbox without network; leaving ends everything in it, whatever happens."""

    @abstractmethod
    def prepare(self, spec: PrepareSpec) -> AbstractAsyncContextManager[Sandbox]:
        """Open a sandbox with network, to install things in; see `keep`."""

    @abstractmethod
    async def keep(self, sandbox: Sandbox, spec: PrepareSpec) -> str:
        """Keep the file system of a sandbox that `prepare` opened (without `/job` and `/tmp`); return the image's digest."""

    @abstractmethod
    async def find(self, key: str) -> str | None:
        """Return the digest of the image kept under `key`, or None."""

    @abstractmethod
    async def sweep(self) -> int:
        """Remove what crashed runs of this installation left behind; return how many objects."""
