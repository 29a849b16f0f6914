"""Whether a reproducer shows behaviour, or only looks at the text of the program."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from remediator.recipe.python.child_reads import child_reads, made_up_names

_MOST_BYTES = 200_000
_NAME = re.compile(r"test_[a-z0-9_]{1,60}\.py")
# What reads source or byte code instead of running it, or reaches into the runner that reports.
_READERS = frozenset(
    (
        "ast", "dis", "inspect", "linecache", "symtable", "tokenize", "parser", "lib2to3", "libcst", "py_compile", "pyclbr", "gc", "ctypes",
        "marshal", "zipimport", "pkgutil", "_pytest", "pluggy", "faulthandler", "trace", "traceback", "runpy", "sysconfig",
    )
)  # fmt: skip
_ATTRIBUTES = frozenset(
    (
        "__code__", "co_code", "co_consts", "co_names", "co_varnames", "__file__", "__cached__", "__spec__", "__loader__", "__path__",
        "getsource", "getsourcelines", "get_source", "get_code", "_getframe", "settrace", "setprofile", "addaudithook",
        "f_code", "f_locals", "f_globals", "_exit", "__globals__", "__builtins__", "__subclasses__",
    )
)  # fmt: skip
_CALLS = frozenset(("exec", "eval", "compile", "globals", "vars", "__import__"))
_SKIPS = frozenset(("skip", "skipif", "xfail", "importorskip", "exit"))
_SOURCE_WORD = re.compile(r"\.py[co]?\b|/job\b|/opt/venv|\bgrep\b|site-packages|/proc/")


def problem_of(files: Mapping[str, str]) -> str | None:
    """Return why these files are no reproducer, or None. Nothing is executed.

    This is a first line only: what a test really ran is measured, and each hunk of a fix has to be needed for it.
    """
    if not files:
        return "there is no test file"
    if sum(len(text.encode("utf-8", "surrogateescape")) for text in files.values()) > _MOST_BYTES:
        return f"larger than {_MOST_BYTES} bytes"
    tests = 0
    for name, text in sorted(files.items()):
        if not _NAME.fullmatch(name):
            return f"{name!r} is no name for a test file: test_<lower case letters, digits, _>.py"
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"{name} does not parse: {error}"
        if (found := next(_all_problems(tree), None)) is not None:
            return f"{name}: {found}"
        tests += sum(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test") for node in ast.walk(tree))
    return None if tests else "there is no test function"


def _all_problems(tree: ast.AST) -> Iterator[str]:
    yield from _problems(tree)
    for line, told in (*child_reads(tree), *made_up_names(tree, _READERS, {*_CALLS, "open"}, _ATTRIBUTES)):
        yield f"line {line}: {told}"


def _problems(tree: ast.AST) -> Iterator[str]:
    texts = set(_texts(tree))
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for name in names:
                if name.split(".")[0] in _READERS:
                    yield f"line {line}: a test that shows behaviour has no use for {name}"
        elif isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES and not _is_pytest_name(node):
            yield f"line {line}: .{node.attr} looks at the program instead of using it"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            yield f"line {line}: {node.func.id}() is not for tests that have to be believed"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr" and _names_inside(node):
            yield f"line {line}: it looks at the program instead of using it"
        elif isinstance(node, ast.Attribute) and node.attr in _SKIPS and isinstance(node.value, ast.Name | ast.Attribute):
            if _is_pytest_name(node):
                yield f"line {line}: a reproducer is not skipped"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts and _SOURCE_WORD.search(node.value):
            yield f"line {line}: it names source files, not behaviour"
        elif isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and not node.test.value:
            yield f"line {line}: an assertion that fails whatever the program does"


def _names_inside(call: ast.Call) -> bool:
    return any(isinstance(word, ast.Constant) and word.value in _ATTRIBUTES for word in call.args)


def _is_pytest_name(node: ast.Attribute) -> bool:
    value: ast.expr = node.value
    while isinstance(value, ast.Attribute):
        value = value.value
    return isinstance(value, ast.Name) and value.id in ("pytest", "unittest")


def _texts(tree: ast.AST) -> Iterator[int]:
    """Yield the ids of constants that are a docstring, a message or a comment-like statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield id(node.value)
        elif isinstance(node, ast.Assert) and node.msg is not None:
            yield from map(id, ast.walk(node.msg))
