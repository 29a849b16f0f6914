"""What was said between a model and its tools, kept within bounds."""

from __future__ import annotations

from collections.abc import Sequence

from remediator.contracts import Message, Reply

_KEPT_MESSAGES = 8


class Conversation:
    """The messages; where they get too long, the oldest results are left out and can be had again by calling again."""

    def __init__(self, task: str, most_bytes: int) -> None:
        self._messages = [Message(role="user", text=task)]
        self._most = most_bytes
        self._shortened = 1

    def answered(self, reply: Reply) -> None:
        """Add what the model said."""
        # An answer without a word and without a call is refused by providers as a message of its own.
        text = reply.text if reply.text.strip() else ("" if reply.tool_calls else "…")
        self._messages.append(Message(role="assistant", text=text, tool_calls=reply.tool_calls, carried=reply.carried))

    def results(self, results: Sequence[Message]) -> None:
        """Add what the tools told."""
        self._messages += results

    def noted(self, notes: Sequence[str]) -> None:
        """Add what we have to say, behind the last result where there is one: between results and calls nothing may stand."""
        text = "\n".join(notes)
        if text and self._messages[-1].role == "tool":
            last = self._messages.pop()
            self._messages.append(last.model_copy(update={"text": f"{last.text}\n\n{text}"}))
        elif text:
            self._messages.append(Message(role="user", text=text))

    def messages(self) -> tuple[Message, ...]:
        """Return what is sent. Once shortened, a message stays so: a beginning that does not change is read from the provider's cache."""
        if self._size() > self._most:
            # What came since the last answer was never read. All before goes well below the limit, so that the beginning is changed once in
            # many answers and not by each.
            last = max((place for place, message in enumerate(self._messages) if message.role == "assistant"), default=0)
            self._shorten(min(last, len(self._messages) - _KEPT_MESSAGES), self._most * 6 // 10)
            self._shorten(last, self._most)
        return tuple(self._messages)

    def make_room(self) -> bool:
        """Leave out half of what is there now, in the end what was never read. Return whether that made it shorter."""
        before = self._size()
        self._most = before // 2
        self.messages()
        if self._size() == before:
            self._shorten(len(self._messages), self._most)
        return self._size() < before

    def _shorten(self, end: int, most: int) -> None:
        while self._size() > most and self._shortened < end:
            old = self._messages[self._shortened]
            if old.role == "tool" and len(old.text) > 200:
                self._messages[self._shortened] = old.model_copy(
                    update={"text": f"[{len(old.text)} characters left out; call again where needed]"}
                )
            self._shortened += 1

    def _size(self) -> int:
        return sum(
            len(message.text) + len(str(message.carried)) + sum(len(str(call.arguments)) for call in message.tool_calls)
            for message in self._messages
        )
