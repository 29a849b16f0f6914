"""The base of every record, and the one way to turn a value into bytes that can be hashed or signed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

_DEEPEST, _LONGEST_BITS = 64, 64
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _fail_fast(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in ("list", "tuple", "set", "frozenset"):
            schema["fail_fast"] = True
        for each in schema.values():
            _fail_fast(each)
    elif isinstance(schema, list | tuple):
        for each in schema:
            _fail_fast(each)


class Record(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Have reading end at the first wrong entry of a list: a stranger's million wrong ones would be a million errors, a gigabyte."""
        schema = handler(source)
        _fail_fast(schema)
        return schema

    def as_json(self) -> dict[str, Any]:
        """Return the plain JSON form, fit for a journal, a bundle or a wire."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Read what `canonical_json(self.as_json())` wrote, undecodable file names included. Raises ValueError."""
        return cls.model_validate(json.loads(data))

    def digest(self) -> str:
        """Return `sha256:<hex>` of the canonical JSON."""
        return digest_of(canonical_json(self.as_json()))


def canonical_json(value: object) -> bytes:
    """Return sorted, compact UTF-8 JSON: the same value always gives the same bytes.

    Lone surrogates (undecodable file names) are escaped, so any text that we hold can be encoded.
    """
    return _CANONICAL.encode(value).encode("ascii")


def digest_of(data: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def plain(value: object, *, deepest: int = _DEEPEST) -> Any:
    """Return a stranger's value as plain JSON that anybody can write down again.

    What JSON or its readers cannot hold becomes a text: numbers that are not finite or too large, and what is nested too deeply. Lone
    surrogates are replaced.
    """
    match value:
        case None | bool():
            return value
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
        case int():
            return value if value.bit_length() < _LONGEST_BITS else f"a whole number of {value.bit_length()} bits"
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping() | list() | tuple() if deepest <= 0:
            return "nested too deeply"
        case Mapping():
            return {str(plain(key)): plain(inner, deepest=deepest - 1) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner, deepest=deepest - 1) for inner in value]
        case _:
            return plain(str(value)[:1000])
