"""A sandbox in memory: it runs nothing, and answers commands with what the test scripted."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import ClassVar

from pydantic import PrivateAttr

from remediator.contracts import Engine, ExecResult, ExecStatus, PrepareSpec, Sandbox, SandboxProvider, SandboxSpec, Tree
from remediator.errors import SandboxError, SandboxLostError

Answer = Callable[[tuple[str, ...]], ExecResult]


def done(argv: Sequence[str], *, exit_code: int = 0, stdout: bytes = b"", status: ExecStatus = ExecStatus.exited) -> ExecResult:
    """Return the result of a command that ended."""
    return ExecResult(argv=tuple(argv), status=status, exit_code=exit_code if status is ExecStatus.exited else None, stdout=stdout)


class FakeSandbox(Sandbox):
    """Holds files in a dictionary; a scripted result that is not `exited` ends it, as in a real one."""

    _files: dict[str, bytes] = PrivateAttr(default_factory=dict)
    # Held in a tuple: pydantic binds a bare function to the model.
    _answer: tuple[Answer] = PrivateAttr(default=(done,))
    _lost: bool = PrivateAttr(default=False)

    def scripted(self, answer: Answer) -> FakeSandbox:
        """Answer commands by this function; return self."""
        self._answer = (answer,)
        return self

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
        """Return what the script says. Raises SandboxLostError after a command that took the sandbox with it."""
        self._check()
        result = self._answer[0](tuple(argv))
        self._lost = result.status is not ExecStatus.exited
        return result

    async def put(self, tree: Tree) -> None:
        """Hold exactly the tree's files."""
        self._check()
        self._files = {f"/job/{entry.path}": tree.read(entry.path) for entry in tree.entries() if entry.is_file}

    async def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Hold one more file."""
        self._check()
        if not path.startswith(("/job/", "/tmp/")):  # noqa: S108 - a path inside the sandbox
            raise SandboxError(f"{path} is outside /job and /tmp")
        self._files[path] = data

    async def read(self, path: str, *, limit_bytes: int = 16 * 1024 * 1024) -> bytes:
        """Return one file. Raises SandboxError."""
        self._check()
        data = self._files.get(path)
        if data is None or len(data) > limit_bytes:
            raise SandboxError(f"{path} is not there" if data is None else f"{path} is larger than {limit_bytes} bytes")
        return data

    def _check(self) -> None:
        if self._lost:
            raise SandboxLostError("the sandbox is gone")


class FakeSandboxProvider(SandboxProvider):
    """Opens fake sandboxes and keeps what was prepared by key."""

    name: ClassVar[str] = "fake"

    # Held in a tuple: pydantic binds a bare function to the model.
    _answer: tuple[Answer] = PrivateAttr(default=(done,))
    _kept: dict[str, str] = PrivateAttr(default_factory=dict)

    def scripted(self, answer: Answer) -> FakeSandboxProvider:
        """Answer commands in every sandbox by this function; return self."""
        self._answer = (answer,)
        return self

    async def probe(self) -> Engine:
        """Return a made-up engine."""
        return Engine(name="fake", version="0")

    @contextlib.asynccontextmanager
    async def open(self, spec: SandboxSpec) -> AsyncIterator[Sandbox]:
        """Open an empty sandbox."""
        yield FakeSandbox(image_digest=spec.image).scripted(self._answer[0])

    @contextlib.asynccontextmanager
    async def prepare(self, spec: PrepareSpec) -> AsyncIterator[Sandbox]:
        """Open an empty sandbox."""
        yield FakeSandbox(image_digest=spec.image).scripted(self._answer[0])

    @contextlib.asynccontextmanager
    async def holding(self, tree: Tree) -> AsyncIterator[Sandbox]:
        """Open a sandbox that holds a tree."""
        async with self.open(SandboxSpec(image="fake")) as sandbox:
            await sandbox.put(tree)
            yield sandbox

    async def keep(self, sandbox: Sandbox, spec: PrepareSpec) -> str:
        """Remember that the key was prepared."""
        self._kept[spec.key] = f"sha256:{spec.key}"
        return self._kept[spec.key]

    async def find(self, key: str) -> str | None:
        """Return what was kept under the key."""
        return self._kept.get(key)

    async def sweep(self) -> int:
        """Do nothing."""
        return 0
