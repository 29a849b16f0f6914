"""How many of the lines that a patch adds were run by the tests."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from remediator.contracts.tree import Tree
from remediator.diff import FileChange

_MAX_BYTES = 2_000_000


class Coverage(NamedTuple):
    """Changed statements (changed lines, where the language is not known) that were run, of how many."""

    executed: int
    total: int

    @property
    def warning(self) -> str:
        """Return what a reader must know before he relies on the tests, or an empty string."""
        return "no test runs any changed line" if self.total and not self.executed else ""

    @property
    def sentence(self) -> str:
        """Return the end of a sentence that tells the coverage."""
        if not self.total:
            return ""
        if self.warning:
            return f"; {self.warning}"
        return f"; {self.executed} of {self.total} changed statements were run" if self.total != 1 else "; the changed statement was run"


def coverage(changes: Sequence[FileChange], tree: Tree, lines_run: Mapping[str, Collection[int]]) -> Coverage:
    """Return how much of what the patch adds was run."""
    executed = total = 0
    for change in changes:
        added = {line.new for line in change.added if line.text.strip()}
        if not added:
            continue
        run = set(lines_run.get(change.path, ()))
        for span in _spans(change.path, added, tree):
            total += 1
            executed += not run.isdisjoint(span)
    return Coverage(executed, total)


def _spans(path: str, added: set[int], tree: Tree) -> list[range]:
    """Return the changed statements as line ranges."""
    if path.endswith(".py"):
        try:
            parsed = ast.parse(tree.read(path, limit_bytes=_MAX_BYTES))
        except (KeyError, SyntaxError, ValueError, RecursionError, MemoryError):
            return []
        spans = [_span(node) for node in ast.walk(parsed) if isinstance(node, ast.stmt) and not _is_text(node)]
        return [span for span in spans if not added.isdisjoint(span)]
    return [range(line, line + 1) for line in sorted(added)] if "." in path and not path.endswith((".md", ".rst", ".txt")) else []


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _span(node: ast.stmt) -> range:
    """Return a statement's own lines: those of its head where it holds others."""
    last = node.end_lineno or node.lineno
    body = getattr(node, "body", None)
    if isinstance(body, list) and body:
        last = max(node.lineno, body[0].lineno - 1)
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return range(first, last + 1)
