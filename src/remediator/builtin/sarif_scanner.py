"""Takes the findings of SARIF files that another tool wrote."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from remediator.builtin.exec_scanner import items_of, read_file, read_tree_sarif, sarif_of, shown_paths
from remediator.contracts import Scanner, Workspace
from remediator.errors import ConfigError
from remediator.program import ProgramLimits
from remediator.records import ScanItem, Unchecked
from remediator.records.scan import CANNOT_RERUN

_FILE_BYTES = 64 * 1024 * 1024
_STATIC = "a SARIF file cannot be re-run"


class SarifScanner(Scanner):
    """Reads findings from files. On a patched tree a file proves nothing: only `command`, which runs the tool again, does."""

    name: ClassVar[str] = "sarif"

    files: tuple[Path, ...] = Field(default=(), description="SARIF 2.1.0 files.")
    root: str = Field(default="", description="The folder that the tool ran in, where the file has absolute locations.")
    suppressed: bool = Field(default=True, description="Whether suppressed results are findings too.")
    command: tuple[str, ...] = Field(default=(), description="How to run the tool again; it prints SARIF.")
    timeout_seconds: float = Field(default=600.0, gt=0, le=86_400, description="For `command`.")

    def version(self) -> str:
        """Return the digest of the files, or why there is none."""
        digest = hashlib.sha256()
        try:
            for path in self.files:
                digest.update(hashlib.sha256(read_file(path, _FILE_BYTES)).digest())
        except ConfigError as error:
            return f"not usable: {error.message}"
        return digest.hexdigest()[:16]

    async def scan(self, workspace: Workspace) -> AsyncIterator[ScanItem]:
        """Yield the files' findings on the unpatched tree, or what `command` finds on a patched one.

        Raises ConfigError where a file is missing or malformed, ScanError where the command fails.
        """
        if workspace.tree.id == workspace.base.id:
            for path in self.files:
                data = await asyncio.to_thread(read_file, path, _FILE_BYTES)
                reading = await asyncio.to_thread(read_tree_sarif, data, str(path), self.name, workspace.tree, self.root, self.suppressed)
                for item in items_of(reading, self.name, workspace):
                    yield item
            return
        if not self.files:
            return
        if self.command:
            async for item in self._again(workspace):
                yield item
            return
        for name in workspace.paths if workspace.paths is not None else ("",):
            yield Unchecked(scanner=self.name, path=name, reason=CANNOT_RERUN, detail=_STATIC)

    async def _again(self, workspace: Workspace) -> AsyncIterator[ScanItem]:
        paths = await asyncio.to_thread(shown_paths, workspace, ())
        if not paths:
            return
        limits = ProgramLimits(timeout_seconds=self.timeout_seconds)
        reading = await sarif_of(self.command, paths, workspace, scanner=self.name, limits=limits)
        for item in items_of(reading, self.name, workspace, vouched=paths):
            yield item
