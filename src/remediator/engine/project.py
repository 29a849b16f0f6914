"""One project under repair: its trees, what scans and tests say of them, each measured once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from remediator import recipe
from remediator.artefacts import ArtefactStore, write_atomically
from remediator.contracts import Scanner, Tree
from remediator.engine.kit import Kit
from remediator.errors import RecipeError, SandboxUnavailableError, ScanError
from remediator.evidence.base import Base
from remediator.git import GitStore
from remediator.recipe.hints import Hints
from remediator.records.finding import Finding
from remediator.records.recipe import Baseline, Recipe
from remediator.records.record import canonical_json, digest_of
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.scan import Covered, ScanReport, Unchecked
from remediator.records.source import Source
from remediator.records.verdict import EvidenceLevel
from remediator.redact import Redactor

Note = Callable[..., None]


class Project:
    """What the steps of a run share. Results are kept by content, so a resumed run measures nothing twice."""

    def __init__(
        self,
        *,
        source: Source,
        store: GitStore,
        base: Tree,
        kit: Kit,
        artefacts: ArtefactStore,
        state: Path,
        hints: Hints,
        note: Note,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self.source = source
        self.store = store
        self.base = base
        self.kit = kit
        self.artefacts = artefacts
        self.hints = hints
        self.note = note
        self.redact = redact or Redactor()
        self._state = state
        self._scans: dict[tuple[str, tuple[str, ...] | None], ScanReport] = {}
        self._baseline: Baseline | None = None
        self._unprepared: RecipeError | SandboxUnavailableError | None = None
        self.packed: Base | None = None
        self._acceptances: dict[str, Acceptance] = {}
        self._reproducing = asyncio.Lock()  # one reproducer at a time: what two candidates ask for is measured once
        self._measuring = asyncio.Lock()  # one baseline at a time: every case waits for the same one

    def keep(self, name: str, data: bytes) -> str:
        """Keep an artefact; return its digest."""
        return self.artefacts.put(data)

    @contextlib.asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """Open a private folder that goes away."""
        parent = self._state / "tmp"
        await asyncio.to_thread(parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="step-", dir=parent))
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def scan(self, tree: Tree, paths: tuple[str, ...] | None = None) -> ScanReport:
        """Run all scanners of the playbook on a tree, or on some of its files. Raises ScanError where a scanner could not start."""
        known = self._scans.get((tree.id, paths))
        if known is None:
            known = self._scans[(tree.id, paths)] = await self._scan(tree, paths)
        return known

    def remember(self, report: ScanReport) -> None:
        """Take a full scan of the base from the journal instead of running it again."""
        self._scans[(self.base.id, None)] = report

    async def _scan(self, tree: Tree, paths: tuple[str, ...] | None) -> ScanReport:
        from remediator.engine.workspace import StepWorkspace

        findings: list[Finding] = []
        covered: set[str] = set()
        unchecked: list[Unchecked] = [
            Unchecked(scanner=name, path="", reason="scanner-error", detail="not installed") for name in self._lost()
        ]
        async with self.scratch() as folder:
            workspace = StepWorkspace(self, tree, folder, paths=paths)
            for scanner in self.kit.scanners:
                await _collect(scanner, workspace, findings, covered, unchecked)
        looked_at = [e.path for e in tree.entries() if e.is_file and (paths is None or e.path in set(paths))]
        return ScanReport(
            tree=tree.id,
            findings=tuple(sorted(_once(findings), key=_by_severity)),
            covered=tuple(sorted(covered)),
            unchecked=tuple(sorted(unchecked, key=lambda u: (u.path, u.scanner, u.reason))),
            uncovered=_uncovered(looked_at, covered | {u.path for u in unchecked}),
            scanners={scanner.name: scanner.version() for scanner in self.kit.scanners},
        )

    def _lost(self) -> list[str]:
        return [name.removeprefix("scanner:") for name in self.kit.missing if name.startswith("scanner:")]

    def required_for(self, finding: Finding, *, at_least: EvidenceLevel | None = None) -> EvidenceLevel:
        """Return the level that a fix has to reach: at least E4 where no scanner sees the flaw, so that nothing below shows it gone."""
        level = self.kit.playbook.required(finding.severity) if at_least is None else at_least
        unseen = finding.unseen_by({scanner.name for scanner in self.kit.scanners})
        return max(level, EvidenceLevel.E4) if unseen else level

    async def baseline(self) -> Baseline | None:
        """Build and test the base once; None where no recipe works. Raises SandboxUnavailableError."""
        async with self._measuring:
            if self._baseline is None and self._unprepared is None:
                try:
                    self._baseline = await self._measured()
                    self._tell_baseline(self._baseline)
                except (RecipeError, SandboxUnavailableError) as error:
                    self.note(f"no baseline: {error.message}", phase="prepare", hint=error.hint)
                    self._unprepared = error
        if isinstance(self._unprepared, SandboxUnavailableError):
            raise self._unprepared
        return self._baseline

    def _tell_baseline(self, baseline: Baseline) -> None:
        tests = len(baseline.runs[0].results) if baseline.runs else 0
        digest = self.keep("baseline.json", canonical_json(baseline.as_json()))
        of_all = f"{len(baseline.passing)} of {tests} test{'s' * (tests != 1)} pass"
        self.note(
            f"baseline: {baseline.recipe.name}: {of_all}, {len(baseline.flaky)} flaky",
            phase="baseline",
            report=digest,
            tests=tests,
            passing=len(baseline.passing),
            flaky=len(baseline.flaky),
            recipe=baseline.recipe.name,
            image=baseline.image,
        )

    @property
    def measured(self) -> Baseline | None:
        """Return the baseline where it was measured by now."""
        return self._baseline

    @property
    def unprepared(self) -> str:
        """Return why there is no baseline, or an empty string."""
        return self._unprepared.message if self._unprepared else ""

    @property
    def recipe(self) -> Recipe | None:
        """Return how the project is built and tested, once that was found out."""
        return None if self._baseline is None else self._baseline.recipe

    async def use_recipe(self, known: Recipe) -> None:
        """Measure the base with a recipe that is already known (a replay)."""
        provider = self.provider()
        image = await recipe.prepare(known, self.base, self.source, provider, keep=self.keep, note=self.note)
        self._baseline = await recipe.measure(known, image, self.base, provider, keep=self.keep, note=self.note)

    async def acceptance(self, reproducer: Reproducer, finding: Finding) -> Acceptance:
        """Return what a reproducer is worth on the base, measured once. Raises RecipeError where the project cannot be prepared."""
        from remediator.engine.reproduction import accepted

        baseline = await self.baseline()
        if baseline is None:
            raise RecipeError(f"the project cannot be prepared: {self.unprepared}", hint="say how in [recipe] of your settings")
        async with self._reproducing:
            known = self._acceptances.get(reproducer.id)
            if known is None:
                known = await accepted(reproducer, finding, baseline, self.base, self.provider(), keep=self.keep)
                self._acceptances[reproducer.id] = known
        return known

    def provider(self) -> Any:
        """Return the sandbox provider. Raises SandboxUnavailableError where the operator chose none."""
        if self.kit.provider is None:
            raise SandboxUnavailableError(
                "no sandbox: repository code never runs outside one", hint="use --sandbox docker; without one, evidence stops at E0"
            )
        return self.kit.provider

    async def _measured(self) -> Baseline:
        provider = self.provider()
        await provider.probe()
        path = self._state / "baselines" / f"{self._baseline_key()}.json"
        known = await asyncio.to_thread(_stored, path)
        if known is not None:
            image = await recipe.prepare(known.recipe, self.base, self.source, provider, keep=self.keep, note=self.note)
            if image == known.image:
                return known
            # Made anew, the image may hold other versions: what was measured on the old one says nothing of it.
            return await recipe.measure(known.recipe, image, self.base, provider, keep=self.keep, note=self.note)
        found = await recipe.establish(self.base, self.source, self.hints, provider, keep=self.keep, note=self.note)
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(write_atomically, path, canonical_json(found.as_json()))
        return found

    def _baseline_key(self) -> str:
        from remediator import __version__

        released = self.source.released.isoformat() if self.source.released else ""
        parts = [self.base.id, released, self.hints.digest(), __version__]
        return digest_of(canonical_json(parts))[7:]


def _stored(path: Path) -> Baseline | None:
    try:
        return Baseline.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        # Absent, or written by another version: measured again.
        return None


async def _collect(scanner: Scanner, workspace: Any, findings: list[Finding], covered: set[str], unchecked: list[Unchecked]) -> None:
    try:
        async for item in scanner.scan(workspace):
            if isinstance(item, Finding):
                findings.append(item)
            elif isinstance(item, Covered):
                covered.update(item.paths)
            else:
                unchecked.append(item)
    except ScanError as error:
        unchecked.append(Unchecked(scanner=scanner.name, path="", reason="scanner-error", detail=f"{error.message} {error.hint}".strip()))


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Return each finding once. What a report brings that a scanner of ours saw too, by the same tool, rule and place, is the same one."""
    seen_by: dict[tuple[object, ...], str] = {}
    kept: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda finding: bool(finding.tool)):
        if seen_by.setdefault(_sighting(finding), finding.scanner) == finding.scanner:
            kept[finding.id] = finding
    return list(kept.values())


def _sighting(finding: Finding) -> tuple[object, ...]:
    at = finding.location
    if at is None:
        return (finding.id,)
    # A tool's editions add words to its name.
    tool = (finding.tool or finding.scanner).casefold().split(" ")[0]
    return (tool, finding.rule_id, at.path, at.start_line, at.start_column)


def _by_severity(finding: Finding) -> tuple[int, str, int, str]:
    return (finding.severity.rank, finding.path, finding.location.start_line if finding.location else 0, finding.id)


def _uncovered(paths: Sequence[str], covered: set[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for path in paths:
        if path not in covered:
            ending = PurePosixPath(path).suffix or "(none)"
            counts[ending] = counts.get(ending, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
