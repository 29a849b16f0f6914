"""Poetry's own notation for versions and dependencies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from remediator.recipe.python.project_files import clean


def poetry_requirements(table: Mapping[str, Any]) -> list[str]:
    """Turn poetry's own notation into requirements; what comes from a place instead of the index is left out."""
    lines = []
    for name, value in table.items():
        wanted = value.get("version") if isinstance(value, Mapping) else value
        if name.lower() == "python" or not isinstance(wanted, str) or (isinstance(value, Mapping) and value.get("optional")):
            continue
        marker = str(value.get("markers", "")) if isinstance(value, Mapping) else ""
        python = value.get("python") if isinstance(value, Mapping) else None
        if isinstance(python, str):
            marker = _python_marker(poetry_specifier(python))
        lines.append(f"{name}{poetry_specifier(wanted)}" + (f" ; {marker}" if marker else ""))
    return clean(lines)


def _python_marker(specifier: str) -> str:
    parts = [re.fullmatch(r"\s*([<>=!~]+)\s*([\d.]+)\s*", part) for part in specifier.split(",")]
    return " and ".join(f'python_version {part[1]} "{part[2]}"' for part in parts if part)


def poetry_specifier(text: str) -> str:
    """Return a caret, tilde or star version as ordinary bounds; nothing where it means "any" or is not understood."""
    bounds = []
    for part in text.split("||")[0].split(","):
        found = re.fullmatch(r"\s*(\^|~=|~|>=|<=|==|!=|>|<|=)?\s*v?(\d[\w.+!-]*?|\*)(\.\*)?\s*", part)
        if found is None or found[2] == "*":
            continue
        sign, version, star = found[1] or "", found[2], found[3] or ""
        if sign == "^" or sign == "~":
            bounds.append(f">={version},<{_next(version, caret=sign == '^')}")
        else:
            bounds.append(f"{'==' if sign in ('', '=') else sign}{version}{star}")
    return ",".join(bounds)


def _next(version: str, *, caret: bool) -> str:
    numbers = [int(part) for part in re.findall(r"\d+", version)][:3]
    place = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1) if caret else min(1, len(numbers) - 1)
    return ".".join(str(number) for number in [*numbers[:place], numbers[place] + 1])
