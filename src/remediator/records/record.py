"""The base of every record, and the one way to turn a value into bytes that can be hashed or signed."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

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
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def digest_of(data: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
