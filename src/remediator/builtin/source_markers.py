"""Gives a base the names that only the patch has, without what they are for: who asks for the names alone is not asking for the fix."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_PLAIN_CALLS = frozenset(
    (
        "re.compile", "frozenset", "set", "tuple", "list", "dict", "object", "int", "str", "bytes", "float", "len", "range",
        "namedtuple", "collections.namedtuple", "logging.getLogger", "TypeVar", "typing.TypeVar",
    )
)  # fmt: skip
_PLAIN_BASES = ("Error", "Exception", "Warning", "object", "Enum", "NamedTuple", "TypedDict", "Protocol", "ABC")
_IN_CLASSES = ("staticmethod", "classmethod", "property")
_LISTENED_TO = frozenset(("__getattr__", "__dir__", "__all__", "__path__", "__file__", "__name__", "__spec__", "__loader__", "__package__"))
_GRAMMAR = ("p_", "t_")  # parser generators read the docstrings of such functions


def marked(base: ast.Module, patched: ast.Module) -> ast.Module:
    """Return the base with the patch's new names, members, options and docstrings, none of which it uses.

    What the base would pick up by itself is left out: a name that it mentions, a member that nothing in the patched file asks for (a
    framework may), a decorator, a base class.
    """
    twin, used, wanted = copy.deepcopy(base), _mentioned(base), _mentioned(patched)
    _with_docstring(twin, patched)
    known = {name for name, _ in _bound(base.body)}
    for name, node in _bound(patched.body):
        if name not in known and name not in used and name not in _LISTENED_TO:
            known.add(name)
            twin.body.append(_lone(name, node))
    _match(twin, patched, used, wanted)
    return ast.fix_missing_locations(twin)


def _match(twin: ast.Module | _Named, patched: ast.AST, used: set[str], wanted: set[str]) -> None:
    """Give members and options to what stands in both, level by level."""
    theirs = {node.name: node for node in getattr(patched, "body", []) if isinstance(node, _Named)}
    for node in [node for node in twin.body if isinstance(node, _Named)]:
        other = theirs.get(node.name)
        if other is None or type(other) is not type(node):
            continue
        if not node.name.startswith(_GRAMMAR):
            _with_docstring(node, other)
        if isinstance(node, ast.ClassDef) and isinstance(other, ast.ClassDef):
            _match(node, other, used, wanted)
            node.body += _new_members(node, other, used, wanted)
        elif isinstance(node, _Function) and isinstance(other, _Function):
            _with_options(node, other)


def _new_members(mine: ast.ClassDef, theirs: ast.ClassDef, used: set[str], wanted: set[str]) -> Iterator[ast.stmt]:
    known = {name for name, _ in _bound(mine.body)}
    for name, node in _bound(theirs.body):
        helper = name in wanted or name.startswith("_")
        if name in known or name in used or not helper or (name.startswith("__") and name.endswith("__")):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign):
            yield _lone(name, node)


def _with_options(mine: _Function, theirs: _Function) -> None:
    known = {argument.arg for argument in _arguments(mine.args)}
    plain = [*theirs.args.posonlyargs, *theirs.args.args]
    defaults = [None] * (len(plain) - len(theirs.args.defaults)) + list(theirs.args.defaults)
    pairs = [*zip(plain, defaults, strict=True), *zip(theirs.args.kwonlyargs, theirs.args.kw_defaults, strict=True)]
    for argument, default in pairs:
        if default is not None and argument.arg not in known:
            mine.args.kwonlyargs.append(ast.arg(arg=argument.arg))
            mine.args.kw_defaults.append(default if isinstance(default, ast.Constant) else ast.Constant(value=None))


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def _with_docstring(mine: ast.Module | _Named, theirs: ast.AST) -> None:
    new = _docstring(theirs)
    if new is None:
        return
    if _docstring(mine) is not None:
        mine.body[0] = copy.deepcopy(new)
    else:
        mine.body.insert(0, copy.deepcopy(new))


def _docstring(node: ast.AST) -> ast.Expr | None:
    first = next(iter(getattr(node, "body", [])), None)
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return first if text and isinstance(first, ast.Expr) else None


def _lone(name: str, node: ast.stmt) -> ast.stmt:
    """Return what binds this name and does nothing else."""
    twin = copy.deepcopy(node)
    if isinstance(twin, _Function):
        twin.decorator_list = [word for word in twin.decorator_list if isinstance(word, ast.Name) and word.id in _IN_CLASSES]
        return twin
    if isinstance(twin, ast.ClassDef):
        twin.decorator_list, twin.keywords = [], []
        twin.bases = [word for word in twin.bases if ast.unparse(word).endswith(_PLAIN_BASES)]
        members = [_lone(inner, member) for inner, member in _bound(twin.body) if isinstance(member, _Function | ast.Assign)]
        twin.body = [*([text] if (text := _docstring(twin)) else []), *members] or [ast.Pass()]
        return twin
    if isinstance(twin, ast.Import | ast.ImportFrom):
        # The other names of the line may be ones that the base has: bound anew, they could be the fix.
        twin.names = [alias for alias in twin.names if _bound_by(alias) == name]
        return twin
    value = twin.value if isinstance(twin, ast.Assign | ast.AnnAssign) else None
    one = isinstance(twin, ast.AnnAssign) or (isinstance(twin, ast.Assign) and all(isinstance(target, ast.Name) for target in twin.targets))
    plain = value if one and value is not None and _is_plain(value) else ast.Constant(value=None)
    return ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=plain)


def _is_plain(value: ast.expr) -> bool:
    """Return whether working it out has no effect but its value."""
    calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
    return all(ast.unparse(call.func) in _PLAIN_CALLS for call in calls) and not any(
        isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr) for node in ast.walk(value)
    )


def _bound(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Yield each name that statements bind, with the statement; what is bound inside of another statement comes with that one."""
    for node in body:
        if isinstance(node, _Named):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            if getattr(node, "module", "") == "__future__":
                continue
            for alias in node.names:
                if alias.name != "*":
                    yield _bound_by(alias), node
        else:
            for name in _inside(node):
                yield name, node


def _inside(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds where it stands, not in a function or class of its own."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, _Named):
        yield node.name
        return
    elif isinstance(node, ast.alias):
        yield _bound_by(node)
    elif isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return
    for inner in ast.iter_child_nodes(node):
        yield from _inside(inner)


def _bound_by(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _mentioned(tree: ast.AST) -> set[str]:
    """Return every name, attribute and text in a file: what it may ask for."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found
