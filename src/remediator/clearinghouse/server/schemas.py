"""The JSON Schemas of everything that goes over the wire, by name."""

from __future__ import annotations

import re
from typing import Any

from remediator.clearinghouse.wire import answers
from remediator.clearinghouse.wire.verbs import BODIES, Request
from remediator.records.record import Record

ANSWERS: tuple[type[Record], ...] = (
    answers.Answer,
    answers.ProblemDetail,
    answers.Lease,
    answers.OptOut,
    answers.Flaw,
    answers.Fix,
    answers.Published,
    answers.FeedEntry,
    answers.FeedPage,
    answers.SignedHead,
    answers.TreeHead,
    answers.LedgerEntry,
    answers.Opening,
    answers.Organisation,
    answers.Validation,
    answers.Assessment,
    answers.Priority,
    answers.Witness,
)
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def name_of(model: type[Record]) -> str:
    """Return the name of a record's schema: its own, in lower case with dashes."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", model.__name__).lower()


_ALL: tuple[type[Record], ...] = (Request, *BODIES.values(), *ANSWERS)
SCHEMAS: dict[str, type[Record]] = {name_of(model): model for model in _ALL}


def schema(model: type[Record]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a record, complete in itself."""
    if model not in ANSWERS:
        return {"$schema": _DIALECT, **model.model_json_schema()}
    found = model.model_json_schema(mode="serialization")
    return {"$schema": _DIALECT, **opened(found), "$defs": {name: opened(each) for name, each in found.get("$defs", {}).items()}}


def opened(found: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an answer as a client should take it: later versions of a server may add fields."""
    return {name: value for name, value in found.items() if (name, value) != ("additionalProperties", False)}
