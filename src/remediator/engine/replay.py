"""Runs a bundle's proof again: from the bundle alone, or against a source that the operator names."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from remediator.artefacts import ArtefactStore
from remediator.contracts import Tree
from remediator.engine.judge import judge
from remediator.engine.kit import Kit, open_kit
from remediator.engine.own_review import Reviewer
from remediator.engine.project import Project
from remediator.engine.run import identify
from remediator.engine.telling import Teller
from remediator.errors import EvidenceError, PlaybookError, SourceError, UnpublishedError, UsageError
from remediator.evidence.bundle import read
from remediator.evidence.container import is_bundle
from remediator.evidence.keys import TrustedKeys
from remediator.evidence.replay import REVIEWER, UNREPLAYABLE, ReplayReport, ReplayRequest, replay
from remediator.evidence.scrub import Scrubber
from remediator.git import GitStore, ImportedFile
from remediator.playbook import Playbook, Use, check_playbook, load_playbook, parse_playbook, playbook_names
from remediator.recipe.hints import Hints
from remediator.records.finding import Finding
from remediator.records.recipe import Recipe
from remediator.records.scan import ScanReport
from remediator.records.source import Source, SourceKind
from remediator.records.verdict import Check, Outcome, Verdict
from remediator.registry import Registry
from remediator.settings import Settings
from remediator.source import RemoteGitTarget, Resolved, read_target, resolve


class OwnWay(NamedTuple):
    """How a side judges that takes nothing of that from the bundle: what it knows of the project, and who reviews for it."""

    hints: Hints = Hints()
    reviewer: Reviewer | None = None
    stores: Path | None = None
    """Where what is fetched lies, for this once; None is among all others, where it stays."""


class Replayer:
    """A judge for `evidence.replay` that works with this machine's plugins and sandbox."""

    def __init__(
        self, settings: Settings, registry: Registry, teller: Teller, *, source: str | None, playbook: str | None, own: OwnWay | None = None
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._teller = teller
        self._source = source
        self._playbook = playbook
        self._own = own
        self.same_recipe = True
        """Whether the project was built and tested as the bundle says, once it was judged."""
        self.review: Check | None = None
        """What a reviewer of our own said, where one was asked."""
        self.wants_review = False
        """Whether our own playbook has one asked: who judges by its own way is not to be spared it by a bundle that names none."""

    async def __call__(self, request: ReplayRequest) -> Verdict:
        """Judge the patch of a bundle in fresh sandboxes."""
        playbook = self._trusted(parse_playbook(request.playbook, "playbook.yaml of the bundle"))
        check_playbook(playbook, self._registry)
        async with open_kit(playbook, self._registry, self._settings.defaults_for) as kit:
            project = await self._project(request, kit)
            if request.recipe is not None and self._own is None:
                if ":" in request.recipe.image:
                    raise EvidenceError(f"the bundle's recipe names an image of this machine: {request.recipe.image[:80]}")
                await project.use_recipe(request.recipe)
            case_id = identify(request.source, request.finding)
            await self._teller.found(case_id, request.finding)

            async def on_check(check: Check) -> None:
                await self._teller.checked(case_id, request.patch.id, check)

            verdict = await judge(
                project, request.finding, request.patch, request.required, on_check, reproducer=request.reproducer, replaying=True
            )
            self.same_recipe = _same(request.recipe, project.recipe)
            if self._own is not None and verdict.outcome is Outcome.verified:
                _check_told(request.finding, await project.scan(project.base))
            if self._own is not None and self._own.reviewer is not None:
                # By our own playbook's limits: what a question may cost is not the bundle's to say.
                limits = load_playbook(self._settings.playbook).limits
                self.review = await self._own.reviewer.asked(project, request, verdict, limits)
            return verdict

    async def _project(self, request: ReplayRequest, kit: Kit) -> Project:
        store, base, found = await self._base(request)
        source = request.source
        if self._own is not None and found is not None:
            # When it was released says which Python and dependencies it is tried with, and its name what is installed: as found here.
            source = source.model_copy(update={"released": found.released, "name": found.name, "version": found.version})
        return Project(
            source=source,
            store=store,
            base=base,
            kit=kit,
            artefacts=ArtefactStore(self._settings.state / "artefacts"),
            state=self._settings.state,
            hints=self._own.hints if self._own else Hints(),
            note=self._teller.note,
        )

    def _trusted(self, recorded: Playbook) -> Playbook:
        """Return the playbook to judge by. A stranger's may run nothing on this machine that ours would not."""
        if self._playbook:
            return load_playbook(self._playbook)
        # Who judges by its own recipe judges by its own playbook too: a shipped one may ask for less than the operator's.
        names = {self._settings.playbook} if self._own else {*playbook_names(), self._settings.playbook}
        known = [load_playbook(name) for name in names]
        alike = next((ours for ours in known if _judges_alike(recorded, ours)), None)
        if alike is None:
            raise PlaybookError(
                f"the bundle was judged by a playbook that is none of yours: {recorded.name}",
                hint="read its playbook.yaml, then name the one to judge by: --playbook NAME-OR-FILE",
            )
        self.wants_review = self._own is not None and any(use.name == REVIEWER for use in alike.verify)
        # The options of a sandbox name an engine, host files and registries: those are ours to choose, never a stranger's.
        return recorded.model_copy(update={"fix": (), "submit": (), "sandbox": alike.sandbox})

    async def _base(self, request: ReplayRequest) -> tuple[GitStore, Tree, Source | None]:
        """Return where the base is, the base, and what is known of it where it was fetched. Raises RemediatorError."""
        if self._source is None and request.base.included:
            return *await asyncio.to_thread(self._unpacked, request), None
        target = self._source or request.source.uri
        recorded, remote = request.source, isinstance(read_target(target), RemoteGitTarget)
        # A work tree is looked for at the commit that it stood on; a package's version is part of its name, and says all.
        dated = recorded.kind is SourceKind.git or (recorded.kind is SourceKind.path and remote)
        revision = (recorded.revision or None) if dated else None
        if self._own is not None and recorded.kind is SourceKind.git:
            resolved = await self._at_commit(target, recorded.commit, revision)
        else:
            resolved = await self._resolved(target, revision)
        tree: Tree = resolved.tree
        if remote and recorded.folder:
            tree = await asyncio.to_thread(resolved.store.below, resolved.source.commit, recorded.folder)
        if tree.id == recorded.tree:
            return resolved.store, tree, resolved.source
        told = f"{target} is tree {tree.id}, the bundle was made for {recorded.tree}"
        if recorded.kind is SourceKind.path and remote:
            # What was changed and not committed is nobody's lie: it is only nowhere that others could fetch.
            raise UsageError(told, hint="the folder had changes that are not in that commit, or was another repository's")
        raise EvidenceError(told, hint="name the source at the recorded commit with --source")

    async def _at_commit(self, target: str, commit: str, revision: str | None) -> Resolved:
        """Return a repository at the very commit that a bundle names. Raises EvidenceError where it has none such.

        Two commits can have one tree: whoever is told of a fix is told in which commit the flaw was shown.
        """
        try:
            # By its id first: a branch moves.
            resolved = await self._resolved(target, commit)
        except UnpublishedError:
            raise
        except SourceError:
            resolved = await self._resolved(target, revision)
        if resolved.source.commit != commit:
            raise EvidenceError(
                f"{target} has no commit {commit[:64]}, which the bundle was made for", hint="replay it where the commit is"
            )
        return resolved

    async def _resolved(self, target: str, revision: str | None) -> Resolved:
        own = self._own.stores if self._own else None
        folder, env = own or self._settings.state / "stores", self._settings.network_env()
        # Which hosts are asked is the operator's list: none of them may send us on, to an address within our own network.
        # And some show a fork's commits under its parent's address: what no branch of the parent has is not the project.
        strict = self._own is not None
        return await resolve(target, revision=revision, folder=folder, env=env, offline=self._settings.offline, strict=strict)

    def _unpacked(self, request: ReplayRequest) -> tuple[GitStore, Tree]:
        store = GitStore.open(self._settings.state / "stores" / f"replay-{request.base.tree[:16]}.git")
        files = [ImportedFile(member.path, member.mode, member.data) for member in request.base.files()]
        commit = store.import_files(files, message="base of a bundle", when=datetime(2000, 1, 1, tzinfo=UTC))
        tree = store.tree(commit)
        if tree.id != request.base.tree and not request.base.omitted:
            raise EvidenceError(f"the bundle's files make the tree {tree.id}, not {request.base.tree}")
        return store, tree


async def replay_bundle(
    path: Path,
    settings: Settings,
    registry: Registry,
    teller: Teller,
    *,
    source: str | None = None,
    playbook: str | None = None,
    own: OwnWay | None = None,
) -> ReplayReport:
    """Read a bundle, run its proof again, compare.

    With `own` nothing of how it is judged is the bundle's: how to build and test is found out here, and the playbook must judge as
    the settings' one does. Raises UsageError where the path is no bundle, EvidenceError where the bundle is damaged or signed wrongly.
    """
    if not await asyncio.to_thread(is_bundle, path):
        raise UsageError(
            f"{path} is no bundle", hint="name a case, a bundle's folder, or its .tar.zst: remediator show CASE tells where it is"
        )
    bundle = await asyncio.to_thread(read, path, TrustedKeys.load(settings.state / "keys"))
    judged_by = Replayer(settings, registry, teller, source=source, playbook=playbook, own=own)
    report = await replay(bundle, judged_by, scrub=Scrubber(paths={str(settings.state): "state"}))
    own_word = {"same_recipe": judged_by.same_recipe, "review": judged_by.review, "wants_review": judged_by.wants_review}
    return report.model_copy(update=own_word)


def _check_told(finding: Finding, report: ScanReport) -> None:
    """Raise UsageError where a finding that our scanners see is told as another than they tell it.

    What was proven is that this one is gone. Under another's name, kind or severity the proof would be of something else.
    """
    if finding.unseen_by(report.scanners):
        return

    def facts(of: Finding) -> tuple[object, ...]:
        return of.scanner, of.rule_id, of.path, of.snippet, of.severity, sorted(of.cwe)

    alike = [seen for seen in report.findings if seen.key == finding.key and facts(seen) == facts(finding)]
    if not any(set(finding.aliases) <= set(seen.aliases) for seen in alike):
        raise UsageError(
            "the scan here tells of the finding in another way than the bundle: its rule, place, kind, severity or names",
            hint="replay it with the same scanners, and hand over what they said",
        )


def _same(recorded: Recipe | None, used: Recipe | None) -> bool:
    return (recorded and recorded.identity()) == (used and used.identity())


def _judges_alike(one: Playbook, other: Playbook) -> bool:
    return (one.scan, _measured(one)) == (other.scan, _measured(other)) and one.sandbox.name == other.sandbox.name


def _measured(playbook: Playbook) -> tuple[Use, ...]:
    """Return the checks that a replay runs: which model reviewed is the recorder's affair."""
    return tuple(use for use in playbook.verify if use.name not in UNREPLAYABLE)
