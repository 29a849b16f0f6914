"""The loop between a model and its tools: ask, do what it calls, tell it, until it hands something in or a limit is reached."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from remediator.builtin.agent_conversation import Conversation
from remediator.builtin.prompts import Prompts
from remediator.contracts import Llm, Message, Prompt, Reply, ToolCall, ToolSpec, Workspace
from remediator.errors import LlmTooLongError
from remediator.records.patch import ReasonCode
from remediator.records.record import canonical_json

_MOST_CALLS = 16
_IDLE, _SAME = 3, 3
_TOLD_STEPS = (10, 3, 1)


class GivenUp(NamedTuple):
    """The loop ended without a result."""

    reason: ReasonCode
    detail: str


class Toolset(ABC):
    """Tools over one piece of work. `outcome` is set when something acceptable was handed in, or the model gave up."""

    outcome: Any = None
    submit: ClassVar[str] = "submit"
    """The tool that ends the work."""

    @property
    @abstractmethod
    def specs(self) -> tuple[ToolSpec, ...]:
        """Return what the model may call."""

    @abstractmethod
    def is_pure(self, name: str) -> bool:
        """Return whether a call only changes what we hold in memory, so that it is done again after a crash instead of remembered."""

    def resolved(self, call: ToolCall) -> ToolCall:
        """Return the call under the name of the tool that is meant."""
        return call

    @abstractmethod
    async def call(self, call: ToolCall) -> str:
        """Do it, and return what the model is told. Errors of the model's making are texts, not exceptions."""

    async def left(self) -> Any:
        """Return what there is, as an outcome, where the work ended without handing it in; None where there is nothing."""
        return None


class Limits(NamedTuple):
    """How long the loop may go on, and how much of it is sent each time."""

    steps: int
    max_tokens: int
    context_bytes: int
    temperature: float | None


async def talk(llm: Llm, tools: Toolset, workspace: Workspace, prompts: Prompts, system: str, task: str, limits: Limits) -> Any:
    """Return the toolset's outcome, or GivenUp. Raises LlmError and its kinds."""
    conversation = Conversation(task, limits.context_bytes)
    calling = _Calling(tools, workspace, prompts)
    idle = 0
    for left in reversed(range(limits.steps)):
        prompt = Prompt(
            system=system,
            messages=conversation.messages(),
            tools=tools.specs,
            max_tokens=limits.max_tokens,
            temperature=limits.temperature,
        )
        reply = await _asked(llm, prompt, conversation)
        if reply is None:
            continue
        reply = reply.model_copy(update={"tool_calls": tuple(tools.resolved(call) for call in reply.tool_calls)})
        conversation.answered(reply)
        if reply.stop == "refused":
            return GivenUp(ReasonCode.could_not_check, "the model refused to answer")
        idle = 0 if reply.tool_calls else idle + 1
        if idle >= _IDLE:
            return await tools.left() or GivenUp(ReasonCode.could_not_check, f"the model called no tool in {idle} answers")
        results = await calling.results(reply.tool_calls)
        if tools.outcome is not None:
            return tools.outcome
        if calling.is_stuck:
            return await tools.left() or GivenUp(ReasonCode.could_not_check, f"the model made the same call {calling.same} times")
        conversation.results(results)
        notes = [prompts.render("cut")] if reply.stop == "length" else []
        notes += [prompts.render("idle", submit=tools.submit)] if not reply.tool_calls and not notes else []
        notes += [prompts.render("steps", left=str(left), submit=tools.submit)] if left in _TOLD_STEPS else []
        conversation.noted(notes)
    return await tools.left() or GivenUp(ReasonCode.budget, f"{limits.steps} steps are used up")


class _Calling:
    """Does what is called, counts it, and stops what goes round in circles."""

    def __init__(self, tools: Toolset, workspace: Workspace, prompts: Prompts) -> None:
        self._tools, self._workspace, self._prompts = tools, workspace, prompts
        self._calls, self.same = 0, 0
        self._before: tuple[bytes, str] = (b"", "")

    @property
    def is_stuck(self) -> bool:
        return self.same > 2 * _SAME

    async def results(self, calls: Sequence[ToolCall]) -> list[Message]:
        """Return an answer to every call: providers refuse a conversation in which one has none."""
        told: list[Message] = []
        for position, call in enumerate(calls):
            self._calls += 1
            if self._tools.outcome is not None or self.is_stuck:
                text = "not done: the work is at its end"
            elif position >= _MOST_CALLS:
                text = f"not done: at most {_MOST_CALLS} calls in one answer"
            else:
                text = await self._result(call)
            told.append(Message(role="tool", text=text, call_id=call.id))
        return told

    async def _result(self, call: ToolCall) -> str:
        identity = canonical_json([call.name, call.arguments])
        again = identity == self._before[0]
        if again and self.same >= _SAME:
            self.same += 1
            return self._prompts.render("repeated")
        told = await self._done(call)
        # One that is called again because something else comes of it (`undo`, say) goes round in no circle.
        self.same = self.same + 1 if again and told == self._before[1] else 1
        self._before = (identity, told)
        return told

    async def _done(self, call: ToolCall) -> str:
        if self._tools.is_pure(call.name):
            # Done again after a crash, but what is told stays what was told: the next question may be on its way already.
            again = await self._tools.call(call)
            return await self._workspace.remembered(f"tool-{self._calls}", lambda: _same(again))
        return await self._workspace.remembered(f"tool-{self._calls}", lambda: self._tools.call(call))


async def _same(told: str) -> str:
    return told


async def _asked(llm: Llm, prompt: Prompt, conversation: Conversation) -> Reply | None:
    """Return the reply; None where the question was too long for the model and has been shortened."""
    try:
        return await llm.complete(prompt)
    except LlmTooLongError:
        # `context_bytes` is a guess about a model that we do not know; its server knows.
        if not conversation.make_room():
            raise
        return None
