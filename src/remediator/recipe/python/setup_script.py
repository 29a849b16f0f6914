"""Reads a `setup.py` as data: what its call of `setup()` says, as far as that can be known without running it."""

from __future__ import annotations

import ast
import contextlib
import re
from typing import Any

_UNKNOWN = object()
_MOST_ITEMS = 20_000
# Names for interpreters and platforms that ours are not.
_ABSENT = re.compile(r"(?i)pypy|jython|ironpython|win(dows|32)?\b|cygwin|darwin|macos|\bpy2|python2|py_?2")


def setup_arguments(text: bytes, version: tuple[int, int]) -> dict[str, Any]:
    """Return the keyword arguments of `setup()` that are plain values under Python `version`; nothing where it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    reader = _Reader(version)
    with contextlib.suppress(RecursionError):
        reader.block(tree.body)
    return reader.arguments


class _Reader:
    """Follows plain assignments, and keeps what `setup()` was given."""

    def __init__(self, version: tuple[int, int]) -> None:
        self.version = version
        self.names: dict[str, Any] = {}
        self.arguments: dict[str, Any] = {}

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.names[name] = self.value(value)
                self._call(value)
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)], value=value):
                self._store(name, self.value(key), self.value(value))
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                self.names[name] = _sum(self.names.get(name, _UNKNOWN), self.value(value))
            case ast.Expr(value=value):
                self._call(value)
            case ast.If(test=test, body=body, orelse=orelse):
                truth = self._truth(test)
                self.block(body if truth is not False else [])
                self.block(orelse if truth is not True else [])
            case ast.Try(body=body) | ast.With(body=body):
                self.block(body)
            case ast.FunctionDef(name=name, body=body) if name in ("main", "run_setup", "setup_package"):
                self.block(body)

    def _store(self, name: str, key: Any, value: Any) -> None:
        if isinstance(self.names.get(name), dict) and isinstance(key, str) and value is not _UNKNOWN:
            self.names[name][key] = value

    def _call(self, node: ast.expr) -> None:
        match node:
            case ast.Call(func=ast.Name(id="setup") | ast.Attribute(attr="setup"), keywords=keywords):
                for keyword in keywords:
                    self._argument(keyword)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[item]):
                value = self.value(item)
                self.names[name] = _sum(self.names.get(name, _UNKNOWN), [value] if value is not _UNKNOWN else _UNKNOWN)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="extend"), args=[item]):
                self.names[name] = _sum(self.names.get(name, _UNKNOWN), self.value(item))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update"), args=[item]):
                extra = self.value(item)
                if isinstance(self.names.get(name), dict) and isinstance(extra, dict):
                    self.names[name].update(extra)

    def _argument(self, keyword: ast.keyword) -> None:
        value = self.value(keyword.value)
        if keyword.arg is None:
            self.arguments.update(value if isinstance(value, dict) else {})
        elif keyword.arg in ("ext_modules", "cffi_modules", "rust_extensions"):
            # What is compiled is rarely a plain value; that something is, is enough.
            nothing = isinstance(keyword.value, (ast.List, ast.Constant)) and not getattr(keyword.value, "elts", ())
            self.arguments[keyword.arg] = [] if nothing else ["?"]
        elif value is not _UNKNOWN:
            self.arguments[keyword.arg] = value

    def value(self, node: ast.expr) -> Any:
        """Return the plain value of an expression; lists keep what is known of them."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.names.get(name, _UNKNOWN)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                known = [self.value(item) for item in items]
                return [item for item in known if item is not _UNKNOWN]
            case ast.Dict(keys=keys, values=values):
                pairs = [(self.value(k), self.value(v)) for k, v in zip(keys, values, strict=True) if k is not None]
                return {k: v for k, v in pairs if isinstance(k, str) and v is not _UNKNOWN}
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _sum(self.value(left), self.value(right))
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
                given = [(keyword.arg, self.value(keyword.value)) for keyword in keywords]
                return {name: value for name, value in given if name and value is not _UNKNOWN}
            case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "sorted"), args=[item]):
                return self.value(item)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self._truth(test) is not False else orelse)
            case ast.Subscript(value=inner, slice=key):
                container, index = self.value(inner), self.value(key)
                return container.get(index, _UNKNOWN) if isinstance(container, dict) and isinstance(index, str) else _UNKNOWN
        return _UNKNOWN

    def _truth(self, test: ast.expr) -> bool | None:
        """Return what a condition comes to: versions are compared, foreign platforms are not ours, the rest is unknown."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self._truth(operand)
                return None if inner is None else not inner
            case ast.Compare(left=left, ops=[op], comparators=[right]) if "version_info" in ast.unparse(left):
                return _compared(self.version, op, self.value(right), ast.unparse(left))
            case ast.Compare(ops=[ast.Eq()]) | ast.Name() | ast.Attribute() | ast.Call():
                text = ast.unparse(test)
                if re.search(r"(?i)\bpy_?3|python3", text):
                    return True
                return False if _ABSENT.search(text) else None
        return None


def _sum(left: Any, right: Any) -> Any:
    # What doubles itself again and again would fill our memory.
    if any(isinstance(side, (list, str)) and len(side) > _MOST_ITEMS for side in (left, right)):
        return _UNKNOWN
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    # A list of which a part is known says more than nothing.
    known = [side for side in (left, right) if isinstance(side, list)]
    return known[0] if known else _UNKNOWN


def _compared(version: tuple[int, int], op: ast.cmpop, right: Any, left: str) -> bool | None:
    ours: Any = list(version)
    if left.endswith(("[0]", ".major")):
        ours = version[0]
    elif isinstance(right, list):
        ours = ours[: len(right)] if isinstance(op, ast.Eq) else ours
    if type(ours) is not type(right):
        return None
    table = {ast.Lt: ours < right, ast.LtE: ours <= right, ast.Gt: ours > right, ast.GtE: ours >= right, ast.Eq: ours == right}
    return table.get(type(op))
