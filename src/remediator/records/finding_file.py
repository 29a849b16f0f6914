"""Reads findings in our own JSON: one, a list, or the document that `scan --json` prints."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from remediator.errors import ConfigError
from remediator.records.finding import Finding
from remediator.records.json_node import JsonNode
from remediator.redact import printable

_MOST_BYTES = 16 * 1024 * 1024
_MOST = 10_000
_HINT = "a finding as `remediator scan --json` prints it, or as finding.json of a bundle has it"
_DERIVED = ("id", "key")


def read_findings(data: bytes, origin: str) -> tuple[Finding, ...]:
    """Return the findings of a file. One without `id` and `key` is given those that follow from its content.

    Raises ConfigError naming the field at fault.
    """
    node = JsonNode.parse(data, printable(origin), limit_bytes=_MOST_BYTES, hint=_HINT)
    value = node.value
    if isinstance(value, dict) and isinstance(value.get("findings"), list):
        value = value["findings"]
    listed = value if isinstance(value, list) else [value]
    if not 0 < len(listed) <= _MOST:
        raise ConfigError(f"{node.document} holds {len(listed)} findings", hint=f"between 1 and {_MOST} are taken")
    found = [_finding(item, f"{node.document}{f': [{number}]' if value is listed else ''}") for number, item in enumerate(listed)]
    return tuple({finding.id: finding for finding in found}.values())


def _finding(value: Any, origin: str) -> Finding:
    if not isinstance(value, dict):
        raise ConfigError(f"{origin} is no finding", hint=_HINT)
    derived = not any(value.get(name) for name in _DERIVED)
    try:
        read = Finding.model_validate({**value, **({"id": "f-", "key": ""} if derived else {})})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{origin}: {printable(where)}: {first['msg']}", hint=_HINT) from error
    if derived:
        return _named(read)
    # Both are printed and compared all over: nothing else than what we make ourselves is taken for one.
    if not re.fullmatch(r"f-[0-9a-f]{12}", read.id) or not re.fullmatch(r"[0-9a-f]{24}", read.key):
        raise ConfigError(f"{origin}: id or key is not as we make them", hint="leave both out, and they are made of the content")
    return read


def _named(read: Finding) -> Finding:
    named = Finding.at(
        rule_id=read.rule_id,
        scanner=read.scanner,
        message=read.message,
        location=read.location,
        snippet=read.snippet,
        ordinal=read.ordinal,
    )
    return read.model_copy(update={"id": named.id, "key": named.key})
