"""Whether a patch knows the very input by which the flaw was shown."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from remediator.diff import FileChange
from remediator.records.reproducer import CONTROL

_SHORTEST = 4


def special_cased(changes: Sequence[FileChange], files: Mapping[str, str], after: Mapping[str, bytes], before: Mapping[str, bytes]) -> str:
    """Return the input of the reproducer that the patch compares with and the base did not know, or an empty text.

    A fix may name the beginning of a key or a dangerous word; the whole input of a test is known to nobody but who wants to pass it.
    """
    inputs = {value for text in files.values() for value in _inputs(text) if _long(value)}
    for change in changes:
        old = before.get(change.path, b"")
        known = set(_constants(old))
        # A name that the program has already (a parameter, an option) is no secret of the test's.
        fresh = {value for value in set(_compared(after.get(change.path, b""))) - known if not _stands_in(old, value)}
        for value in sorted(fresh & inputs, key=repr):
            return repr(value)[:80]
    return ""


def _long(value: object) -> bool:
    return isinstance(value, str | bytes) and len(value) >= _SHORTEST


def _stands_in(text: bytes, value: object) -> bool:
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return isinstance(data, bytes) and data in text


def _inputs(text: str) -> Iterator[object]:
    """Yield the constants of the tests that show the flaw, and of what stands beside them; benign controls keep no secret."""
    nodes = list(_nodes(text))
    controls = {
        id(part)
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(CONTROL)
        for part in ast.walk(node)
    }
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in controls:
            yield node.value


def _constants(text: str | bytes) -> Iterator[object]:
    for node in _nodes(text):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            yield node.value


def _compared(text: str | bytes) -> Iterator[object]:
    """Yield the constants that code compares with, looks for, or keeps in a collection."""
    for node in _nodes(text):
        parts: Sequence[ast.AST] = ()
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Set | ast.List | ast.Tuple):
            parts = node.elts
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("startswith", "endswith", "find", "count", "replace", "strip", "index", "match", "search", "fullmatch"):
                parts = node.args
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        yield from (part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes))


def _nodes(text: str | bytes) -> Iterator[ast.AST]:
    try:
        return ast.walk(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return iter(())
