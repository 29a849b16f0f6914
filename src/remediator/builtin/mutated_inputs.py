"""Makes variants of a reproducer by changing the inputs in it, one at a time, by rule."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping

from remediator.records.reproducer import CONTROL, VARIANT

_MOST_TEXT = 2000
_MOST_NODES = 1000  # of a test: each of its inputs is looked for in all of it
_TEXT: tuple[Callable[[str], str], ...] = (
    lambda text: " " + text,
    lambda text: text + " ",
    lambda text: text + "\n",
    lambda text: "\n" + text,
    lambda text: text.upper(),
    lambda text: text.swapcase(),
    lambda text: text.replace(" ", "\t"),
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace("'", '"'),
    lambda text: text.replace("a", "b"),
    lambda text: text + text,
    lambda text: text.replace("1", "7"),
)
_BYTES: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: b" " + data,
    lambda data: data + b"\n",
    lambda data: b"\n" + data,
    lambda data: data.replace(b"\n", b"\r\n"),
    lambda data: data + b" ",
    lambda data: data.upper(),
)
_NUMBERS: tuple[Callable[[int], int], ...] = (lambda n: n * 2, lambda n: n + 1, lambda n: n - 1, lambda n: n * 3 + 7)


def mutated(files: Mapping[str, str], most: int) -> dict[str, str]:
    """Return one test file of at most `most` variants for each file that has tests which show the flaw itself.

    A variant is the test with one text, bytes or whole number changed that is not part of an assertion's message. Whether it still
    shows the flaw is not known here.
    """
    made = {}
    for name, text in sorted(files.items()):
        try:
            tree = ast.parse(text)
            variants = _variants(tree, most)
            if variants:
                made[f"test_changed_{name.removeprefix('test_')}"] = ast.unparse(_with(tree, variants))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return made


def _variants(tree: ast.Module, most: int) -> list[ast.stmt]:
    """Return changed copies of the tests, spread over tests and places alike."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _shows(node.name)]
    functions = [function for function in functions if sum(1 for _ in ast.walk(function)) <= _MOST_NODES]
    streams = [_changed(function) for function in functions]
    found: list[ast.stmt] = []
    while streams and len(found) < most:
        for stream in list(streams):
            variant = next(stream, None)
            if variant is None:
                streams.remove(stream)
            elif len(found) < most:
                variant.name = f"{VARIANT}_{len(found)}"
                found.append(variant)
    return found


def _shows(name: str) -> bool:
    return name.startswith("test") and not name.startswith((VARIANT, CONTROL))


def _changed(function: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
    places = [number for number, node in enumerate(ast.walk(function)) if _is_input(function, node)]
    for round_ in range(len(_TEXT)):
        for place in places:
            twin = copy.deepcopy(function)
            node = next(node for number, node in enumerate(ast.walk(twin)) if number == place)
            assert isinstance(node, ast.Constant)
            value = _other(node.value, round_)
            if value is not None and value != node.value:
                node.value = value
                yield twin


def _other(value: object, round_: int) -> str | bytes | int | None:
    if isinstance(value, str):
        return _TEXT[round_](value)
    if isinstance(value, bytes):
        return _BYTES[round_](value) if round_ < len(_BYTES) else None
    if isinstance(value, int):
        return _NUMBERS[round_](value) if round_ < len(_NUMBERS) else None
    return None


def _is_input(function: ast.FunctionDef, node: ast.AST) -> bool:
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool) or not isinstance(node.value, str | bytes | int):
        return False
    if isinstance(node.value, str | bytes) and not 0 < len(node.value) <= _MOST_TEXT:
        return False
    # What is asserted is not an input: to change it would make a red test of any behaviour.
    if _is_expectation(function, node):
        return False
    for other in ast.walk(function):
        if isinstance(other, ast.JoinedStr | ast.ExceptHandler) and any(part is node for part in ast.walk(other)):
            return False
        if isinstance(other, ast.Assert | ast.Compare) and any(part is node for part in _outside_calls(other)):
            return False
        if isinstance(other, ast.Expr) and other.value is node:
            return False
        if isinstance(other, ast.keyword) and other.arg in ("match", "timeout", "reason", "id", "ids") and other.value is node:
            return False
    return not any(part is node for decorator in function.decorator_list for part in ast.walk(decorator))


def _outside_calls(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of an expression that are not arguments of a call in it: what is compared, not what is put in."""
    stack = [node]
    while stack:
        found = stack.pop()
        yield found
        stack += [part for part in ast.iter_child_nodes(found) if not isinstance(part, ast.Call)]


def _is_expectation(function: ast.FunctionDef, node: ast.AST) -> bool:
    """Return whether the constant is kept under a name that something is compared with."""
    compared = {
        name.id
        for other in ast.walk(function)
        if isinstance(other, ast.Assert | ast.Compare)
        for name in ast.walk(other)
        if isinstance(name, ast.Name)
    }
    for other in ast.walk(function):
        if isinstance(other, ast.Assign) and not isinstance(other.value, ast.Call) and any(part is node for part in ast.walk(other.value)):
            return any(isinstance(target, ast.Name) and target.id in compared for target in other.targets)
    return False


def _with(tree: ast.Module, variants: list[ast.stmt]) -> ast.Module:
    kept = [node for node in tree.body if not (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"))]
    kept = [node for node in kept if not (isinstance(node, ast.ClassDef) and node.name.startswith("Test"))]
    return ast.fix_missing_locations(ast.Module(body=[*kept, *variants], type_ignores=[]))
