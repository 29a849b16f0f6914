"""The fixer for what no rule can change: a model with tools, in one small loop. Nothing that it says is believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from remediator.builtin.agent_desk import Desk
from remediator.builtin.agent_loop import GivenUp, Limits, talk
from remediator.builtin.agent_tools import FixDesk, ShowDesk, Submitted
from remediator.builtin.prompts import Prompts, load_prompts, quoted
from remediator.builtin.selector import selected
from remediator.contracts import Attempt, Fixer, Workspace
from remediator.records.finding import Finding, Severity
from remediator.records.patch import Declined, Patch
from remediator.records.reproducer import Reproducer
from remediator.records.verdict import CheckStatus

_SHOWN_ATTEMPTS = 4


class AgentFixer(Fixer):
    """Has a model show the flaw by a test, then repair it. Severe findings may be given to several models at once."""

    name: ClassVar[str] = "agent"
    reproduces: ClassVar[bool] = True

    llm: str = Field(default="default", description="Name of the model, as in the settings.")
    llms: tuple[str, ...] = Field(default=(), description="Models of the further candidates, in turn; `llm` where empty.")
    steps: int = Field(default=40, ge=1, le=500, description="Most answers of the model for one patch or one reproducer.")
    candidates_for_severe: int = Field(default=1, ge=1, le=16, description="How many work independently on high and critical findings.")
    max_tokens: int = Field(default=8192, ge=256, description="Most tokens of one answer.")
    context_bytes: int = Field(default=120_000, ge=8_000, description="Beyond this, the oldest tool results are left out.")
    temperature: float | None = Field(default=None, ge=0, le=2)

    def candidates(self, finding: Finding) -> Sequence[Fixer]:
        """Return as many agents as the severity deserves, with other models and temperatures where they are given."""
        if self.candidates_for_severe == 1 or finding.severity.rank > Severity.high.rank:
            return (self,)
        names = self.llms or (self.llm,)
        # The first is left as it is; of the others each is a little freer, so that they do not all say the same.
        return [
            self.model_copy(
                update={"llm": names[number % len(names)], "temperature": self.temperature if number == 0 else min(1.0, 0.3 + 0.2 * number)}
            )
            for number in range(self.candidates_for_severe)
        ]

    async def reproduce(self, finding: Finding, workspace: Workspace) -> Reproducer | Declined:
        """Have the flaw shown by a test that is red on the base for an assertion."""
        prompts = load_prompts("agent")
        task = prompts.render("reproduce_task", finding=_finding(finding), contract=_contract(finding), project=_project(workspace))
        outcome = await self._talked(prompts, "reproduce_system", task, ShowDesk(workspace, finding, self.name), workspace)
        return outcome if isinstance(outcome, Reproducer) else self._declined(finding, outcome)

    async def fix(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
        """Have the flaw repaired; what was tried before and why it fell is told."""
        prompts = load_prompts("agent")
        task = prompts.render(
            "task",
            finding=_finding(finding),
            contract=_contract(finding),
            project=_project(workspace),
            tests=await _tests(workspace),
            reproducer=_reproducer(prompts, workspace.reproducer),
            feedback=_feedback(prompts, history),
        )
        outcome = await self._talked(prompts, "system", task, FixDesk(workspace, history), workspace)
        if not isinstance(outcome, Submitted):
            return self._declined(finding, outcome)
        return Patch.of(
            finding_id=finding.id,
            fixer=self.name,
            title=outcome.title or "repair by a model",
            diff=outcome.diff,
            behaviour=outcome.behaviour,
            transform=f"model {self.llm}",
        )

    async def choose(self, finding: Finding, diffs: Sequence[str], workspace: Workspace) -> int | str:
        """Ask the model once, without telling it who wrote what or why."""
        return await selected(workspace.llm(self.llm), _finding(finding), _contract(finding), diffs)

    async def _talked(self, prompts: Prompts, system: str, task: str, desk: Desk, workspace: Workspace) -> object:
        limits = Limits(self.steps, self.max_tokens, self.context_bytes, self.temperature)
        return await talk(workspace.llm(self.llm), desk, workspace, prompts, prompts.render(system), task, limits)

    def _declined(self, finding: Finding, outcome: object) -> Declined:
        assert isinstance(outcome, GivenUp)
        return Declined(finding_id=finding.id, fixer=self.name, reason=outcome.reason, detail=outcome.detail)


def _finding(finding: Finding) -> str:
    where = f"{finding.path}:{finding.location.start_line}" if finding.location else "not told: find it"
    trace = [f"{step.location.path}:{step.location.start_line} {step.message}" for step in finding.trace[:20]]
    parts = [
        f"rule or advisory: {finding.rule_id}",
        f"weakness: {', '.join(f'CWE-{number}' for number in finding.cwe) or 'unknown'}",
        f"severity: {finding.severity}",
        f"place: {where}",
        finding.message,
        finding.snippet,
        *trace,
    ]
    return quoted("finding", "\n".join(part for part in parts if part))


def _contract(finding: Finding) -> str:
    return f"What must hold after the repair:\n{quoted('contract', finding.contract)}\n" if finding.contract else ""


def _project(workspace: Workspace) -> str:
    files = sum(entry.is_file for entry in workspace.tree.entries())
    return quoted("project", f"{workspace.source.name} {workspace.source.version or ''}, {files} files")


async def _tests(workspace: Workspace) -> str:
    baseline = await workspace.baseline()
    return f"{len(baseline.passing)} pass before any change" if baseline and baseline.passing else "none that pass"


def _reproducer(prompts: Prompts, reproducer: Reproducer | None) -> str:
    if reproducer is None:
        return prompts.render("no_reproducer", why="none was accepted")
    files = "\n\n".join(quoted(name, text) for name, text in sorted(reproducer.files.items()))
    return prompts.render("reproducer", files=files)


def _feedback(prompts: Prompts, history: Sequence[Attempt]) -> str:
    if not history:
        return ""
    told = []
    for patch, verdict in history[-_SHOWN_ATTEMPTS:]:
        fell = next((check for check in verdict.checks if check.status is not CheckStatus.passed), None)
        why = f"{fell.name}: {fell.reason}: {fell.summary}" if fell else verdict.summary
        told.append(quoted("attempt", f"by {patch.fixer}\n{patch.diff}\nfell by {why}", 8_000))
    text = prompts.render("feedback", attempts="\n".join(told))
    return f"{text}\n\n{prompts.render('hypotheses')}" if len(history) >= 2 else text
