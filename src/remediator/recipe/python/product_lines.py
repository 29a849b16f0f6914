"""Which lines of the product are worth watching while a reproducer runs on the unpatched tree."""

from __future__ import annotations

import ast
from collections.abc import Collection

from remediator.contracts.tree import Tree
from remediator.diff.roles import objections_of
from remediator.errors import GitError

_MOST_FILES, _MOST_LINES, _FILE_BYTES = 150, 30_000, 1_000_000


def product_lines(tree: Tree, named: Collection[str]) -> dict[str, list[int]]:
    """Return the lines of statements in the product's files: those that are named, or as many as are cheap to watch."""
    paths = [entry.path for entry in tree.entries() if entry.is_file and entry.path.endswith(".py")]
    wanted = [path for path in paths if path in named] or [path for path in paths if not any(objections_of(path))][:_MOST_FILES]
    lines: dict[str, list[int]] = {}
    left = _MOST_LINES
    for path in wanted:
        found = _bodies(tree, path)[:left]
        left -= len(found)
        if found:
            lines[path] = found
    return lines


def _bodies(tree: Tree, path: str) -> list[int]:
    """Return the lines of statements inside functions: what runs when a module is imported shows nothing."""
    try:
        parsed = ast.parse(tree.read(path, limit_bytes=_FILE_BYTES))
    except (KeyError, GitError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    functions = [node for node in ast.walk(parsed) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sorted({inner.lineno for node in functions for inner in ast.walk(node) if isinstance(inner, ast.stmt) and inner is not node})
