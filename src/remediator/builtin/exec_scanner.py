"""Scans with any program that the operator names and that prints SARIF."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from remediator.contracts import Scanner, Tree, Workspace
from remediator.errors import ConfigError, ScanError
from remediator.program import ProgramLimits, closed_environment, find_program, run_program
from remediator.records import Covered, ScanItem
from remediator.records.sarif import SarifReading, read_sarif


class ExecScanner(Scanner):
    """Runs a program in a folder that holds the tree's files, and reads the SARIF that it prints. It gets nothing of our environment."""

    name: ClassVar[str] = "exec"

    argv: tuple[str, ...] = Field(min_length=1, description="The program and its arguments; it runs where the files are.")
    endings: tuple[str, ...] = Field(
        default=(), description="Only files that end so are shown to it, and it reads all of these; empty: every file."
    )
    timeout_seconds: float = Field(default=600.0, gt=0, le=86_400)
    output_bytes: int = Field(default=64 * 1024 * 1024, ge=1, description="More output than this makes the scan fail.")
    memory_mb: int = Field(default=4096, ge=64)

    def version(self) -> str:
        """Return the command."""
        return " ".join(self.argv)

    async def scan(self, workspace: Workspace) -> AsyncIterator[ScanItem]:
        """Yield what the program reports. Raises ScanError where it does not start, does not end, or prints no SARIF."""
        limits = ProgramLimits(self.timeout_seconds, self.output_bytes, self.memory_mb * 1024 * 1024)
        paths = await asyncio.to_thread(shown_paths, workspace, self.endings)
        if not paths:
            return
        reading = await sarif_of(self.argv, paths, workspace, scanner=self.name, limits=limits)
        for item in items_of(reading, self.name, workspace, vouched=paths if self.endings else ()):
            yield item


def shown_paths(workspace: Workspace, endings: Sequence[str]) -> tuple[str, ...]:
    """Return the regular files of the workspace's scope that end so. Blocks."""
    wanted = None if workspace.paths is None else frozenset(workspace.paths)
    return tuple(
        entry.path
        for entry in workspace.tree.entries()
        if entry.is_file and (wanted is None or entry.path in wanted) and (not endings or entry.path.endswith(tuple(endings)))
    )


async def sarif_of(argv: Sequence[str], paths: Sequence[str], workspace: Workspace, *, scanner: str, limits: ProgramLimits) -> SarifReading:
    """Run a program on files of the tree and read the SARIF that it prints.

    Raises ScanError where it does not start, does not end, or prints no SARIF.
    """
    program = await asyncio.to_thread(find_program, argv[0])
    root = await asyncio.to_thread(workspace.materialise, paths)
    home = workspace.scratch / "home"
    await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
    result = await run_program([str(program), *argv[1:]], cwd=root, env=closed_environment(home, program), limits=limits)
    if result.timed_out:
        raise ScanError(f"{argv[0]} did not end within {limits.timeout_seconds:g} seconds", hint="raise `timeout_seconds`")
    if result.truncated:
        raise ScanError(f"{argv[0]} printed more than {limits.output_bytes} bytes", hint="raise `output_bytes`")
    try:
        return await asyncio.to_thread(read_tree_sarif, result.stdout, f"the output of {argv[0]}", scanner, workspace.tree, str(root))
    except ConfigError as error:
        said = f" (exit code {result.exit_code}: {result.complaint})" if result.complaint else f" (exit code {result.exit_code})"
        raise ScanError(error.message + said, hint=error.hint) from error


def read_tree_sarif(data: bytes, document: str, scanner: str, tree: Tree, root: str, suppressed: bool = True) -> SarifReading:
    """Read a SARIF log against a tree. Blocks. Raises ConfigError where the log is malformed."""
    files = {entry.path for entry in tree.entries() if entry.is_file}

    def read(path: str) -> bytes | None:
        return tree.read(path) if path in files else None

    return read_sarif(data, document=document, scanner=scanner, read=read, root=root, suppressed=suppressed)


def items_of(reading: SarifReading, scanner: str, workspace: Workspace, *, vouched: Sequence[str] = ()) -> Iterator[ScanItem]:
    """Yield a reading's items within the workspace's scope. `vouched` are files that were read even where the log does not list them."""
    for note in reading.notes:
        workspace.note(f"{scanner}: {note}")
    scope = None if workspace.paths is None else frozenset(workspace.paths)
    unchecked = [item for item in reading.unchecked if scope is None or not item.path or item.path in scope]
    yield from (finding for finding in reading.findings if scope is None or not finding.path or finding.path in scope)
    yield from unchecked
    missed = {item.path for item in unchecked}
    paths = set() if "" in missed else {*reading.covered, *vouched} - missed
    yield Covered(scanner=scanner, paths=tuple(sorted(path for path in paths if scope is None or path in scope)))


def read_file(path: Path, limit_bytes: int) -> bytes:
    """Return a file's content. Blocks. Raises ConfigError where it cannot be read or is too large."""
    try:
        if path.stat().st_size > limit_bytes:
            raise ConfigError(f"{path} is larger than {limit_bytes} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="name an existing SARIF file") from error
