"""The server's side of three model protocols: reads questions strictly, writes answers whole or as events. No I/O.

Written apart from the clients on purpose: a mistake on one side must not be believed by the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from remediator.contracts import Prompt, Reply
from remediator.records.record import canonical_json


class Tokens(NamedTuple):
    """What the server says was used. `sent` includes what was read from its cache and written to it."""

    sent: int
    output: int
    read: int = 0
    written: int = 0


class Wire(Protocol):
    """One protocol."""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the key that came along, or the empty text."""

    def prompt(self, body: Mapping[str, Any]) -> Prompt:
        """Read a question. Raises KeyError, TypeError, ValueError where the real server would refuse it."""

    def document(self, reply: Reply, model: str, tokens: Tokens) -> dict[str, Any]:
        """Write a whole answer."""

    def events(self, document: Mapping[str, Any]) -> list[bytes]:
        """Write an answer as a stream, one piece for each event."""

    def unfinished(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document without its stop reason."""

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error."""


def event(data: Mapping[str, Any], *, named: bool = False) -> bytes:
    """Return one server-sent event."""
    head = f"event: {data['type']}\n" if named else ""
    return head.encode() + b"data: " + canonical_json(data) + b"\n\n"


def pieces(text: str, size: int = 7) -> Sequence[str]:
    """Return a text in small pieces, as models stream it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def only(body: Mapping[str, Any], *known: str) -> None:
    """Raise ValueError where a question has a field that its protocol does not know."""
    if unknown := sorted(set(body) - set(known)):
        raise ValueError(f"{unknown[0]}: unknown field")


def need(condition: object, what: str) -> None:
    """Raise ValueError where a question breaks a rule."""
    if not condition:
        raise ValueError(what)
