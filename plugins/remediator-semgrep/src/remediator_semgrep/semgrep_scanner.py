"""Scans with semgrep: any rules, offline, and honest about what it could not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from remediator.contracts import Scanner, Workspace
from remediator.errors import RemediatorError
from remediator.records import Covered, ScanItem, Unchecked
from remediator_semgrep.python_syntax import complaints
from remediator_semgrep.report import Reader
from remediator_semgrep.rule_set import RuleSet
from remediator_semgrep.semgrep_program import Report, SemgrepProgram, find_semgrep, installed_version
from remediator_semgrep.targets import Staged, Target, batches, choose, stage

_FAILURES = 64


class SemgrepScanner(Scanner):
    """Runs semgrep with the named rules: files, folders, or `builtin:python`."""

    name: ClassVar[str] = "semgrep"

    rules: tuple[str, ...] = Field(default=("builtin:python",), description="Rule files, folders of them, or `builtin:python`.")
    binary: str = Field(default="", description="Path to semgrep; empty: next to the interpreter, else on PATH.")
    timeout_seconds: float = Field(default=20.0, ge=1, le=600, description="For one rule on one file.")
    max_memory_mb: int = Field(default=3000, ge=256, description="For one file.")
    max_file_bytes: int = Field(default=8_000_000, ge=1, description="Larger files are reported as not read.")
    jobs: int = Field(default=2, ge=1, le=64, description="How many files at a time.")

    def version(self) -> str:
        """Return semgrep's version and the digest of the rules, as far as they can be had."""
        try:
            program = installed_version(find_semgrep(self.binary)) or "unknown version"
            return f"semgrep {program}, rules {RuleSet.load(self.rules).digest[:16]}"
        except RemediatorError as error:
            return f"not usable: {error.message}"

    async def scan(self, workspace: Workspace) -> AsyncIterator[ScanItem]:
        """Scan the tree in batches.

        Raises ConfigError where a rule is malformed, ScanError where semgrep is missing or does not work.
        """
        rules = await asyncio.to_thread(RuleSet.load, self.rules)
        binary = await asyncio.to_thread(find_semgrep, self.binary)
        choice = await asyncio.to_thread(choose, workspace.tree, workspace.paths, rules.languages, self.max_file_bytes)
        program = SemgrepProgram(binary, (), self.jobs, self.timeout_seconds, self.max_memory_mb)
        program = await program.proven(rules, workspace.scratch)
        if choice.links:
            workspace.note(f"semgrep: {choice.links} symbolic links are not followed", links=choice.links)
        for entry in choice.too_large:
            detail = f"{entry.size} bytes, more than {self.max_file_bytes}"
            yield Unchecked(scanner=self.name, path=entry.path, reason="too-large", detail=detail)
        scan = _Scan(self, workspace, rules, program)
        for batch in batches(choice.targets):
            async for item in scan.batch(batch):
                yield item


class _Scan:
    def __init__(self, scanner: SemgrepScanner, workspace: Workspace, rules: RuleSet, program: SemgrepProgram) -> None:
        self.scanner, self.workspace, self.rules, self.program = scanner, workspace, rules, program
        self.failures = 0

    async def batch(self, batch: Sequence[Target]) -> AsyncIterator[ScanItem]:
        """Scan some files; where that fails as a whole, halve it until the file that is to blame stands alone."""
        root = await asyncio.to_thread(self.workspace.materialise, [target.path for target in batch])
        staged = await asyncio.to_thread(stage, root, batch)
        for path, why in staged.missing.items():
            yield Unchecked(scanner=self.scanner.name, path=path, reason="unreadable", detail=why)
        scratch = self.workspace.scratch
        seconds = 120.0 + len(staged.there) * self.scanner.timeout_seconds
        report = await self.program.run(self.rules.files, root, scratch, seconds=min(seconds, 1800.0))
        if not report.failure:
            for item in await self._read(staged, report.json):
                yield item
        await asyncio.to_thread(_remove, root)
        if report.failure:
            async for item in self._after(report, batch):
                yield item

    async def _after(self, report: Report, batch: Sequence[Target]) -> AsyncIterator[ScanItem]:
        # One hostile file must not hide the rest; but a semgrep that always fails is not asked for each file.
        self.failures += 1
        if len(batch) > 1 and self.failures < _FAILURES:
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                async for item in self.batch(half):
                    yield item
            return
        reason = "timeout" if report.timed_out else "scanner-error"
        for target in batch:
            yield Unchecked(scanner=self.scanner.name, path=target.path, reason=reason, detail=report.failure)

    async def _read(self, staged: Staged, report: dict[str, object]) -> list[ScanItem]:
        reader = Reader(self.scanner.name, self.rules, staged.there, self.workspace.tree.read)
        broken = await self._broken(staged)
        items: list[ScanItem] = list(await asyncio.to_thread(lambda: list(reader.findings(report))))
        unchecked = [*reader.unchecked(report), *broken]
        bad = {item.path for item in [*items, *unchecked] if isinstance(item, Unchecked)}
        covered = () if "" in bad else tuple(sorted(target.path for target in staged.there.values() if target.path not in bad))
        return [*items, *_once(unchecked), Covered(scanner=self.scanner.name, paths=covered)]

    async def _broken(self, staged: Staged) -> list[Unchecked]:
        names = [name for name, target in staged.there.items() if target.is_python]
        found = await complaints(staged.root, names, scratch=self.workspace.scratch)
        name = self.scanner.name
        return [Unchecked(scanner=name, path=staged.there[at].path, reason="parse-error", detail=why) for at, why in sorted(found.items())]


def _once(unchecked: Sequence[Unchecked]) -> list[Unchecked]:
    """Return at most one item for each file and reason."""
    return list({(item.path, item.reason): item for item in unchecked}.values())


def _remove(root: Path) -> None:
    import shutil

    shutil.rmtree(root, ignore_errors=True)
