"""What a model calls, fitted to what there is: names and arguments as models write them, or a text that says how to mend them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remediator.contracts import ToolSpec

_MOST_CHARACTERS = 2_000_000
_SHOWN = 300
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_READ: Mapping[str, type | tuple[type, ...]] = {"object": dict, "array": list, "integer": (int, float)}


def named(name: str, known: Sequence[str]) -> str:
    """Return the tool that is meant: prefixes (`functions.edit`) and capitals are the models'. One that is none stays what may be sent."""
    if name in known:
        return name
    last = re.split(r"[.:/]|__", name.strip())[-1].lower().replace("-", "_")
    return last if last in known else (_NOT_IN_A_NAME.sub("_", name)[:64] or "unnamed")


def no_such_tool(name: str, known: Sequence[str]) -> str:
    """Return what one who called it is told."""
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"there is no tool {name[:40]!r}; " + (f"did you mean {near[0]!r}? " if near else "") + f"there are: {', '.join(known)}"


def fitted(spec: ToolSpec, arguments: Mapping[str, Any]) -> dict[str, Any] | str:
    """Return the arguments as the tool takes them, or what is wrong with them."""
    import jsonschema

    wanted: Mapping[str, Any] = spec.parameters["properties"]
    required = spec.parameters["required"]
    given = {key: _read(value, wanted.get(key, {})) for key, value in arguments.items() if value is not None or key in required}
    error = next(iter(jsonschema.Draft202012Validator(spec.parameters).iter_errors(given)), None)
    if error is not None:
        where = "".join(f"[{part!r}]" for part in error.absolute_path)[:_SHOWN]
        return f"not done: {spec.name}{where}: {_cut(error.message)}. {_takes(spec)}"
    texts = list(_texts(given))
    if any("\0" in text for text in texts):
        return f"not done: {spec.name}: a NUL character can stand in no argument"
    size = sum(len(text) for text in texts)
    return f"not done: {spec.name}: {size} characters are too long" if size > _MOST_CHARACTERS else given


def _read(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return what a text holds where no text is wanted: some models write lists, objects and numbers as texts."""
    kind = schema.get("type", "")
    if isinstance(value, str) and kind in _READ:
        try:
            found = json.loads(value, strict=False)
        except (ValueError, RecursionError):
            return value
        value = found if isinstance(found, _READ[kind]) else value
    # JSON's 2.0 is a whole number too.
    return int(value) if kind == "integer" and isinstance(value, float) and value.is_integer() else value


def _takes(spec: ToolSpec) -> str:
    required = spec.parameters["required"]
    told = [
        f"{name} ({schema.get('type', 'text')}{'' if name in required else ', optional'})"
        for name, schema in spec.parameters["properties"].items()
    ]
    return f"It takes {', '.join(told)}" if told else "It takes no arguments"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _cut(text: str) -> str:
    # What was wrong stands at the end of such a message, and what it is about, of any length, before it.
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} … {text[-_SHOWN // 2 :]}"
