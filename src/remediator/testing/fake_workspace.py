"""A workspace without git, Docker or network."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from remediator.contracts import Llm, Sandbox, Workspace
from remediator.errors import PatchError, RecipeError
from remediator.records.recipe import Baseline, BuildRun, TestRun
from remediator.records.record import digest_of
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.scan import ScanReport
from remediator.records.source import Source, SourceKind
from remediator.testing.fake_sandbox import FakeSandboxProvider
from remediator.testing.fake_tree import FakeTree


class FakeWorkspace(Workspace):
    """Give it files, and what build, tests and scans are to answer; it keeps notes and artefacts for the test to look at."""

    def __init__(
        self,
        base: Mapping[str, str | bytes],
        scratch: Path,
        *,
        tree: Mapping[str, str | bytes] | None = None,
        paths: tuple[str, ...] | None = None,
        found: ScanReport | None = None,
        found_now: ScanReport | None = None,
        baseline: Baseline | None = None,
        built: BuildRun | None = None,
        tested: Sequence[TestRun] = (),
        models: Mapping[str, Llm] | None = None,
        reproducer: Reproducer | None = None,
        accepted: Sequence[Acceptance] = (),
        probed: Sequence[TestRun] = (),
    ) -> None:
        self.base = FakeTree(base)
        self.tree = FakeTree(tree) if tree is not None else self.base
        self.paths = paths
        self.scratch = scratch
        self.source = Source(kind=SourceKind.path, uri="fake", name="fake", commit=self.base.commit, tree=self.base.id)
        self.notes: list[str] = []
        self.artefacts: dict[str, bytes] = {}
        self._found = found or ScanReport(tree=self.base.id)
        self._found_now = found_now or ScanReport(tree=self.tree.id)
        self._baseline = baseline
        self._built = built
        self._tested = list(tested)
        self._models = dict(models or {})
        self._reproducer = reproducer
        self._accepted = list(accepted)
        self._probed = list(probed)
        self.remembered_texts: dict[str, str] = {}
        """Give it to the next workspace, as a resumed run would."""
        self.probes: list[tuple[Reproducer, Mapping[str, bytes]]] = []

    def note(self, message: str, **facts: Any) -> None:
        """Keep the message in `notes`."""
        self.notes.append(message)

    def keep(self, name: str, data: bytes) -> str:
        """Keep the data in `artefacts` by its digest."""
        digest = digest_of(data)
        self.artefacts[digest] = data
        return digest

    def kept(self, digest: str) -> bytes:
        """Return what was kept."""
        return self.artefacts[digest]

    def diff(self, edits: Mapping[str, bytes]) -> str:
        """Return a git-style diff. Raises PatchError where a file is no UTF-8 text."""
        return "".join(self._one(path, data) for path, data in sorted(edits.items()) if self._before(path) != data)

    def _before(self, path: str) -> bytes | None:
        return self.tree.read(path) if self.tree.find(path) else None

    def _one(self, path: str, data: bytes) -> str:
        before = self._before(path)
        try:
            old, new = (before or b"").decode("utf-8"), data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PatchError(f"{path} is not UTF-8 text") from error
        head = f"diff --git a/{path} b/{path}\n" + ("new file mode 100644\n" if before is None else "")
        lines = difflib.unified_diff(_lines(old), _lines(new), "/dev/null" if before is None else f"a/{path}", f"b/{path}")
        return head + "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)

    def materialise(self, paths: Sequence[str]) -> Path:
        """Write the named files below `scratch/files`."""
        root = self.scratch / "files"
        for path in paths:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.tree.read(path))
        root.mkdir(exist_ok=True)
        return root

    async def findings(self) -> ScanReport:
        """Return `found`."""
        return self._found

    async def rescan(self) -> ScanReport:
        """Return `found_now`."""
        return self._found_now

    async def baseline(self) -> Baseline | None:
        """Return `baseline`."""
        return self._baseline

    async def build(self) -> BuildRun:
        """Return `built`. Raises RecipeError where none was given."""
        if self._built is None:
            raise RecipeError("no build was scripted")
        return self._built

    async def test(self, *, edits: Mapping[str, bytes] | None = None) -> TestRun:
        """Return the next of `tested`. Raises RecipeError where none is left."""
        if not self._tested:
            raise RecipeError("no test run was scripted")
        return self._tested.pop(0)

    @property
    def reproducer(self) -> Reproducer | None:
        """Return `reproducer`."""
        return self._reproducer

    async def acceptance(self, reproducer: Reproducer) -> Acceptance:
        """Return the next of `accepted`; the last one stays. Raises RecipeError where none was given."""
        if not self._accepted:
            raise RecipeError("no acceptance was scripted")
        found = self._accepted.pop(0) if len(self._accepted) > 1 else self._accepted[0]
        return found.model_copy(update={"reproducer_id": reproducer.id})

    async def probe(self, reproducer: Reproducer, *, edits: Mapping[str, bytes] | None = None) -> TestRun:
        """Return the next of `probed`; the last one stays. Raises RecipeError where none was given."""
        self.probes.append((reproducer, dict(edits or {})))
        if not self._probed:
            raise RecipeError("no probe was scripted")
        return self._probed.pop(0) if len(self._probed) > 1 else self._probed[0]

    def llm(self, name: str = "default") -> Llm:
        """Return one of `models`."""
        return self._models[name] if name in self._models else super().llm(name)

    async def remembered(self, name: str, body: Callable[[], Awaitable[str]]) -> str:
        """Return what was remembered, or do it and remember."""
        if name not in self.remembered_texts:
            self.remembered_texts[name] = await body()
        return self.remembered_texts[name]

    def sandbox(self, *, setup: Sequence[Sequence[str]] = ()) -> AbstractAsyncContextManager[Sandbox]:
        """Open a fake sandbox that holds the tree."""
        return FakeSandboxProvider().holding(self.tree)

    def syntax_error(self, path: str, data: bytes) -> str | None:
        """Return why a Python file does not parse."""
        if not path.endswith(".py"):
            return None
        try:
            ast.parse(data)
        except (SyntaxError, ValueError) as error:
            return str(error)
        return None


def _lines(text: str) -> list[str]:
    # Only a line feed ends a line for git; str.splitlines knows many more.
    return re.findall(r"[^\n]*\n|[^\n]+", text)
