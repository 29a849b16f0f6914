"""A Python source file, read as data: its definitions, imports, and what its names stand for."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.ClassDef | ast.Module

_BUILTINS = frozenset((*dir(builtins), "execfile", "reload", "unicode", "raw_input", "xrange", "file", "cmp", "__builtins__"))
_MAX_BYTES = 2_000_000
# Modules that others carry along as plain attributes: `shutil.os.system` is `os.system`, whoever hands it on.
_CARRIED = frozenset(
    (
        *("os", "sys", "subprocess", "builtins", "importlib", "pickle", "cPickle", "marshal", "socket", "ctypes", "yaml", "gc", "inspect"),
        *("signal", "threading", "shelve", "runpy", "codeop", "multiprocessing", "ssl", "hashlib", "tempfile", "shutil", "contextlib"),
        *("atexit", "warnings", "requests"),
    )
)
_TWINS = {"posix": "os", "nt": "os", "__builtin__": "builtins"}


class UnreadableError(Exception):
    """The file cannot be read as Python, or is too large to be judged."""


class Definition(NamedTuple):
    """One binding of a name at module or class level."""

    kind: str
    node: ast.AST
    line: int


class Reference(NamedTuple):
    """One use of a name: what it stands for, where, and whether it is called there."""

    name: str
    node: ast.expr
    called: bool


class Module:
    """One parsed file. Built by `Module.read`."""

    def __init__(self, tree: ast.Module, text: str) -> None:
        self.tree = tree
        self.text = text
        self.nodes: tuple[ast.AST, ...] = tuple(ast.walk(tree))
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.definitions: dict[str, list[Definition]] = {}
        self.owners: dict[ast.AST, str] = {}
        self._collect()
        self.imports = _imports(self.nodes)
        _add_aliases(self.nodes, self.imports)
        self.references: tuple[Reference, ...] = tuple(self._references())

    @classmethod
    def read(cls, data: bytes) -> Module:
        """Parse the file. Raises UnreadableError where it is not Python 3, too deep, or too large."""
        if len(data) > _MAX_BYTES:
            raise UnreadableError(f"{len(data)} bytes are too many to be judged")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(data)
            return cls(tree, data.decode("utf-8", "replace"))
        except (SyntaxError, ValueError, RecursionError, MemoryError, LookupError) as error:
            raise UnreadableError(f"{type(error).__name__}: {error}"[:200]) from error

    @classmethod
    def empty(cls) -> Module:
        """Return the module that a file which is not there stands for."""
        return cls(ast.Module(body=[], type_ignores=[]), "")

    def _collect(self) -> None:
        stack: list[tuple[ast.AST, str, bool]] = [(child, "", True) for child in reversed(self.tree.body)]
        while stack:
            node, prefix, exported = stack.pop()
            self.owners[node] = prefix
            inner, inside = prefix, exported
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                inner = f"{prefix}.{node.name}" if prefix else node.name
                if isinstance(node, ast.ClassDef):
                    self.classes[inner] = node
                else:
                    key = inner
                    while key in self.functions:
                        key += "'"
                    self.functions[key] = node
                    inner, inside = key, False
            elif isinstance(node, ast.If) and "__name__" in {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}:
                inside = False
            if exported:
                for name, kind in _bindings(node):
                    full = f"{prefix}.{name}" if prefix else name
                    self.definitions.setdefault(full, []).append(Definition(kind, node, getattr(node, "lineno", 0)))
            stack += [(child, inner, inside) for child in reversed(list(ast.iter_child_nodes(node)))]

    def resolve(self, node: ast.expr) -> str | None:
        """Return the dotted name that an expression stands for as far as imports and constant `getattr` tell, else None."""
        parts: list[str] = []
        while True:
            if isinstance(node, ast.Attribute):
                parts.append(node.attr)
                node = node.value
            elif name := _constant_getattr(node):
                assert isinstance(node, ast.Call)
                parts.append(name)
                node = node.args[0]
            else:
                break
        if not isinstance(node, ast.Name):
            return None
        root = self.imports.get(node.id)
        if root is None:
            # A local of the same name counts as the built-in: a binding added somewhere must not hide a use elsewhere.
            if node.id not in _BUILTINS:
                return None
            root = f"builtins.{node.id}"
        return _at_home(".".join([root, *reversed(parts)]))

    def _references(self) -> Iterator[Reference]:
        called = {id(node.func) for node in self.nodes if isinstance(node, ast.Call)}
        inner: set[int] = set()
        for node in self.nodes:
            if not isinstance(node, (ast.Attribute, ast.Name, ast.Call)) or id(node) in inner:
                continue
            if isinstance(node, ast.Call) and not _constant_getattr(node):
                continue
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                continue
            name = self.resolve(node)
            if name is None:
                continue
            yield Reference(name, node, id(node) in called)
            inner.update(id(part) for part in ast.walk(node))

    def enclosing(self, line: int) -> str:
        """Return the key of the innermost function around a line, or an empty string at module level."""
        best, size = "", None
        for key, node in self.functions.items():
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            end = node.end_lineno or node.lineno
            if start <= line <= end and (size is None or end - start <= size):
                best, size = key, end - start
        return best

    def scope(self, key: str) -> ast.AST | None:
        """Return the function of that key, the module for an empty key, or None where there is no such function."""
        return self.functions.get(key) if key else self.tree

    def owner(self, node: ast.AST) -> str:
        """Return the key of the function or class that a node is written in."""
        return self.owners.get(node, "")


def _at_home(name: str) -> str:
    """Return the name by the module that it belongs to, not by one that imports that module too."""
    parts = name.split(".")
    for position in range(len(parts) - 1, 0, -1):
        if (plain := parts[position].lstrip("_")) in _CARRIED and parts[position] != "__builtins__":
            parts = [plain, *parts[position + 1 :]]
            break
    return ".".join([_TWINS.get(parts[0], parts[0]), *parts[1:]])


def _constant_getattr(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) >= 2:
        name = node.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return name.value
    return ""


def _bindings(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.name, "function"
    elif isinstance(node, ast.ClassDef):
        yield node.name, "class"
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    yield part.id, "value"
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield (alias.asname or alias.name.partition(".")[0]), "import"


def _imports(nodes: Sequence[ast.AST]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name if alias.asname else alias.name.partition(".")[0]
                found.setdefault(alias.asname or root, root)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, f"{origin}.{alias.name}" if origin.strip(".") else f"{origin}{alias.name}")
    return found


def _add_aliases(nodes: Sequence[ast.AST], imports: dict[str, str]) -> None:
    """Follow `name = module`, `name = module.attribute` and `name = builtin`, a few steps deep."""
    plain = [
        (node.targets[0].id, node.value)
        for node in nodes
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    ]
    for _ in range(3):
        for name, value in plain:
            parts: list[str] = []
            while isinstance(value, ast.Attribute):
                parts.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name) and name not in imports and (value.id in imports or value.id in _BUILTINS):
                root = imports.get(value.id, f"builtins.{value.id}")
                imports[name] = ".".join([root, *reversed(parts)])
