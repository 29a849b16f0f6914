"""Reads JSON that a server or a model wrote: whole, an object, and of a shape that our records can hold."""

from __future__ import annotations

import json
from typing import Any

from remediator.llm.answer import TryAgainError
from remediator.records.record import plain

_MOST_DIGITS = 300


def read_object(data: bytes | str, what: str = "the answer") -> dict[str, Any]:
    """Return a JSON object. Raises TryAgainError where it is cut, is none, or holds what JSON does not know."""
    try:
        value = json.loads(data, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise TryAgainError(f"{what} is not JSON, or was cut") from error
    if not isinstance(value, dict):
        raise TryAgainError(f"{what} is a JSON {type(value).__name__}, not an object")
    found: dict[str, Any] = plain(value)
    return found


def read_arguments(value: Any) -> dict[str, Any]:
    """Return a tool call's arguments, which servers send as text or as an object. Raises TryAgainError where there is no object in it.

    Models write these: what can be understood is taken, so that the tool answers what is wrong with it.
    """
    for _ in range(2):  # the text of an object, or that text written as a text again
        if value is None or (isinstance(value, str) and not value.strip()):
            return {}
        if not isinstance(value, str):
            break
        value = _leniently_read(value)
    if not isinstance(value, dict):
        raise TryAgainError(f"a tool call's arguments are a {type(value).__name__}, not an object")
    found: dict[str, Any] = plain(value)
    return found


def _leniently_read(text: str) -> Any:
    try:
        return json.loads(text, strict=False, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise TryAgainError("a tool call's arguments are not JSON, or were cut") from error


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < _MOST_DIGITS else f"a number of {len(digits)} digits"


def clean(value: Any) -> Any:
    """Return the value with every lone surrogate in its texts replaced: nothing could encode them again."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    if isinstance(value, dict):
        return {clean(key): clean(inner) for key, inner in value.items()}
    return value


def text(value: Any) -> str:
    """Return a text, or the empty one where there is none."""
    return str(clean(value)) if isinstance(value, str) else ""


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; what is neither is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def inner(value: Any, name: str) -> dict[str, Any]:
    """Return the object that stands under a name, or an empty one."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _refused(constant: str) -> Any:
    raise ValueError(constant)
