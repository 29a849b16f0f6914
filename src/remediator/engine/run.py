"""One run: from a target to closed cases, as two workflows of checkpointed steps."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from remediator.artefacts import ArtefactStore
from remediator.engine import plan
from remediator.engine.asker import Asking
from remediator.engine.durable import Durable, Json, Workflow
from remediator.engine.journal import Recorder
from remediator.engine.kit import Kit, open_kit
from remediator.engine.neighbours import removes
from remediator.engine.perform import Performer
from remediator.engine.project import Project
from remediator.engine.project_file import project_hints
from remediator.engine.request import FixRequest
from remediator.engine.supplied import HandedIn, handed_in
from remediator.errors import StateError
from remediator.playbook import Playbook
from remediator.records.case import Case
from remediator.records.event import Event, FindingReported, RunFinished, RunProgress, RunStarted, event_adapter
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.record import canonical_json, digest_of
from remediator.records.scan import ScanReport
from remediator.records.source import Source
from remediator.registry import Registry
from remediator.settings import Settings
from remediator.source import resolve


class Run:
    """What one run knows, and its two workflows: `repo_run` and, for each finding, `fix_case`."""

    def __init__(
        self,
        run_id: str,
        request: FixRequest,
        playbook: Playbook,
        settings: Settings,
        registry: Registry,
        recorder: Recorder,
        asking: Asking,
    ) -> None:
        self.id = run_id
        self.request = request
        self._playbook = playbook
        self._settings = settings
        self._registry = registry
        self._recorder = recorder
        self._asking = asking
        self._supplied = request.reproducer
        self._project: asyncio.Future[Project] = asyncio.get_running_loop().create_future()
        self._notes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def workflows(self) -> dict[str, Workflow]:
        """Return the workflows by name."""
        return {"repo_run": self.repo_run, "fix_case": self.fix_case}

    async def repo_run(self, durable: Durable, argument: Json) -> Json:
        """Check out, scan, and bring every finding's case to its end."""
        async with open_kit(self._playbook, self._registry, self._settings.defaults_for) as kit:
            await durable.step("resolve", lambda: self._resolve(kit))
            source = Source.model_validate(await durable.step("checkout", self._checkout))
            project = await self._open(source, kit)
            given = await asyncio.to_thread(handed_in, self.request, source, project.base)
            scan = await durable.step("scan", lambda: self._scan(project, given))
            project.remember(ScanReport.from_json(project.artefacts.get(scan["report"])))
            if not self._project.done():
                self._project.set_result(project)
            await self._work(durable, project, (await project.scan(project.base)).known)
            return await durable.step("report", self._report)

    async def _resolve(self, kit: Kit) -> Json:
        configuration = self.configuration(kit)
        await self._tell(RunStarted(run_id=self.id, at=_now(), target=self.request.target, configuration=configuration), "started")
        return configuration

    def configuration(self, kit: Kit) -> Json:
        """Return what the run depends on besides the target: playbook, plugins and versions."""
        from remediator import __version__

        plugins = {plugin.name: plugin.version for plugin in self._registry.plugins() if plugin.state == "ok"}
        request = self.request.model_copy(update={"resume": False}).as_json()
        return {
            "remediator": __version__,
            "playbook": self._playbook.resolved(),
            "plugins": plugins,
            "components": kit.versions(),
            "request": request,
        }

    async def _checkout(self) -> Json:
        await self._progress("checkout", "started", self.request.target)
        resolved = await resolve(
            self.request.target,
            revision=self.request.revision,
            folder=self._settings.state / "stores",
            env=self._settings.network_env(),
            offline=self._settings.offline,
        )
        await self._progress("checkout", "finished", resolved.source.uri, source=resolved.source)
        found: Json = resolved.source.as_json()
        return found

    async def _open(self, source: Source, kit: Kit) -> Project:
        return await open_project(source, kit, self._settings, self._note)

    async def _scan(self, project: Project, given: HandedIn) -> Json:
        self.request.check_paths(project.base)
        await self._progress("scan", "started")
        for doubt in given.doubts:
            self._note(doubt)
        report = (await project.scan(project.base)).model_copy(update={"supplied": given.findings})
        digest = await asyncio.to_thread(project.keep, "scan.json", canonical_json(report.as_json()))
        count = len(report.findings)
        facts = {
            "findings": count,
            "supplied": len(given.findings),
            "covered": len(report.covered),
            "unchecked": [item.as_json() for item in report.unchecked[:200]],
            "uncovered": report.uncovered,
            "scanners": report.scanners,
            "report": digest,
        }
        await self._progress("scan", "finished", f"{count} finding{'s' * (count != 1)}", data=facts)
        return {"report": digest}

    async def _work(self, durable: Durable, project: Project, findings: Sequence[Finding]) -> None:
        wanted = sorted((finding for finding in findings if self.request.wants(finding)), key=_lane)
        slots = asyncio.Semaphore(self._settings.concurrency.cases)  # bounds the sandboxes that run at the same time

        async def chain(same_file: Sequence[Finding]) -> None:
            # Cases of one file go one after the other: a proven patch often removes its neighbours' findings too.
            async with slots:
                for finding in same_file:
                    case_id = identify(project.source, finding)
                    await durable.child("fix_case", f"{self.id}.{case_id}", {"case": case_id, "finding": finding.id})

        async with asyncio.TaskGroup() as group:
            for _, same_file in groupby(wanted, key=_lane):
                group.create_task(chain(tuple(same_file)))

    async def fix_case(self, durable: Durable, argument: Json) -> Json:
        """Bring one case to its end: plan, perform one step, remember it."""
        project = await asyncio.shield(self._project)
        begun = await durable.step("begin", lambda: self._begin(project, argument["case"], argument["finding"]))
        events: list[Event] = [event_adapter.validate_python(begun["event"])]
        authors = [plan.SUPPLIED] if self._supplied else []
        authors += [fixer.name for fixer in project.kit.fixers if fixer.reproduces]
        number = 0
        while True:
            case = Case.replay(events)
            assert case is not None
            minutes = (events[-1].at - events[0].at).total_seconds() / 60
            required = project.required_for(case.finding)
            step = plan.next_step(self._playbook, case, minutes=minutes, fixed_by=begun["fixed_by"], authors=authors, required=required)
            if step is None:
                return {"case": case.id}
            number += 1
            done = await durable.step(type(step).__name__.lower(), self._performed(project, case, step, number, minutes))
            events += [event_adapter.validate_python(event) for event in done["events"]]

    async def _begin(self, project: Project, case_id: str, finding_id: str) -> Json:
        finding = next(finding for finding in (await project.scan(project.base)).known if finding.id == finding_id)
        event = FindingReported(run_id=self.id, case_id=case_id, at=_now(), finding=finding)
        await self._tell(event, f"{case_id}:0")
        return {"event": event.as_json(), "fixed_by": await self._fixed_by(project, finding)}

    async def _fixed_by(self, project: Project, finding: Finding) -> str:
        """Return the case of this run whose proven patch already removes the finding. Of an unseen one no scan can tell."""
        if finding.unseen_by({scanner.name for scanner in project.kit.scanners}):
            return ""
        for case in self._recorder.journal.cases(self.id):
            if case.finding.path != finding.path or case.finding.id == finding.id or not case.fixed or case.best is None:
                continue
            if await _removes(project, case.best[0], finding):
                return case.id
        return ""

    def _performed(self, project: Project, case: Case, step: plan.Step, number: int, minutes: float) -> Callable[[], Any]:
        async def body() -> Json:
            told = 0

            async def tell(event: Event) -> None:
                nonlocal told
                told += 1
                await self._tell(event, f"{case.id}:{number}.{told}")

            label = f"{number}-{type(step).__name__.lower()}"
            asker = self._asking.for_step(case.id, label, self._playbook.limits, minutes_used=minutes)
            performer = Performer(project, self.id, self._settings.state, asker, self._supplied)
            events = await performer.perform(case, step, tell)
            for place, event in enumerate(events):
                await self._tell(event, f"{case.id}:{number}" if len(events) == 1 else f"{case.id}:{number}.event-{place}")
            return {"events": [event.as_json() for event in events]}

        return body

    async def _report(self) -> Json:
        await self._drained()
        await self._tell(RunFinished(run_id=self.id, at=_now(), outcome="finished"), "finished")
        return {"run": self.id}

    async def _tell(self, event: Event, key: str) -> None:
        await self._recorder.record(event, f"{self.id}:{key}")

    async def _progress(self, phase: str, state: Any, message: str = "", **more: Any) -> None:
        event = RunProgress(run_id=self.id, at=_now(), phase=phase, state=state, message=message, **more)
        await self._tell(event, f"{phase}:{state}")

    def _note(self, message: str, **facts: Any) -> None:
        """Remember a remark of a component; called from synchronous code, so the telling is a task of its own."""
        phase = str(facts.pop("phase", "noted"))
        self._notes += 1
        plain = {key: value if isinstance(value, str | int | float | bool | None) else str(value) for key, value in facts.items()}
        event = RunProgress(run_id=self.id, at=_now(), phase=phase, message=message, data=plain)
        task = asyncio.ensure_future(self._tell(event, f"note:{event.at.isoformat()}:{self._notes}"))
        self._tasks.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A journal that cannot be written stops the run at its next event; a remark that it lost is not told on top.
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, StateError):
            raise error

    async def _drained(self) -> None:
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))


def identify(source: Source, finding: Finding) -> str:
    """Return the id of a finding's case: the same in every run on the same source."""
    return "fx-" + digest_of(f"{source.name}\0{finding.id}".encode("utf-8", "surrogateescape"))[7:15]


async def open_project(source: Source, kit: Kit, settings: Settings, note: Callable[..., None]) -> Project:
    """Open a checked-out source for work."""
    from remediator.source import reopen

    store, tree = await asyncio.to_thread(reopen, source, settings.state / "stores")
    hints = project_hints(settings.hints_for(source.name, source.uri), tree, note)
    return Project(
        source=source,
        store=store,
        base=tree,
        kit=kit,
        artefacts=ArtefactStore(settings.state / "artefacts"),
        state=settings.state,
        hints=hints,
        note=note,
        redact=lambda text: settings.redactor()(text),
    )


@contextlib.asynccontextmanager
async def project_of(
    target: str, revision: str | None, playbook: Playbook, registry: Registry, settings: Settings, note: Callable[..., None]
) -> AsyncIterator[Project]:
    """Open a target for a one-shot command: no run, no journal."""
    async with open_kit(playbook, registry, settings.defaults_for) as kit:
        resolved = await resolve(
            target, revision=revision, folder=settings.state / "stores", env=settings.network_env(), offline=settings.offline
        )
        yield await open_project(resolved.source, kit, settings, note)


async def _removes(project: Project, patch: Patch, finding: Finding) -> bool:
    tree = await asyncio.to_thread(project.store.apply, project.base, patch.diff)
    before = await project.scan(project.base)
    return removes(patch.diff, finding, before, await project.scan(tree, (finding.path,)))


def run_folder(state: Path, run_id: str) -> Path:
    """Return where a run keeps its engine's database."""
    if "/" in run_id or run_id.startswith("."):
        raise StateError(f"{run_id!r} is no run id")
    return state / "runs" / run_id


def _lane(finding: Finding) -> str:
    return finding.path or finding.id


def _now() -> datetime:
    return datetime.now(UTC)
