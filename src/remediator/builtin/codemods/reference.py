"""The table of all transforms, as the documentation shows it."""

from __future__ import annotations

from collections.abc import Sequence

from remediator.builtin.codemods.transform import Transform


def reference_table(transforms: Sequence[Transform]) -> str:
    """Return a Markdown table with one row for each transform."""
    head = "| name | CWE | what it does | what it may change in behaviour | when it declines |\n|---|---|---|---|---|\n"
    return head + "".join(_row(transform) for transform in transforms)


def _row(transform: Transform) -> str:
    numbers = ", ".join(str(number) for number in sorted(transform.cwe))
    cells = (f"`{transform.name}`", numbers, transform.summary, transform.behaviour, transform.declines)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
