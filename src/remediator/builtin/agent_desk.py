"""What an agent can do on its desk: look, and run things in sandboxes that are thrown away after each command."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from remediator.builtin import agent_view
from remediator.builtin.agent_arguments import fitted, named, no_such_tool
from remediator.builtin.agent_loop import GivenUp, Toolset
from remediator.builtin.agent_view import tidy
from remediator.builtin.prompts import quoted
from remediator.contracts import ExecResult, ExecStatus, ToolCall, ToolSpec, Workspace
from remediator.errors import GitError, LlmError, RemediatorError, SandboxError
from remediator.records.patch import ReasonCode
from remediator.records.recipe import TestOutcome, TestRun

_FILE_BYTES, _SHOWN, _LOG = 2_000_000, 8_000, 3_000
_RUN_SECONDS, _SEARCH_SECONDS = 120.0, 30.0
_OUTPUT_BYTES = 4 * 1024 * 1024
# Others would say why a case ends without meaning it.
_REASONS = (ReasonCode.ambiguous_intent, ReasonCode.needs_design, ReasonCode.no_safe_transform, ReasonCode.no_upstream_fix)
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
_BAD_PATTERN = (b"nmatched", b"nvalid", b"railing backslash", b"epetition")


def tool(name: str, description: str, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> ToolSpec:
    """Return a tool's description with a closed schema."""
    properties = {**required, **(optional or {})}
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, description=description, parameters=schema)


_SPECS = (
    tool("list", "List the files below a folder of the program, the whole program by default.", {}, {"path": _TEXT}),
    tool("search", "Search the program's text files for an extended regular expression (grep -E).", {"pattern": _TEXT}, {"path": _TEXT}),
    tool(
        "read",
        "Read lines of a file, with their numbers; 200 lines from the first one by default.",
        {"path": _TEXT},
        {"start": _NUMBER, "lines": _NUMBER},
    ),
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

    def resolved(self, call: ToolCall) -> ToolCall:
        """Return the call under the name of the tool that is meant."""
        return call.model_copy(update={"name": named(call.name, [spec.name for spec in self.specs])})

    async def call(self, call: ToolCall) -> str:
        """Do what is called; tell what went wrong where it is the caller's to mend."""
        spec = next((spec for spec in self.specs if spec.name == call.name), None)
        if spec is None:
            return no_such_tool(call.name, [spec.name for spec in self.specs])
        given = fitted(spec, call.arguments)
        if isinstance(given, str):
            return given
        work: Callable[..., str | Awaitable[str]] = getattr(self, f"tool_{spec.name}")
        try:
            told = work(**given)
            return await told if inspect.isawaitable(told) else str(told)
        except LlmError:
            raise
        except SandboxError as error:
            return f"not done: {error.message}"
        except RemediatorError as error:
            return f"not done: {error.message} {error.hint}".strip()

    # -- looking -------------------------------------------------------------------------------------------------------

    def tool_list(self, path: str = "") -> str:
        """List what is below a folder."""
        return agent_view.listing(self.paths(), tidy(path))

    def tool_read(self, path: str, start: int = 1, lines: int = 200) -> str:
        """Show lines of a file."""
        data = self.content(tidy(path))
        return self.no_file(path) if data is None else agent_view.page(data, start, lines)

    async def tool_search(self, pattern: str, path: str = "") -> str:
        """Search with a matcher that cannot be made to run for ever, in a sandbox, since both sides of it are strangers'."""
        anycase = pattern.startswith("(?i)")
        words = agent_view.posix(pattern.removeprefix("(?i)"))
        where = f"./{tidy(path)}" if tidy(path) else "."
        flags = "-rnIi" if anycase else "-rnI"
        result = await self._grep(f"{flags}E", words, where)
        note = ""
        if result.exit_code == 2 and any(word in result.stderr for word in _BAD_PATTERN):
            # Most of these are calls that are looked for, such as `eval(`.
            note = "this is no extended regular expression and was taken as plain text\n"
            result = await self._grep(f"{flags}F", pattern, where)
        if result.status is ExecStatus.exited and result.exit_code == 1 and not result.stderr:
            return f"{note}nothing was found"
        if result.ok:
            return note + agent_view.matches(result.stdout)
        return note + _shown(result)

    async def _grep(self, flags: str, pattern: str, where: str) -> ExecResult:
        return await self._in_sandbox(["grep", flags, "-m", "40", "-e", pattern, "--", where], _SEARCH_SECONDS)

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

    def paths(self) -> list[str]:
        """Return the files that there are, as edited."""
        return sorted({*(entry.path for entry in self.workspace.tree.entries() if entry.is_file), *self.edits})

    def content(self, path: str) -> bytes | None:
        """Return a file's content as edited."""
        return self.edits[path] if path in self.edits else self.before(path)

    def before(self, path: str) -> bytes | None:
        """Return a file's content without the edits."""
        try:
            return self.workspace.tree.read(path, limit_bytes=_FILE_BYTES)
        except (KeyError, ValueError, GitError):
            return None

    def no_file(self, path: str) -> str:
        """Return why a path cannot be read, and which may have been meant."""
        paths, wanted = self.paths(), tidy(path)
        if wanted in paths:
            return f"{path[:200]!r} is larger than {_FILE_BYTES} bytes: use `run` to see parts of it"
        if not wanted or any(other.startswith(f"{wanted}/") for other in paths):
            return f"{path[:200]!r} is a folder: use `list`"
        return f"there is no regular file {path[:200]!r}{agent_view.near(wanted, paths)}"

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
