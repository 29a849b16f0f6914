"""The two desks of the agent: one to show a flaw, one to repair it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from remediator.builtin.agent_desk import Desk, told_of_run, tool
from remediator.builtin.agent_edit import replaced, with_line_ends_of
from remediator.builtin.agent_view import tidy
from remediator.builtin.prompts import quoted
from remediator.contracts import Attempt, ToolCall, ToolSpec, Workspace
from remediator.diff import inspect as objections_in
from remediator.errors import GitError, PatchError
from remediator.records.finding import Finding
from remediator.records.reproducer import Reproducer

_TEXT: dict[str, Any] = {"type": "string"}
_MANY_FALLEN = 2
_FIX = (
    tool(
        "edit",
        "Replace text that stands exactly once in a file. `old` is what `read` shows, without the line numbers.",
        {"path": _TEXT, "old": _TEXT, "new": _TEXT},
    ),
    tool("create", "Write a whole new file. To change one that is there, use `edit`.", {"path": _TEXT, "content": _TEXT}),
    tool("undo", "Take back your last edit.", {}),
    tool("run_reproducer", "Run the test that shows the flaw, with your edits.", {}),
    tool(
        "hypotheses",
        "State other explanations of the flaw than those tried.",
        {"explanations": {"type": "array", "items": _TEXT, "minItems": 2}},
    ),
    tool(
        "submit",
        "Hand in your edits as the patch; this ends your work.",
        {"title": _TEXT, "behaviour": {**_TEXT, "description": "what it may change for callers"}},
    ),
)
_SHOW = (
    tool(
        "submit_reproducer",
        "Hand in the test files by name; they are run three times on the unpatched program.",
        {"files": {"type": "object", "additionalProperties": _TEXT, "minProperties": 1}, "claim": _TEXT},
    ),
)


class Submitted(NamedTuple):
    """A patch as handed in."""

    diff: str
    title: str
    behaviour: str


class FixDesk(Desk):
    """Edits in memory, hands in a diff."""

    submit = "submit"

    def __init__(self, workspace: Workspace, history: Sequence[Attempt]) -> None:
        super().__init__(workspace)
        self._before: list[tuple[str, bytes | None]] = []
        self._fallen = {attempt.patch.diff for attempt in history}
        self._must_think = len(history) >= _MANY_FALLEN
        self._missed = False

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """Return the tools."""
        return (*super().specs, *_FIX)

    def is_pure(self, name: str) -> bool:
        """Return whether a call works on memory alone: edits are made again after a crash."""
        return super().is_pure(name) or name in ("edit", "create", "undo", "hypotheses", "submit")

    async def call(self, call: ToolCall) -> str:
        """Do it, and remember whether an edit that was wanted was not made."""
        before = self.edits
        told = await super().call(call)
        if call.name in ("edit", "create"):
            self._missed = self.edits is before
        return told

    async def left(self) -> Submitted | None:
        """Return the edits as a patch: it is judged like any other, and better than none."""
        self._missed = False
        if self.edits:
            await self.tool_submit("", "")
        return self.outcome if isinstance(self.outcome, Submitted) else None

    async def tool_edit(self, path: str, old: str, new: str) -> str:
        """Replace text."""
        name = tidy(path)
        data = self.content(name)
        if data is None:
            return f"not done: {self.no_file(path)}\n`create` makes a new file"
        told = await asyncio.to_thread(replaced, data, old, new)
        return f"not done: {told}" if isinstance(told, str) else await self._put(name, told.data, told.note)

    async def tool_create(self, path: str, content: str) -> str:
        """Write a file."""
        name = tidy(path)
        return await self._put(name, with_line_ends_of(self.content(name), content))

    async def _put(self, path: str, data: bytes, note: str = "") -> str:
        if self._must_think:
            return "first call `hypotheses`"
        trial = {**self.edits, path: data}
        # The gate's own rules on paths and form are told at once, so that no attempt is lost to them.
        diff = await asyncio.to_thread(self.workspace.diff, trial)
        refused = [objection for objection in objections_in(diff) if objection.certain] if diff else []
        if refused:
            return f"not done: {refused[0].code}: {refused[0].detail}; leave that out of the patch"
        error = self.workspace.syntax_error(path, data)
        self._before.append((path, self.edits.get(path)))
        self.edits = trial
        return "done" + (f" ({note})" if note else "") + (f", but the file does not parse now: {error[:200]}" if error else "")

    def tool_undo(self) -> str:
        """Take back an edit."""
        self._missed = False
        if not self._before:
            return "there is nothing to undo"
        path, data = self._before.pop()
        if data is None:
            self.edits.pop(path, None)
        else:
            self.edits[path] = data
        return f"{path[:200]} is as it was before; {len(self._before)} edits are left"

    async def tool_run_reproducer(self) -> str:
        """Run the reproducer."""
        reproducer = self.workspace.reproducer
        if reproducer is None:
            return "there is no reproducer"
        run = await self.workspace.probe(reproducer, edits=self.edits)
        return told_of_run(run, self.log_of(run.log_digest))

    def tool_hypotheses(self, explanations: list[str]) -> str:
        """Note other explanations."""
        if len({text.strip().lower() for text in explanations if len(text.strip()) > 20}) < _MANY_FALLEN:
            return "give at least two different explanations, in whole sentences"
        self._must_think = False
        return "noted; now check the likeliest one"

    async def tool_submit(self, title: str, behaviour: str) -> str:
        """Hand in."""
        if self._missed:
            self._missed = False
            return "not accepted: your last edit was not done; make it, or submit again if the patch is whole without it"
        try:
            diff = await asyncio.to_thread(self.workspace.diff, self.edits)
        except (PatchError, GitError) as error:
            return f"not accepted: {error.message} {error.hint}".strip()
        if not diff:
            return "not accepted: nothing is changed; edit first, or call `give_up`"
        if diff in self._fallen:
            return "not accepted: this very patch was judged before and fell"
        broken = [path for path, data in self.edits.items() if self._is_broken(path, data)]
        if broken:
            why = self.workspace.syntax_error(broken[0], self.edits[broken[0]]) or ""
            return f"not accepted: {broken[0][:200]} does not parse: {why[:200]}"
        self.outcome = Submitted(diff, " ".join(title.split())[:200], " ".join(behaviour.split())[:500])
        return "handed in"

    def _is_broken(self, path: str, data: bytes) -> bool:
        """Return whether a file does not parse that did before; one of an older language never did."""
        before = self.before(path)
        was_broken = before is not None and self.workspace.syntax_error(path, before) is not None
        return not was_broken and self.workspace.syntax_error(path, data) is not None


class ShowDesk(Desk):
    """Looks and tries, hands in a test."""

    submit = "submit_reproducer"

    def __init__(self, workspace: Workspace, finding: Finding, author: str) -> None:
        super().__init__(workspace)
        self._finding = finding
        self._author = author

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """Return the tools."""
        return (*super().specs, *_SHOW)

    def is_pure(self, name: str) -> bool:
        """Return whether a call is made again after a crash: what was handed in has to become the outcome again."""
        return super().is_pure(name) or name == "submit_reproducer"

    async def tool_submit_reproducer(self, files: dict[str, str], claim: str) -> str:
        """Measure what the test is worth on the unpatched program."""
        reproducer = Reproducer.of(finding_id=self._finding.id, author=self._author, files=files, claim=" ".join(claim.split())[:300])
        acceptance = await self.workspace.acceptance(reproducer)
        if acceptance.accepted:
            self.outcome = reproducer
            told = (
                f"accepted: {len(acceptance.shows)} tests show it, {len(acceptance.variants)} variants, {len(acceptance.controls)} controls"
            )
            return told + "".join(f"\nnot counted: {test}: {why}" for test, why in acceptance.dropped.items())
        lines = "\n".join(f"{test}: {name}" for test, name in acceptance.raised.items())
        results = f"{quoted('results', lines or 'none')}\n{self.log_of(acceptance.log_digest)}"
        return f"not accepted ({acceptance.reason}): {acceptance.detail}\n{results}"
