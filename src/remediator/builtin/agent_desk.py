"""What an agent can do on its desk: look, and run things in sandboxes that are thrown away after each command."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from remediator.builtin.agent_loop import GivenUp, Toolset
from remediator.builtin.prompts import quoted
from remediator.contracts import ExecResult, ExecStatus, ToolCall, ToolSpec, Workspace
from remediator.errors import GitError, LlmError, PatchError, RemediatorError, SandboxError
from remediator.records.patch import ReasonCode
from remediator.records.recipe import TestOutcome, TestRun

_MOST_LINES, _MOST_ENTRIES, _FILE_BYTES, _SHOWN = 400, 300, 2_000_000, 8_000
_LOG = 3_000
_RUN_SECONDS, _SEARCH_SECONDS = 120.0, 30.0
_OUTPUT_BYTES = 4 * 1024 * 1024
# Others would say why a case ends without meaning it.
_REASONS = (ReasonCode.ambiguous_intent, ReasonCode.needs_design, ReasonCode.no_safe_transform, ReasonCode.no_upstream_fix)
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 1}


def tool(name: str, description: str, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> ToolSpec:
    """Return a tool's description with a closed schema."""
    properties = {**required, **(optional or {})}
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, description=description, parameters=schema)


_SPECS = (
    tool("list", "List the files of a folder of the program, the whole program by default.", {}, {"path": _TEXT}),
    tool("search", "Search the program's text files for an extended regular expression (grep -E).", {"pattern": _TEXT}, {"path": _TEXT}),
    tool("read", "Read lines of a file, with their numbers.", {"path": _TEXT}, {"start": _NUMBER, "lines": _NUMBER}),
    tool(
        "run",
        "Run a shell command in the program's folder, in a fresh sandbox with your edits, without network. Nothing it writes is kept.",
        {"command": _TEXT},
    ),
    tool("run_tests", "Run the program's own tests with your edits; tells what is worse than before.", {}),
    tool(
        "give_up",
        "End without a result, where there can be none.",
        {"reason": {"type": "string", "enum": [reason.value for reason in _REASONS]}, "detail": _TEXT},
    ),
)


class Desk(Toolset):
    """The program, with edits laid over it in memory. The host opens none of its files and runs none of its code."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.edits: dict[str, bytes] = {}
        self.outcome: Any = None

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """Return the tools of every desk."""
        return _SPECS

    def is_pure(self, name: str) -> bool:
        """Return whether a call works on memory alone."""
        return name in ("give_up", "list", "read")

    async def call(self, call: ToolCall) -> str:
        """Do what is called; tell what went wrong where it is the caller's to mend."""
        spec = next((spec for spec in self.specs if spec.name == call.name), None)
        if spec is None:
            return f"there is no tool {call.name[:40]!r}; there are: {', '.join(spec.name for spec in self.specs)}"
        if problem := _problem(spec, call.arguments):
            return problem
        work: Callable[..., str | Awaitable[str]] = getattr(self, f"tool_{spec.name}")
        try:
            told = work(**call.arguments)
            return await told if inspect.isawaitable(told) else str(told)
        except LlmError:
            raise
        except (PatchError, SandboxError) as error:
            return f"not done: {error.message}"
        except RemediatorError as error:
            return f"not done: {error.message} {error.hint}".strip()

    # -- looking -------------------------------------------------------------------------------------------------------

    def tool_list(self, path: str = "") -> str:
        """List what is below a folder."""
        folder = path.strip("./")
        paths = [entry.path for entry in self.workspace.tree.entries() if entry.is_file]
        paths = sorted({*paths, *self.edits})
        found = [name for name in paths if not folder or name == folder or name.startswith(f"{folder}/")]
        told = "\n".join(found[:_MOST_ENTRIES])
        return quoted("files", told or "nothing", 16_000) + (f"\n{len(found) - _MOST_ENTRIES} more" if len(found) > _MOST_ENTRIES else "")

    def tool_read(self, path: str, start: int = 1, lines: int = 200) -> str:
        """Show lines of a file."""
        data = self.content(path)
        if data is None:
            return f"there is no regular file {path[:200]!r}"
        text = data.decode("utf-8", "backslashreplace").split("\n")
        start, lines = int(start), int(lines)  # JSON's 2.0 is a whole number too
        chosen = text[start - 1 : start - 1 + min(lines, _MOST_LINES)]
        shown = "\n".join(f"{number:5} {line[:400]}" for number, line in enumerate(chosen, start))
        return quoted("file", shown, 24_000) + f"\n{len(text)} lines in all"

    async def tool_search(self, pattern: str, path: str = "") -> str:
        """Search with a matcher that cannot be made to run for ever, in a sandbox, since both sides of it are strangers'."""
        where = f"./{path.strip('./')}" if path.strip("./") else "."
        result = await self._in_sandbox(["grep", "-rnIE", "-m", "40", "-e", pattern, "--", where], _SEARCH_SECONDS)
        return _shown(result)

    # -- running -------------------------------------------------------------------------------------------------------

    async def tool_run(self, command: str) -> str:
        """Run a command."""
        return _shown(await self._in_sandbox(["sh", "-c", command], _RUN_SECONDS))

    async def tool_run_tests(self) -> str:
        """Run the project's tests."""
        baseline = await self.workspace.baseline()
        if baseline is None or not baseline.passing:
            return "the program has no tests that pass"
        run = await self.workspace.test(edits=self.edits)
        worse = sorted(test for test in baseline.passing if run.results.get(test) not in (TestOutcome.passed, TestOutcome.xpassed))
        told = f"{len(baseline.passing) - len(worse)} of {len(baseline.passing)} tests that passed before pass"
        if not run.complete:
            told += f"; the run is in doubt: {', '.join(run.problems)}"
        listed = "\n".join(f"{test}: {run.raised.get(test) or run.results.get(test) or 'gone'}" for test in worse[:30])
        return told + (f"\n{quoted('tests', listed)}\n{self.log_of(run.log_digest)}" if worse else "")

    def tool_give_up(self, reason: str, detail: str) -> str:
        """End without a result."""
        self.outcome = GivenUp(ReasonCode(reason), detail[:500])
        return "given up"

    # -- parts ---------------------------------------------------------------------------------------------------------

    def content(self, path: str) -> bytes | None:
        """Return a file's content as edited."""
        if path in self.edits:
            return self.edits[path]
        try:
            return self.workspace.tree.read(path, limit_bytes=_FILE_BYTES)
        except (KeyError, GitError):
            return None

    def log_of(self, digest: str) -> str:
        """Return the end of a log, for a reader who must not believe it."""
        try:
            text = self.workspace.kept(digest).decode("utf-8", "backslashreplace") if digest else ""
        except KeyError:
            text = ""
        return quoted("log", text[-_LOG:]) if text else ""

    async def _in_sandbox(self, argv: list[str], seconds: float) -> ExecResult:
        async with self.workspace.sandbox() as sandbox:
            for path, data in self.edits.items():
                await sandbox.write(f"/job/{path}", data)
            return await sandbox.exec(argv, timeout_seconds=seconds, output_bytes=_OUTPUT_BYTES)


def told_of_run(run: TestRun, log: str) -> str:
    """Return test results as lines, and the end of what was printed where one is not green."""
    if all(outcome is TestOutcome.passed for outcome in run.results.values()):
        log = ""
    lines = [f"{test}: {outcome}" + (f" ({run.raised[test]})" if test in run.raised else "") for test, outcome in run.results.items()]
    doubt = f"the run is in doubt: {', '.join(run.problems)}\n" if run.problems else ""
    return doubt + quoted("tests", "\n".join(lines[:60]) or "no test was run") + (f"\n{log}" if log else "")


def _shown(result: ExecResult) -> str:
    code = f"exit {result.exit_code}" if result.status is ExecStatus.exited else str(result.status)
    text = (result.stdout + (b"\n[error stream]\n" + result.stderr if result.stderr else b"")).decode("utf-8", "backslashreplace")
    return f"{code}\n{quoted('output', text, _SHOWN)}"


def _problem(spec: ToolSpec, arguments: Mapping[str, Any]) -> str:
    """Return what is wrong with a call's arguments, or an empty text."""
    import jsonschema

    try:
        jsonschema.validate(arguments, spec.parameters)
    except jsonschema.ValidationError as error:
        return f"{spec.name}: {error.message[:300]}"
    longest = max((len(value) for value in arguments.values() if isinstance(value, str)), default=0)
    return f"{spec.name}: an argument of {longest} characters is too long" if longest > _FILE_BYTES else ""
