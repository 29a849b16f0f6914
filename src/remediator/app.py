"""Composition root and library API: `async with Remediator.open(settings) as r: await r.fix(FixRequest(target=...))`."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from remediator.artefacts import ArtefactStore, private_folder
from remediator.contracts import Llm, Observer, SandboxProvider
from remediator.engine.asker import Asking
from remediator.engine.asking import Purse
from remediator.engine.journal import Journal, Recorder, RunSummary
from remediator.engine.ledger import Ledger
from remediator.engine.model_use import check_models
from remediator.engine.overriding import overridden
from remediator.engine.project import Project
from remediator.engine.request import FixRequest, RunReport
from remediator.engine.resuming import resumed
from remediator.engine.run import Run, project_of, run_folder
from remediator.engine.supplied import handed_in
from remediator.engine.telling import telling
from remediator.errors import PatchError, StateError, StoppedError, UsageError
from remediator.evidence.replay import ReplayReport
from remediator.playbook import Playbook, check_playbook, load_playbook, make
from remediator.records.case import Case
from remediator.records.event import Event, RunFinished, RunProgress
from remediator.records.finding import Finding
from remediator.records.patch import Patch, ReasonCode
from remediator.records.recipe import Baseline
from remediator.records.scan import ScanReport
from remediator.records.verdict import Check, Verdict
from remediator.redact import printable
from remediator.registry import Registry
from remediator.settings import Settings

if TYPE_CHECKING:
    from remediator.engine.replay import OwnWay
    from remediator.recipe.hints import Hints

_log = structlog.get_logger()


class Remediator:
    """Everything that the command line can do, for programs."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        journal: Journal,
        observers: Sequence[Observer],
        models: Mapping[str, Llm],
    ) -> None:
        self.settings = settings
        self.ledger = Ledger(settings.state / "ledger.sqlite")
        self._models = dict(models)
        self.registry = registry
        self.journal = journal
        self._recorder = Recorder(journal, observers)
        self._drain: Callable[[], None] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: Settings, *, observers: Sequence[Observer] = (), models: Mapping[str, Llm] | None = None
    ) -> AsyncIterator[Remediator]:
        """Open the state folder and load the plugins. `models` go before those of the settings. Raises StateError, PluginError."""
        await asyncio.to_thread(private_folder, settings.state)
        registry = Registry.load(enabled=settings.plugins, files=settings.plugin_files, builtin_only=settings.no_plugins)
        # Asked anew each time: keys that are read later are blanked from then on.
        journal = Journal(settings.state / "journal.sqlite", redactor=lambda text: settings.redactor()(text))
        app = cls(settings, registry, journal, observers, models or {})
        try:
            yield app
        finally:
            app.ledger.close()
            journal.close()

    # -- runs ----------------------------------------------------------------------------------------------------------

    async def fix(self, request: FixRequest) -> RunReport:
        """Scan, fix, verify and hand over. Cancelled, it leaves nothing behind and can be resumed."""
        from remediator.engine.durable import open_durable

        began = time.monotonic()
        run_id, request, again = self._which_run(request)
        playbook = self.playbook_for(request)
        if request.model is not None:
            # A name, key or address that is wrong is told at once, and not case by case after all of the other work.
            await asyncio.to_thread(self.model, request.model)
        for doubt in await asyncio.to_thread(check_models, playbook, self.registry, request, self.model):
            _log.warning(printable(doubt))
        asking = self._asking(run_id, request)
        run = Run(run_id, request, playbook, self.settings, self.registry, self._recorder, asking)
        await self._sweep(playbook)
        try:
            async with open_durable(run_folder(self.settings.state, run_id), run_id, run.workflows()) as durable:
                self._drain = durable.drain
                await durable.run("repo_run", run_id, {"run": run_id})
        except asyncio.CancelledError:
            raise
        except StoppedError:
            self.note("stopped between two steps")
        except Exception as error:
            # A full disk, or another process at work on the run: neither is the run's end.
            if not (getattr(error, "transient", False) or isinstance(error, StateError)):
                await self._recorder.record(_failed(run_id, error), f"{run_id}:failed")
            raise
        finally:
            self._drain = None
        report = self.report(run_id)
        return report.model_copy(update={"resumed": again, "seconds": round(time.monotonic() - began, 1)})

    def _asking(self, run_id: str, request: FixRequest) -> Asking:
        limits = self.settings.limits
        run_usd = request.usd if request.usd is not None else limits.run_usd
        purse = Purse(self.ledger, run_id, run_usd=run_usd, day_usd=limits.day_usd)
        return Asking(purse, self.model, self.settings.redactor())

    def model(self, name: str) -> Llm:
        """Return a model by the operator's name for it. Raises ConfigError."""
        if name not in self._models:
            from remediator.models import make_model

            self._models[name] = make_model(name, self.settings, self.registry)
        return self._models[name]

    def stop(self) -> bool:
        """Ask the run to end after the steps that are under way, to be resumed later; return whether one is there to be asked."""
        if self._drain is None:
            return False
        self._drain()
        return True

    def _which_run(self, request: FixRequest) -> tuple[str, FixRequest, bool]:
        from remediator.source import rooted

        request = request.model_copy(update={"target": rooted(request.target)})
        if not request.resume:
            return f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}", request, False
        run_id, before = resumed(request, self.journal.runs())
        return run_id, before, True

    def events_before(self, request: FixRequest) -> tuple[Event, ...]:
        """Return what has happened in the run that a request goes on with; nothing for a new one. Raises UsageError as `fix` does."""
        return self.journal.events(self._which_run(request)[0]) if request.resume else ()

    async def scan(self, request: FixRequest) -> RunReport:
        """Look, and change nothing: no journal entry, no sandbox."""
        began = time.monotonic()
        async with self._project(request.target, request.revision, self.playbook_for(request)) as project:
            request.check_paths(project.base)
            report = await project.scan(project.base)
            wanted = _wanted(report, request)
            return RunReport(
                run_id="",
                target=request.target,
                source=project.source,
                scan=wanted,
                left_out=len(report.findings) - len(wanted.findings),
                could_not_check=_could_not_check(report, request),
                seconds=round(time.monotonic() - began, 1),
            )

    async def verify(self, target: str, diff: str, finding: Finding | str | None, *, request: FixRequest) -> tuple[Verdict, Any]:
        """Grade anybody's patch on the same ladder; return the verdict and its signed bundle.

        `finding` is a Finding, or words that choose one of the scan's (an id, a rule, `CWE-n`, `path:line`); None where the request hands
        one in, or the scan has only one. Raises UsageError where there is none or several, PatchError where the patch is empty.
        """
        from remediator.engine.judge import judge
        from remediator.engine.run import identify
        from remediator.engine.seal import seal_case

        if not diff.strip():
            raise PatchError("the patch is empty", hint="give a unified diff, as `git diff` writes it")
        async with (
            telling(self._recorder, "verify") as teller,
            self._project(target, request.revision, self.playbook_for(request), teller.note) as project,
        ):
            request.check_paths(project.base)
            chosen = finding if isinstance(finding, Finding) else await self._claimed(project, finding, request, teller.note)
            patch = Patch.of(finding_id=chosen.id, fixer="supplied", title="supplied patch", diff=diff)
            case_id = identify(project.source, chosen)
            await teller.found(case_id, chosen)

            async def on_check(check: Check) -> None:
                await teller.checked(case_id, patch.id, check)

            verdict = await judge(
                project,
                chosen,
                patch,
                project.kit.playbook.required(chosen.severity),
                on_check,
                reproducer=request.reproducer,
            )
            case = Case(
                id=case_id,
                run_id="verify",
                finding=chosen,
                patches=(patch,),
                verdicts=(verdict,),
                reproducer=request.reproducer,
            )
            reason = ReasonCode.fixed if verdict.sufficient else ReasonCode.verify_failed
            return verdict, await asyncio.to_thread(seal_case, project, case, reason, verdict.summary, self.settings.state)

    async def _claimed(self, project: Project, words: str | None, request: FixRequest, note: Callable[..., None]) -> Finding:
        given = await asyncio.to_thread(handed_in, request, project.source, project.base)
        for doubt in given.doubts:
            note(doubt)
        report = (await project.scan(project.base)).model_copy(update={"supplied": given.findings})
        if given.findings:
            return _chosen(report.known[: len(given.findings)], words, "what was handed in")
        return _chosen(_wanted(report, request).findings, words, "the whole scan")

    async def replay(
        self, bundle: Path, *, source: str | None = None, playbook: str | None = None, own: OwnWay | None = None
    ) -> ReplayReport:
        """Run a bundle's proof again and compare. Raises EvidenceError where the bundle is damaged."""
        from remediator.engine.replay import replay_bundle

        async with telling(self._recorder, "replay") as teller:
            return await replay_bundle(bundle, self.settings, self.registry, teller, source=source, playbook=playbook, own=own)

    def own_way(self, hints: Hints) -> OwnWay:
        """Return how to replay a stranger's bundle by nothing that is its own; the settings name a reviewer, or nobody is asked."""
        from remediator.engine.own_review import Reviewer
        from remediator.engine.replay import OwnWay

        if not (name := self.settings.validator.reviewer):
            return OwnWay(hints)
        # One purse for all of them: what was asked about once is not paid again. The day's limit holds for whatever strangers send.
        purse = Purse(self.ledger, "review", run_usd=None, day_usd=self.settings.limits.day_usd)
        asking = Asking(purse, self.model, self.settings.redactor())
        return OwnWay(hints, Reviewer(name, asking, self.registry, self.settings.defaults_for))

    # -- what was done -------------------------------------------------------------------------------------------------

    def report(self, run_id: str) -> RunReport:
        """Return what is known of a run, finished or not."""
        summary = next((run for run in self.journal.runs() if run.run_id == run_id), None)
        if summary is None:
            raise UsageError(f"no run {run_id!r}", hint="remediator list shows the runs")
        events = self.journal.events(run_id)
        scan = self._scan_of(events)
        request = FixRequest.model_validate(summary.configuration["request"])
        wanted = scan and _wanted(scan, request)
        return RunReport(
            run_id=run_id,
            target=summary.target,
            source=next((event.source for event in events if isinstance(event, RunProgress) and event.source), None),
            scan=wanted,
            cases=self.journal.cases(run_id),
            baseline=self._baseline_of(events),
            left_out=len(scan.known) - len(wanted.known) if scan and wanted else 0,
            could_not_check=_could_not_check(scan, request) if scan else ("the run did not get as far as a scan",),
            interrupted=summary.finished is None,
        )

    def _scan_of(self, events: Sequence[Event]) -> ScanReport | None:
        digest = _noted(events, "scan", "report")
        return ScanReport.from_json(ArtefactStore(self.settings.state / "artefacts").get(digest)) if digest else None

    def _baseline_of(self, events: Sequence[Event]) -> Baseline | None:
        digest = _noted(events, "baseline", "report")
        return Baseline.from_json(ArtefactStore(self.settings.state / "artefacts").get(digest)) if digest else None

    def runs(self) -> tuple[RunSummary, ...]:
        """Return all runs, the latest first."""
        return self.journal.runs()

    # -- the user's own tree -------------------------------------------------------------------------------------------

    async def apply(self, case_ids: Sequence[str], repository: Path) -> Any:
        """Put proven fixes on a branch of the user's repository (or into a plain folder). Raises PatchError, UsageError."""
        from remediator.checkout import apply_patches
        from remediator.checkout_undo import UndoStack

        patches = [self._proven(self.journal.case(case_id)) for case_id in case_ids]
        branch = f"remediator/{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(2)}"
        stack = UndoStack(self.settings.state, repository)
        for folder in (stack.folder.parent, stack.folder):
            await asyncio.to_thread(private_folder, folder)
        return await asyncio.to_thread(apply_patches, repository, patches, branch=branch, record=stack.next_record())

    async def undo(self, repository: Path) -> Any:
        """Take back the last `apply` on this repository that was not taken back yet. Raises UsageError where there is none."""
        from remediator.checkout import undo
        from remediator.checkout_undo import UndoStack

        last = await asyncio.to_thread(UndoStack(self.settings.state, repository).last)
        await asyncio.to_thread(undo, last.applied)
        await asyncio.to_thread(last.record.unlink)
        return last.applied

    def _proven(self, case: Case) -> tuple[str, str]:
        from remediator.checkout_message import commit_message

        best = case.best
        if best is None or not best[1].sufficient:
            level = best[1].level.name if best and best[1].level is not None else "nothing"
            raise UsageError(f"{case.id} is not proven to the level required (reached: {level})", hint=f"remediator show {case.id}")
        return commit_message(case), best[0].diff

    # -- parts ---------------------------------------------------------------------------------------------------------

    def playbook_for(self, request: FixRequest) -> Playbook:
        """Return the playbook of a request, with its overrides, checked against the registry. Raises PlaybookError."""
        playbook = load_playbook(request.playbook or self.settings.playbook)
        playbook = overridden(playbook, request, self.settings)
        check_playbook(playbook, self.registry)
        return playbook

    def provider(self, playbook: Playbook | None = None) -> SandboxProvider | None:
        """Return the sandbox provider that runs would use, or None where the operator chose none."""
        use = (playbook or self.playbook_for(FixRequest(target="."))).sandbox
        if use.name == "none":
            return None
        return make(use, "sandbox", SandboxProvider, self.registry, self.settings.defaults_for(use.name))  # type: ignore[type-abstract]

    @contextlib.asynccontextmanager
    async def _project(
        self, target: str, revision: str | None, playbook: Playbook, note: Callable[..., None] | None = None
    ) -> AsyncIterator[Project]:
        async with project_of(target, revision, playbook, self.registry, self.settings, note or self.note) as project:
            yield project

    def note(self, message: str, **facts: Any) -> None:
        """Log a remark of a component."""
        _log.info(printable(message), **{key: printable(str(value)) for key, value in facts.items()})

    async def _sweep(self, playbook: Playbook) -> None:
        """Remove what a crashed run left in the engine; where no engine answers there is nothing to remove."""
        from remediator.errors import SandboxError

        provider = self.provider(playbook)
        if provider is not None:
            with contextlib.suppress(SandboxError):
                async with provider:
                    await provider.sweep()


def _wanted(report: ScanReport, request: FixRequest) -> ScanReport:
    """Return the report with the findings that were asked for."""
    wanted = {name: tuple(f for f in getattr(report, name) if request.wants(f)) for name in ("findings", "supplied")}
    return report.model_copy(update=wanted)


def _could_not_check(report: ScanReport, request: FixRequest) -> tuple[str, ...]:
    told = [f"{item.scanner}: {item.detail or item.reason}" for item in report.unchecked if not item.path]
    if not report.findings and not any(request.has_in_view(path) for path in report.covered):
        where = f" below {', '.join(request.paths)}" if request.paths else ""
        told.append(f"nothing was read: no scanner of the playbook has read any file{where}")
    if request.strict:
        told += [f"{item.path}: {item.reason}" for item in report.unchecked if item.path]
        told += [f"{count} {ending} files: no scanner" for ending, count in report.uncovered.items()]
    return tuple(told)


def _chosen(findings: Sequence[Finding], words: str | None, among: str) -> Finding:
    found = [f for f in findings if words is None or FixRequest(target=".", only=(words,)).wants(f)]
    if len(found) == 1:
        return found[0]
    where = [f"{f.id} {f.rule_id} {f.path}:{f.location.start_line if f.location else '-'}" for f in found[:10]]
    told = "no finding" if not found else f"{len(found)} findings"
    raise UsageError(
        f"{told} for {words or among!r}", hint="choose one with --finding: " + ("; ".join(where) or "remediator scan lists them")
    )


def _noted(events: Sequence[Event], phase: str, key: str) -> str:
    found = [e.data[key] for e in events if isinstance(e, RunProgress) and e.phase == phase and key in e.data]
    return str(found[-1]) if found else ""


def _failed(run_id: str, error: BaseException) -> RunFinished:
    return RunFinished(run_id=run_id, at=datetime.now(UTC), outcome="failed", data={"error": f"{type(error).__name__}: {error}"})
