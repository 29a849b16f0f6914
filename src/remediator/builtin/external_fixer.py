"""A fixer that runs a coding agent in a sandbox: without key and network, but for a loopback address that answers for a model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any, ClassVar

from pydantic import Field

from remediator.builtin.agent_protocols import protocol_of, read_question, write_answer, write_error
from remediator.builtin.prompts import load_prompts, quoted
from remediator.builtin.relay import Answered, Asked, Relay
from remediator.contracts import Attempt, ExecResult, ExecStatus, Fixer, Llm, Sandbox, Workspace
from remediator.errors import BudgetError, LlmAuthError, LlmError, PatchError, SandboxLostError
from remediator.records.finding import Finding
from remediator.records.patch import Declined, Patch, ReasonCode

_PYTHON = "/usr/bin/python3"
_PROMPT = "/tmp/task.md"  # noqa: S108 - inside the sandbox
_MOST_FILES, _FILE_BYTES = 20, 2_000_000
_REASON_SECONDS = 10.0
_SAID_CHARS = 300
_LEFT_BEHIND = ("__pycache__/", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", "node_modules/", ".git/", ".cache/", ".egg-info/")


class ExternalAgentFixer(Fixer):
    """Runs a command line on the prepared project and takes what it changed as a patch, which is judged like any other.

    In `command` and `env`, `{prompt}` is replaced by the path of a file with the task, `{base_url}` by the address that speaks both
    protocols (Anthropic Messages below `/v1/messages`, OpenAI chat completions below `/v1/chat/completions`), `{model}` by a name.
    """

    name: ClassVar[str] = "external-agent"

    command: tuple[str, ...] = Field(min_length=1, description="The agent's command line.")
    setup: tuple[tuple[str, ...], ...] = Field(
        default=(), description="Commands that install the agent, run once with network while preparing."
    )
    env: dict[str, str] = Field(default={}, description="The agent's environment, such as ANTHROPIC_BASE_URL={base_url}. No secrets.")
    llm: str = Field(default="default", description="Name of the model that answers, as in the settings.")
    seconds: float = Field(default=1200.0, gt=0, description="How long it may work.")
    questions: int = Field(default=200, ge=1, description="Most questions that it may ask.")

    async def fix(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
        """Run the agent, and return the diff of what it left."""
        told = await workspace.remembered("agent-edits", lambda: self._worked(finding, workspace, history))
        outcome = json.loads(told)
        if "declined" in outcome:
            return self._declined(finding, ReasonCode(outcome["declined"]), outcome["detail"])
        edits = {path: text.encode("utf-8", "surrogateescape") for path, text in outcome["edits"].items()}
        try:
            diff = await asyncio.to_thread(workspace.diff, edits)
        except PatchError as error:
            return self._declined(finding, ReasonCode.could_not_check, error.message)
        if not diff:
            return self._declined(finding, ReasonCode.no_safe_transform, "the agent changed nothing")
        return Patch.of(
            finding_id=finding.id,
            fixer=self.name,
            title=f"by {self.command[0].rpartition('/')[2]}"[:100],
            diff=diff,
            transform=f"model {self.llm}",
        )

    def _declined(self, finding: Finding, reason: ReasonCode, detail: str) -> Declined:
        return Declined(finding_id=finding.id, fixer=self.name, reason=reason, detail=detail[:500])

    async def _worked(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> str:
        desk = _Desk(workspace.llm(self.llm), self.questions)
        async with workspace.sandbox(setup=self.setup) as sandbox:
            await sandbox.write(_PROMPT, _task(finding, workspace, history).encode("utf-8", "surrogateescape"))
            try:
                return await self._served(sandbox, workspace, desk)
            except BudgetError as error:
                return json.dumps({"declined": ReasonCode.budget.value, "detail": error.message})

    async def _left(self, sandbox: Sandbox, workspace: Workspace, desk: _Desk, result: ExecResult) -> str:
        if result.status is not ExecStatus.exited:
            return json.dumps({"declined": ReasonCode.could_not_check.value, "detail": f"the agent ended with {result.status}"})
        log = workspace.keep("agent.log", result.stdout + result.stderr)
        workspace.note("the agent ended", exit_code=result.exit_code, questions=desk.asked, log=log)
        told = await _edits(sandbox, workspace)
        if result.exit_code and json.loads(told).get("edits") == {}:
            # Otherwise an agent that never began would read like one that found nothing to change.
            said = " ".join((result.stderr or result.stdout).decode("utf-8", "replace").split())[-_SAID_CHARS:]
            detail = f"the agent ended with exit code {result.exit_code} and changed nothing" + (f": {said}" if said else "")
            return json.dumps({"declined": ReasonCode.could_not_check.value, "detail": detail})
        return told

    async def _served(self, sandbox: Sandbox, workspace: Workspace, desk: _Desk) -> str:
        relay = Relay(sandbox, desk.answer)
        ready = asyncio.Event()
        serving = asyncio.ensure_future(relay.serve(self.seconds + 60, ready))
        tasks: list[asyncio.Future[Any]] = [serving, asyncio.ensure_future(ready.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                raise _end_of(serving)
            values = {"{prompt}": _PROMPT, "{base_url}": f"http://127.0.0.1:{relay.port}", "{model}": self.llm}
            env = {key: _filled(value, values) for key, value in self.env.items()}
            running = asyncio.ensure_future(
                sandbox.exec([_filled(word, values) for word in self.command], env=env, timeout_seconds=self.seconds)
            )
            tasks.append(running)
            await asyncio.wait([running, serving], return_when=asyncio.FIRST_COMPLETED)
            if not serving.done() and (running.exception() is not None or running.result().status is not ExecStatus.exited):
                # What ended the relay takes the sandbox with it, and the agent may be seen to end first: the relay knows why.
                await asyncio.wait([serving], timeout=_REASON_SECONDS)
            if serving.done() and (not running.done() or isinstance(serving.exception(), LlmError)):
                raise _end_of(serving)
            return await self._left(sandbox, workspace, desk, await running)
        finally:
            # Only when all is read: a command that is cancelled takes the sandbox with it.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _end_of(serving: asyncio.Future[None]) -> BaseException:
    return serving.exception() or SandboxLostError("the relay ended before the agent did")


class _Desk:
    """Answers an agent's questions through the case's purse. What it asks for is text; there is nothing else to be had here."""

    def __init__(self, llm: Llm, most: int) -> None:
        self._llm = llm
        self._most = most
        self.asked = 0

    async def answer(self, asked: Asked) -> Answered:
        """Answer one request.

        Raises LlmAuthError and BudgetError: every other question would end alike, so they end the agent's work and not this question.
        """
        protocol = protocol_of(asked.path)
        if asked.method != "POST" or not protocol:
            return Answered(404, "application/json", write_error("messages", "there is no such thing here"))
        self.asked += 1
        if self.asked > self._most:
            raise BudgetError(f"{self._most} questions are used up", hint="raise `questions` of the fixer")
        try:
            question = read_question(protocol, asked.body)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError) as error:
            return Answered(400, "application/json", write_error(protocol, f"not a question: {type(error).__name__}"))
        try:
            reply = await self._llm.complete(question.prompt)
        except (LlmAuthError, BudgetError):
            raise
        except LlmError as error:
            return Answered(502, "application/json", write_error(protocol, error.message))
        return Answered(200, *write_answer(protocol, question, reply))


def _filled(word: str, values: dict[str, str]) -> str:
    for mark, value in values.items():
        word = word.replace(mark, value)
    return word


def _task(finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> str:
    prompts = load_prompts("external")
    reproducer = workspace.reproducer
    files = "\n\n".join(quoted(name, text) for name, text in sorted(reproducer.files.items())) if reproducer else "none"
    fell = "\n".join(quoted("attempt", f"{a.patch.diff}\nfell: {a.verdict.summary}", 8_000) for a in history[-3:]) or "none"
    where = f"{finding.path}:{finding.location.start_line}" if finding.location else "not told"
    text = "\n".join(part for part in (finding.rule_id, where, finding.message, finding.snippet, finding.contract) if part)
    return prompts.render("task", finding=quoted("finding", text), reproducer=files, attempts=fell)


async def _edits(sandbox: Sandbox, workspace: Workspace) -> str:
    """Return the files that the agent changed, read as text; what it left behind of caches is not looked at."""
    known = {entry.path: entry.oid for entry in workspace.tree.entries() if entry.is_file}
    script = resources.files("remediator.builtin.relay").joinpath("changes.py").read_text("utf-8")
    result = await sandbox.exec(
        [_PYTHON, "-I", "-S", "-B", "-c", script], cwd="/", stdin=json.dumps(known).encode("ascii"), observer=True, timeout_seconds=120.0
    )
    if not result.ok:
        return json.dumps({"declined": ReasonCode.could_not_check.value, "detail": "what the agent changed could not be listed"})
    found = json.loads(result.stdout)
    changed = [path for path in found["changed"] if not any(part in f"{path}/" for part in _LEFT_BEHIND) and not path.endswith(".pyc")]
    if found["gone"] or len(changed) > _MOST_FILES or not found["whole"]:
        detail = (
            f"the agent removed {len(found['gone'])} files and changed {len(changed)}; at most {_MOST_FILES} may change and none may go"
        )
        return json.dumps({"declined": ReasonCode.no_safe_transform.value, "detail": detail})
    edits = {path: (await sandbox.read(f"/job/{path}", limit_bytes=_FILE_BYTES)).decode("utf-8", "surrogateescape") for path in changed}
    return json.dumps({"edits": edits})
