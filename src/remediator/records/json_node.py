"""A value of somebody else's JSON, with where it stands, so that a complaint can name the place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from remediator.errors import ConfigError

_LIMIT = 64 * 1024 * 1024


class JsonNode:
    """Typed access to parsed JSON. Every wrong type raises ConfigError naming the document, the path in it, and what is there."""

    __slots__ = ("_hint", "_key", "_parent", "document", "value")

    def __init__(
        self, value: Any, document: str, parent: JsonNode | None = None, key: str | int = "", *, hint: str = "it must be SARIF 2.1.0"
    ) -> None:
        self.value = value
        self.document = document
        self._parent = parent
        self._key = key
        self._hint: str = parent._hint if parent else hint

    @property
    def where(self) -> str:
        """Return the path to this value, such as `runs[0].tool`."""
        if self._parent is None:
            return ""
        above = self._parent.where
        if isinstance(self._key, int):
            return f"{above}[{self._key}]"
        return f"{above}.{self._key}" if above else self._key

    @classmethod
    def parse(cls, data: bytes, document: str, *, limit_bytes: int = _LIMIT, hint: str = "it must be SARIF 2.1.0") -> JsonNode:
        """Parse JSON. Raises ConfigError, with this hint, where it is too large, not UTF-8, not JSON, or nested too deeply."""
        if len(data) > limit_bytes:
            raise ConfigError(f"{document} is larger than {limit_bytes} bytes", hint=hint)
        try:
            value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
        except RecursionError as error:
            raise ConfigError(f"{document} is nested too deeply", hint=hint) from error
        except ValueError as error:
            raise ConfigError(f"{document} is not JSON: {error}", hint=hint) from error
        return cls(value, document, hint=hint)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def child(self, key: str) -> JsonNode:
        """Return what stands at `key`; a missing one holds None."""
        return JsonNode(self._get(key), self.document, self, key)

    def object(self, key: str) -> JsonNode:
        """Return the object at `key`, an empty one where it is missing."""
        value = self._get(key)
        if value is None:
            return JsonNode({}, self.document, self, key)
        found = JsonNode(value, self.document, self, key)
        if not isinstance(value, dict):
            found.refuse("an object")
        return found

    def items(self, key: str) -> list[JsonNode]:
        """Return the objects of the array at `key`, none where it is missing."""
        value = self._get(key)
        if value is None:
            return []
        found = self.child(key)
        if not isinstance(value, list):
            found.refuse("an array")
        return [JsonNode(item, self.document, found, index).checked() for index, item in enumerate(value)]

    def _get(self, key: str) -> Any:
        if not isinstance(self.value, dict):
            self.refuse("an object")
        return self.value.get(key)

    def checked(self) -> JsonNode:
        """Return this node, which must be an object."""
        if not isinstance(self.value, dict):
            self.refuse("an object")
        return self

    def text(self, key: str) -> str:
        """Return the string at `key`, an empty one where it is missing."""
        value = self._get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.child(key).refuse("a string")
        return str(value)

    def number(self, key: str) -> int | None:
        """Return the integer at `key`, or None where it is missing."""
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**53:
            self.child(key).refuse("an integer")
        return int(value)

    def members(self, key: str) -> Iterator[tuple[str, JsonNode]]:
        """Yield the members of the object at `key`; each must be an object."""
        found = self.object(key)
        for name in found.value:
            yield name, found.child(name).checked()

    def refuse(self, wanted: str) -> NoReturn:
        """Raise ConfigError: this is not what was wanted."""
        kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number"}
        found = kinds.get(type(self.value), "null")
        raise ConfigError(f"{self.document}: {self.where or 'the document'} is {found}, not {wanted}", hint=self._hint)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
