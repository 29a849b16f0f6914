"""Reads the JSON files of a bundle; whatever is wrong with one is told by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from remediator.errors import EvidenceError
from remediator.records.record import Record

_MOST_ENTRIES, _DEEPEST = 500_000, 6
T = TypeVar("T")
R = TypeVar("R", bound=Record)


def json_of(files: Mapping[str, bytes], path: str) -> Any:
    """Return the JSON value of one file. Raises EvidenceError naming the file."""
    try:
        return json.loads(files[path])
    except KeyError as error:
        raise EvidenceError(f"{path} is missing from the bundle") from error
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"{path}: not JSON") from error


def optional_of(files: Mapping[str, bytes], path: str, default: Any) -> Any:
    """Return the JSON value of a file that need not be there."""
    return json_of(files, path) if path in files else default


def record_of(files: Mapping[str, bytes], path: str, kind: type[R]) -> R:
    """Return the record in one file. Raises EvidenceError naming the file."""
    return checked(path, kind.model_validate, json_of(files, path))


def checked(path: str, make: Callable[[Any], T], value: Any) -> T:
    """Return what `make` makes of a value. Raises EvidenceError naming the file."""
    if _is_wide(value, _DEEPEST):
        # Each wrong entry would become an error of its own.
        raise EvidenceError(f"{path}: an object has more than {_MOST_ENTRIES} entries")
    try:
        return make(value)
    except (ValidationError, RecursionError) as error:
        raise EvidenceError(f"{path}: not as bundles have it") from error


def _is_wide(value: Any, deepest: int) -> bool:
    if isinstance(value, dict):
        return len(value) > _MOST_ENTRIES or (deepest > 0 and any(_is_wide(each, deepest - 1) for each in value.values()))
    return isinstance(value, list) and deepest > 0 and any(_is_wide(each, deepest - 1) for each in value)
