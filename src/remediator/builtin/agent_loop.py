"""The loop between a model and its tools: ask, do what it calls, tell it, until it hands something in or a limit is reached."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from remediator.builtin.prompts import Prompts
from remediator.contracts import Llm, Message, Prompt, Reply, ToolCall, ToolSpec, Workspace
from remediator.errors import LlmTooLongError
from remediator.records.patch import ReasonCode
from remediator.records.record import canonical_json

_MOST_CALLS = 8
_IDLE, _SAME = 3, 3
_KEPT_MESSAGES, _FEWEST_KEPT = 8, 2


class GivenUp(NamedTuple):
    """The loop ended without a result."""

    reason: ReasonCode
    detail: str


class Toolset(ABC):
    """Tools over one piece of work. `outcome` is set when something acceptable was handed in, or the model gave up."""

    outcome: Any = None

    @property
    @abstractmethod
    def specs(self) -> tuple[ToolSpec, ...]:
        """Return what the model may call."""

    @abstractmethod
    def is_pure(self, name: str) -> bool:
        """Return whether a call only changes what we hold in memory, so that it is done again after a crash instead of remembered."""

    @abstractmethod
    async def call(self, call: ToolCall) -> str:
        """Do it, and return what the model is told. Errors of the model's making are texts, not exceptions."""


class Limits(NamedTuple):
    """How long the loop may go on, and how much of it is sent each time."""

    steps: int
    max_tokens: int
    context_bytes: int
    temperature: float | None


async def talk(llm: Llm, tools: Toolset, workspace: Workspace, prompts: Prompts, system: str, task: str, limits: Limits) -> Any:
    """Return the toolset's outcome, or GivenUp. Raises LlmError and its kinds."""
    conversation = _Conversation(task, limits.context_bytes)
    idle, calls, before, same = 0, 0, b"", 0
    for _ in range(limits.steps):
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
        conversation.answered(reply)
        if reply.stop == "refused":
            return GivenUp(ReasonCode.could_not_check, "the model refused to answer")
        if not reply.tool_calls:
            idle += 1
            if idle >= _IDLE:
                return GivenUp(ReasonCode.could_not_check, f"the model called no tool in {idle} answers")
            conversation.add(Message(role="user", text=prompts.render("cut" if reply.stop == "length" else "idle")))
            continue
        idle = 0
        for position, call in enumerate(reply.tool_calls):
            identity = canonical_json([call.name, call.arguments])
            same = same + 1 if identity == before else 1
            before = identity
            if same > 2 * _SAME:
                return GivenUp(ReasonCode.could_not_check, f"the model made the same call {same} times: {call.name[:40]}")
            calls += 1
            if position >= _MOST_CALLS:
                told = f"not done: at most {_MOST_CALLS} calls in one answer"
            elif same > _SAME:
                told = prompts.render("repeated")
            elif tools.is_pure(call.name):
                told = await tools.call(call)
            else:
                told = await workspace.remembered(f"tool-{calls}", lambda call=call: tools.call(call))  # type: ignore[misc]
            conversation.add(Message(role="tool", text=told, call_id=call.id))
        if tools.outcome is not None:
            return tools.outcome
    return GivenUp(ReasonCode.budget, f"{limits.steps} steps are used up")


async def _asked(llm: Llm, prompt: Prompt, conversation: _Conversation) -> Reply | None:
    """Return the reply; None where the question was too long for the model and has been shortened."""
    try:
        return await llm.complete(prompt)
    except LlmTooLongError:
        # `context_bytes` is a guess about a model that we do not know; its server knows.
        if not conversation.shorten():
            raise
        return None


class _Conversation:
    """The messages; where they get too long, the oldest results are left out and can be had again by calling again."""

    def __init__(self, task: str, most_bytes: int) -> None:
        self._messages = [Message(role="user", text=task)]
        self._most = most_bytes
        self._shortened = 1
        self._kept = _KEPT_MESSAGES

    def add(self, message: Message) -> None:
        self._messages.append(message)

    def answered(self, reply: Reply) -> None:
        # An answer without a word and without a call is refused by providers as a message of its own.
        text = reply.text or ("" if reply.tool_calls else "…")
        self.add(Message(role="assistant", text=text, tool_calls=reply.tool_calls, carried=reply.carried))

    def shorten(self) -> bool:
        """Make room for half of what is there now, sparing fewer of the latest messages. Return whether that made it shorter."""
        before = self._size()
        self._most = before // 2
        self.messages()
        while self._size() == before and self._kept > _FEWEST_KEPT:
            self._kept //= 2
            self.messages()
        return self._size() < before

    def messages(self) -> tuple[Message, ...]:
        """Return what is sent. Once shortened, a message stays so: a beginning that does not change is read from the provider's cache."""
        while self._size() > self._most and self._shortened < len(self._messages) - self._kept:
            old = self._messages[self._shortened]
            if old.role == "tool" and len(old.text) > 200:
                self._messages[self._shortened] = old.model_copy(
                    update={"text": f"[{len(old.text)} characters left out; call again where needed]"}
                )
            self._shortened += 1
        return tuple(self._messages)

    def _size(self) -> int:
        return sum(
            len(message.text) + len(str(message.carried)) + sum(len(str(call.arguments)) for call in message.tool_calls)
            for message in self._messages
        )
