"""Tells which of the changed lines ran: a call is put before each statement that stands on one, in memory, nowhere else."""

# ruff: noqa: PTH118
# pathlib is a module that the tree can change under us; os.path is loaded before it.

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import os
from collections.abc import Callable
from typing import Any

_HOOK = "__remediator_line__"


def watch(root: str, lines: dict[str, list[int]], tell: Callable[[str, int], None]) -> None:
    """Have `tell` called once for each of these lines that runs. Nothing else is slowed down."""
    if not lines:
        return
    wanted = {os.path.realpath(os.path.join(root, path)): (path, frozenset(numbers)) for path, numbers in lines.items()}
    told: set[tuple[str, int]] = set()

    def hit(path: str, numbers: tuple[int, ...]) -> None:
        if (path, numbers[0]) not in told:
            told.update((path, number) for number in numbers)
            for number in numbers:
                tell(path, number)

    setattr(builtins, _HOOK, hit)
    plain = importlib.machinery.SourceFileLoader.source_to_code

    def source_to_code(self: Any, data: Any, path: Any, **options: Any) -> Any:
        found = wanted.get(os.path.realpath(path)) if isinstance(path, str) else None
        if found is None or not isinstance(data, (bytes, bytearray, str)):
            return plain(self, data, path, **options)
        return plain(self, instrumented(data, *found), path, **options)

    importlib.machinery.SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign]


def instrumented(data: bytes | bytearray | str, path: str, wanted: frozenset[int]) -> ast.Module:
    """Return the syntax tree with a call before every statement whose own lines touch `wanted`."""
    tree = ast.parse(bytes(data) if isinstance(data, bytearray) else data)
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                setattr(node, field, _with_calls(node, field, block, path, wanted))
    return tree


def _with_calls(node: ast.AST, field: str, block: list[ast.stmt], path: str, wanted: frozenset[int]) -> list[ast.stmt]:
    result: list[ast.stmt] = []
    for position, statement in enumerate(block):
        extra = _header_lines(node) if position == 0 and field == "body" and isinstance(node, _CLAUSES) else set()
        numbers = tuple(sorted((own_lines(statement) | extra) & wanted))
        if numbers and not _must_stay_first(statement, position):
            result.append(_call(path, numbers, statement))
        result.append(statement)
    return result


# An `except` or `case` line is known to have run only where its block was entered.
_CLAUSES: tuple[type[ast.AST], ...] = tuple(kind for kind in (ast.ExceptHandler, getattr(ast, "match_case", None)) if kind is not None)


def _header_lines(node: ast.AST) -> set[int]:
    start = int(getattr(node, "lineno", 0) or getattr(getattr(node, "pattern", None), "lineno", 0))
    first: ast.stmt = node.body[0]  # type: ignore[attr-defined]
    return set(range(start, first.lineno))


def own_lines(statement: ast.stmt) -> set[int]:
    """Return the lines of a simple statement, or those of a compound one before its first block."""
    start = min([statement.lineno, *(item.lineno for item in getattr(statement, "decorator_list", []))])
    inner = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if not inner:
        return set(range(start, (statement.end_lineno or start) + 1))
    first = inner[0]
    line = getattr(first, "lineno", None) or first.pattern.lineno
    decorators = [item.lineno for item in getattr(first, "decorator_list", [])]
    return set(range(start, max(min([line, *decorators]), statement.lineno + 1)))


def _must_stay_first(statement: ast.stmt, position: int) -> bool:
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return True
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return position == 0 and docstring


def _call(path: str, numbers: tuple[int, ...], before: ast.stmt) -> ast.stmt:
    arguments: list[ast.expr] = [ast.Constant(path), ast.Tuple([ast.Constant(number) for number in numbers], ast.Load())]
    call = ast.Expr(ast.Call(ast.Name(_HOOK, ast.Load()), arguments, []))
    return ast.fix_missing_locations(ast.copy_location(call, before))
