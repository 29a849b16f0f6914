"""One suite per kind of component. Subclass it in a test module, fill in the fixtures, and pytest does the rest.

class TestMyScanner(ScannerConformance):
    vulnerable = {"app.py": "eval(input())\\n"}
    safe = {"app.py": "print(1)\\n"}

    @pytest.fixture
    def component(self):
        return MyScanner()
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from remediator.contracts import (
    Component,
    ExecStatus,
    Fixer,
    Limits,
    Llm,
    Message,
    Observer,
    PrepareSpec,
    Prompt,
    Reply,
    SandboxProvider,
    SandboxSpec,
    Scanner,
    Sink,
    Verifier,
)
from remediator.errors import SandboxError, SandboxLostError, UsageError
from remediator.records import (
    Check,
    CheckStatus,
    Covered,
    Declined,
    Finding,
    Patch,
    Receipt,
    RunStarted,
    ScanItem,
    Submission,
    Unchecked,
)
from remediator.records.record import canonical_json
from remediator.testing.fake_tree import FakeTree
from remediator.testing.fake_workspace import FakeWorkspace

Files = Mapping[str, str | bytes]
HOSTILE: dict[str, str | bytes] = {
    "-rf": "x = 1\n",
    "new\nline.py": "x = 1\n",
    "esc\x1b[31m.py": "x = 1\n",
    "deep/" * 30 + "x.py": "x = 1\n",
    "empty.py": "",
    "binary.py": bytes(range(256)),
    "broken.py": "def (\n",
    "bom.py": b"\xef\xbb\xbfx = 1\r\n",
}
"""Files whose names and contents are out to hurt."""


class Conformance:
    """What holds for every component."""

    contract: ClassVar[type[Component]] = Component

    @pytest.fixture
    def component(self) -> Any:
        """Return the component under test. Override it."""
        raise UsageError("override the `component` fixture in your test class")

    def test_it_is_of_its_kind_and_has_a_name(self, component: Any) -> None:
        """Kind and name are what a playbook finds it by."""
        assert isinstance(component, self.contract)
        assert component.kind == self.contract.kind
        assert component.name and component.name == component.name.strip().lower()

    def test_its_options_are_closed_and_have_a_schema(self, component: Any) -> None:
        """A misspelt option must be an error before anything runs."""
        with pytest.raises(ValueError, match="no-such-option"):
            type(component)(**{"no-such-option": 1})
        assert type(component).model_json_schema()["type"] == "object"

    def test_it_cannot_be_changed_after_it_was_made(self, component: Any) -> None:
        """Two runs share no state through a component."""
        with pytest.raises(ValueError, match=r"frozen|no field"):
            component.name_of_nothing = 1

    async def test_it_opens_and_closes(self, component: Any) -> None:
        """Both ends of `async with` work, also twice."""
        for _ in range(2):
            async with component as opened:
                assert isinstance(opened, self.contract)

    def test_its_version_is_text(self, component: Any) -> None:
        """The version goes into the evidence."""
        assert isinstance(component.version(), str)


class ScannerConformance(Conformance):
    """For scanners. Give files that it must find something in, and files that it must not."""

    contract = Scanner
    vulnerable: ClassVar[Files]
    safe: ClassVar[Files]

    async def _scan(self, component: Scanner, files: Files, tmp_path: Path, paths: tuple[str, ...] | None = None) -> list[ScanItem]:
        async with component:
            return [item async for item in component.scan(FakeWorkspace(files, tmp_path, paths=paths))]

    async def test_it_finds_what_is_there(self, component: Any, tmp_path: Path) -> None:
        """The vulnerable files give findings that lie inside them."""
        findings = [item for item in await self._scan(component, self.vulnerable, tmp_path) if isinstance(item, Finding)]
        assert findings
        for finding in findings:
            assert finding.scanner == component.name
            assert finding.location is None or finding.path in self.vulnerable

    async def test_it_is_silent_where_nothing_is(self, component: Any, tmp_path: Path) -> None:
        """The safe files give none."""
        assert not [item for item in await self._scan(component, self.safe, tmp_path) if isinstance(item, Finding)]

    async def test_it_says_what_it_covered(self, component: Any, tmp_path: Path) -> None:
        """What was found in was covered: a file that nobody read must not count as clean."""
        items = await self._scan(component, self.vulnerable, tmp_path)
        covered = {path for item in items if isinstance(item, Covered) for path in item.paths}
        assert {item.path for item in items if isinstance(item, Finding) and item.location} <= covered

    async def test_ids_survive_line_moves(self, component: Any, tmp_path: Path) -> None:
        """The same flaw some lines further down is the same finding."""
        moved = {path: ("\n\n\n" + text if isinstance(text, str) else text) for path, text in self.vulnerable.items()}
        before = await self._scan(component, self.vulnerable, tmp_path / "a")
        after = await self._scan(component, moved, tmp_path / "b")
        assert {i.id for i in before if isinstance(i, Finding)} == {i.id for i in after if isinstance(i, Finding)}

    async def test_two_scans_agree(self, component: Any, tmp_path: Path) -> None:
        """The same tree gives the same findings."""
        first = await self._scan(component, self.vulnerable, tmp_path / "a")
        second = await self._scan(component, self.vulnerable, tmp_path / "b")
        assert [i for i in first if isinstance(i, Finding)] == [i for i in second if isinstance(i, Finding)]

    async def test_it_keeps_to_the_paths_it_was_given(self, component: Any, tmp_path: Path) -> None:
        """A narrowed scan reports on nothing else."""
        path = min(self.vulnerable)
        items = await self._scan(component, {**self.vulnerable, **self.safe_elsewhere()}, tmp_path, (path,))
        assert {item.path for item in items if isinstance(item, Finding) and item.location} <= {path}

    async def test_hostile_names_and_contents_do_not_stop_it(self, component: Any, tmp_path: Path) -> None:
        """What it cannot read it says; it never fails on it, and never claims to have covered broken syntax as clean."""
        items = await self._scan(component, {**HOSTILE, **self.vulnerable}, tmp_path)
        assert [item for item in items if isinstance(item, Finding)]
        covered = {path for item in items if isinstance(item, Covered) for path in item.paths}
        unchecked = {item.path for item in items if isinstance(item, Unchecked)}
        assert "broken.py" not in covered or "broken.py" in unchecked

    def safe_elsewhere(self) -> dict[str, str | bytes]:
        """Return the safe files under another folder."""
        return {f"elsewhere/{path}": text for path, text in self.safe.items()}


class FixerConformance(Conformance):
    """For fixers. Give files, a finding that it fixes, and one that it must decline."""

    contract = Fixer
    files: ClassVar[Files]

    @pytest.fixture
    def fixable(self) -> Finding:
        """Return a finding that the fixer fixes. Override it."""
        raise UsageError("override the `fixable` fixture")

    @pytest.fixture
    def hopeless(self) -> Finding:
        """Return a finding that nobody can fix: one without a location."""
        return Finding.at(rule_id="x", scanner="x", message="something somewhere", location=None, snippet="")

    async def test_it_proposes_a_diff_against_the_tree(self, component: Any, fixable: Finding, tmp_path: Path) -> None:
        """The patch names the finding and the fixer, and changes something."""
        patch = await component.fix(fixable, FakeWorkspace(self.files, tmp_path), ())
        assert isinstance(patch, Patch)
        assert patch.finding_id == fixable.id and patch.fixer == component.name
        assert "@@" in patch.diff and patch.title

    async def test_it_is_deterministic_or_declines(self, component: Any, fixable: Finding, tmp_path: Path) -> None:
        """It does not propose again what fell."""
        from remediator.contracts import Attempt
        from remediator.records import EvidenceLevel, Outcome, Verdict

        workspace = FakeWorkspace(self.files, tmp_path)
        first = await component.fix(fixable, workspace, ())
        fell = Verdict(patch_id=first.id, finding_id=fixable.id, outcome=Outcome.rejected, required=EvidenceLevel.E3)
        second = await component.fix(fixable, workspace, (Attempt(first, fell),))
        assert isinstance(second, Declined) or second.id != first.id

    async def test_it_declines_with_a_reason(self, component: Any, hopeless: Finding, tmp_path: Path) -> None:
        """An honest no is a value."""
        declined = await component.fix(hopeless, FakeWorkspace(self.files, tmp_path), ())
        assert isinstance(declined, Declined) and declined.finding_id == hopeless.id and declined.fixer == component.name


class VerifierConformance(Conformance):
    """For verifiers. Give a base, a good tree, and a bad one with the diff of each."""

    contract = Verifier

    @pytest.fixture
    def judged(self, tmp_path: Path) -> tuple[Finding, Patch, FakeWorkspace]:
        """Return a finding, a patch that must not pass, and the workspace it is judged in. Override it."""
        raise UsageError("override the `judged` fixture")

    async def test_it_does_not_pass_what_is_wrong(self, component: Any, judged: tuple[Finding, Patch, FakeWorkspace]) -> None:
        """The check carries the verifier's name and level, is not passed, and says why by a stable code."""
        check = await component.verify(*judged)
        assert isinstance(check, Check)
        assert (check.name, check.level) == (component.name, component.level)
        assert check.status is not CheckStatus.passed and check.reason
        canonical_json(check.as_json())


class SinkConformance(Conformance):
    """For sinks. Give a submission."""

    contract = Sink

    @pytest.fixture
    def submission(self, tmp_path: Path) -> Submission:
        """Return a submission whose bundle exists. Override it."""
        raise UsageError("override the `submission` fixture")

    async def test_handing_over_twice_is_handing_over_once(self, component: Any, submission: Submission) -> None:
        """A step may run twice: the second receipt says duplicate."""
        async with component:
            first = await component.submit(submission)
            second = await component.submit(submission)
        assert isinstance(first, Receipt) and (first.submission_id, first.sink) == (submission.id, component.name)
        assert not first.duplicate and second.duplicate
        assert second.location == first.location

    async def test_two_at_once_are_one(self, component: Any, submission: Submission) -> None:
        """Racing hand-overs of one submission give one that is not a duplicate."""
        async with component, asyncio.TaskGroup() as group:
            tasks = [group.create_task(component.submit(submission)) for _ in range(5)]
        assert [task.result().duplicate for task in tasks].count(False) == 1


class SandboxConformance(Conformance):
    """For sandbox providers. Needs a real engine; give a base image that has a shell."""

    contract = SandboxProvider
    image: ClassVar[str]
    limits: ClassVar[Limits] = Limits(memory_mb=256, disk_mb=64, tmp_mb=16, pids=64, output_bytes=1024 * 1024)

    def _spec(self) -> SandboxSpec:
        return SandboxSpec(image=self.image, limits=self.limits)

    async def test_it_says_what_answers(self, component: Any) -> None:
        """The engine's name and version go into the evidence."""
        async with component:
            engine = await component.probe()
        assert engine.name and engine.version

    async def test_commands_run_at_the_tree(self, component: Any) -> None:
        """Files are at /job, output and exit code come back."""
        async with component, component.open(self._spec()) as sandbox:
            await sandbox.put(FakeTree({"a b.txt": "hello"}))
            result = await sandbox.exec(["sh", "-c", "cat 'a b.txt'; pwd; exit 7"])
        assert (result.status, result.exit_code, result.stdout) == (ExecStatus.exited, 7, b"hello/job\n")

    async def test_put_replaces_what_was_there(self, component: Any) -> None:
        """/job holds exactly the tree, also the second time."""
        async with component, component.open(self._spec()) as sandbox:
            await sandbox.put(FakeTree({"one": "1", "both": "a"}))
            await sandbox.put(FakeTree({"two": "2", "both": "b"}))
            result = await sandbox.exec(["sh", "-c", "ls; cat both"])
        assert result.stdout == b"both\ntwo\nb"

    async def test_files_go_in_and_out_by_name(self, component: Any) -> None:
        """Regular files under /job and /tmp only; what is missing is an error."""
        async with component, component.open(self._spec()) as sandbox:
            await sandbox.write("/tmp/x", b"\0data")  # noqa: S108 - inside the sandbox
            assert await sandbox.read("/tmp/x") == b"\0data"  # noqa: S108
            with pytest.raises(SandboxError):
                await sandbox.read("/tmp/none")  # noqa: S108
            with pytest.raises(SandboxError):
                await sandbox.write("/etc/x", b"")

    async def test_a_timeout_ends_everything(self, component: Any) -> None:
        """A command that ignores SIGTERM is over when its time is, and the sandbox with it."""
        async with component, component.open(self._spec()) as sandbox:
            result = await sandbox.exec(["sh", "-c", "trap '' TERM; while :; do :; done"], timeout_seconds=1)
            assert result.status is ExecStatus.timeout and result.exit_code is None
            with pytest.raises(SandboxLostError):
                await sandbox.exec(["true"])

    async def test_output_is_capped(self, component: Any) -> None:
        """A flood is cut, and its result is not ok."""
        async with component, component.open(self._spec()) as sandbox:
            result = await sandbox.exec(["sh", "-c", "while :; do echo flood; done"], timeout_seconds=20)
        assert result.status is ExecStatus.truncated and not result.ok
        assert len(result.stdout) <= self.limits.output_bytes

    async def test_there_is_no_network(self, component: Any) -> None:
        """A work sandbox has the loopback only."""
        async with component, component.open(self._spec()) as sandbox:
            result = await sandbox.exec(["sh", "-c", "cat /proc/net/route | tail -n +2 | wc -l"])
        assert result.stdout.strip() == b"0"

    async def test_what_was_prepared_is_found_again(self, component: Any) -> None:
        """`keep` gives a digest that `find` returns and `open` takes; nothing of /job is in it."""
        spec = PrepareSpec(image=self.image, key="conformance-kit")
        async with component:
            async with component.prepare(spec) as sandbox:
                await sandbox.write("/job/left", b"x")
                kept = await component.keep(sandbox, spec)
            assert await component.find("conformance-kit") == kept
            assert await component.find("conformance-nothing") is None
            async with component.open(SandboxSpec(image=kept, limits=self.limits)) as sandbox:
                assert (await sandbox.exec(["sh", "-c", "test ! -e /job/left"])).ok

    async def test_the_observer_is_another_user(self, component: Any) -> None:
        """What the observer writes, the tree's code cannot change, and the other way round."""
        async with component, component.open(self._spec()) as sandbox:
            assert (await sandbox.exec(["sh", "-c", "umask 022; echo a > /tmp/observed"], observer=True)).ok
            result = await sandbox.exec(["sh", "-c", "echo b > /tmp/observed || rm -f /tmp/observed; cat /tmp/observed"])
        assert result.stdout == b"a\n"


class LlmConformance(Conformance):
    """For language models."""

    contract = Llm

    async def test_it_answers_and_says_what_it_cost(self, component: Any) -> None:
        """A reply carries its spend."""
        async with component:
            reply = await component.complete(Prompt(system="Answer in one word.", messages=(Message(role="user", text="Say yes."),)))
        assert isinstance(reply, Reply) and (reply.text or reply.tool_calls)


class ObserverConformance(Conformance):
    """For observers."""

    contract = Observer

    async def test_it_takes_an_event(self, component: Any) -> None:
        """An event does not disturb it."""
        from datetime import UTC, datetime

        async with component:
            await component.on_event(RunStarted(run_id="run-1", at=datetime.now(UTC), target="t"))
