"""Guard `feature-deleted`: what callers could use before must still be there, and must still do something."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from remediator.builtin.guards.python.module import Definition, Function, Module
from remediator.diff.objection import Objection

CODE = "feature-deleted"
# Decorators whose removal opens nothing and hides nothing: they switch a protection off.
_PROTECTION_OFF = frozenset(("csrf_exempt", "xframe_options_exempt", "login_not_required", "exempt"))
_QUIET = frozenset(("print", "warn", "warning", "debug", "info", "error", "exception", "critical", "log", "write", "warn_explicit"))


def deleted_features(before: Module, after: Module, path: str) -> Iterator[Objection]:
    """Yield public names, bases, decorators and `__all__` entries that vanish, and functions whose body is gone."""
    exported = _exported(before)
    for name, definitions in before.definitions.items():
        if not is_public(name):
            continue
        yield from _vanished(name, definitions, after.definitions.get(name, []), path, exported)
    for gone in sorted(exported - _exported(after)):
        yield Objection(CODE, path, f"{gone!r} is no longer in __all__")
    for key, old_class in before.classes.items():
        if (new_class := after.classes.get(key)) is not None:
            yield from _shrunk_class(key, old_class, new_class, path)
    for key, old in before.functions.items():
        if (new := after.functions.get(key)) is not None:
            yield from _gutted(key, old, new, path)
            yield from _undecorated(key, old, new, path)
    yield from _deletions(before, after, path)
    yield from _overwritten(before, after, path)


def is_public(name: str) -> bool:
    """Return whether callers outside may use the dotted name: no part is private, `__init__` and its kin count as public."""
    return all(not part.startswith("_") or (part.startswith("__") and part.endswith("__")) for part in name.split("."))


def _vanished(name: str, old: list[Definition], new: list[Definition], path: str, exported: set[str]) -> Iterator[Objection]:
    if all(definition.kind == "import" for definition in old):
        handed_on = path.rpartition("/")[2] == "__init__.py" and any(_is_handed_on(definition.node) for definition in old)
        if not new and handed_on:
            yield Objection(CODE, path, f"{name!r} is no longer handed on by the package")
        return
    kinds = [definition.kind for definition in old if definition.kind != "import"]
    if not new:
        # A lower-case value at module level is as often a script's variable as a promise to callers.
        certain = kinds[-1] != "value" or "." in name or name.isupper() or name in exported
        yield Objection(CODE, path, f"the {kinds[-1]} {name!r} is gone", certain=certain)
    elif old[-1].kind in ("function", "class") and new[-1].kind == "value":
        yield Objection(CODE, path, f"the {old[-1].kind} {name!r} is bound to something else", new[-1].line)
    elif (
        old[-1].kind in ("function", "class") and _count(new, old[-1].kind) > _count(old, old[-1].kind) and not _is_decorated(new[-1].node)
    ):
        yield Objection(CODE, path, f"the {old[-1].kind} {name!r} is defined again over itself", new[-1].line)


def _count(definitions: list[Definition], kind: str) -> int:
    return sum(definition.kind == kind for definition in definitions)


def _is_decorated(node: ast.AST) -> bool:
    return bool(getattr(node, "decorator_list", []))


def _is_handed_on(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").partition(".")[0] not in sys.stdlib_module_names
    return False


def _exported(module: Module) -> set[str]:
    names: set[str] = set()
    for node in module.nodes:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = getattr(node, "value", None)
            names |= {item.value for item in getattr(value, "elts", []) if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return names


def _shrunk_class(key: str, old: ast.ClassDef, new: ast.ClassDef, path: str) -> Iterator[Objection]:
    bases = {ast.unparse(base) for base in new.bases}
    gone = [name for name in (ast.unparse(base) for base in old.bases) if name not in bases and name != "object"]
    if gone and len(new.bases) < len(old.bases):
        yield Objection(CODE, path, f"the class {key!r} loses its base {gone[0]!r}", new.lineno)


def _gutted(key: str, old: Function, new: Function, path: str) -> Iterator[Objection]:
    if _is_trivial(new) and not _is_trivial(old):
        yield Objection(CODE, path, f"the body of {key!r} is gone", new.lineno)
    elif _returns_something(old) and not _returns_something(new) and not _decides(new) and not is_generator(new):
        yield Objection(CODE, path, f"{key!r} returns only constants now", new.lineno)
    old_names, new_names = _loaded(old), _loaded(new)
    for argument in [*old.args.posonlyargs, *old.args.args, *old.args.kwonlyargs]:
        if argument.arg in old_names and argument.arg not in new_names:
            yield Objection(CODE, path, f"{key!r} no longer uses its parameter {argument.arg!r}", new.lineno, certain=False)


def _is_trivial(node: Function) -> bool:
    return all(_is_empty(statement) for statement in node.body)


def _is_empty(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Pass, ast.Raise, ast.Global, ast.Nonlocal)):
        return True
    if isinstance(statement, ast.Return):
        return is_constant(statement.value)
    if isinstance(statement, ast.Expr):
        return is_constant(statement.value) or is_quiet_call(statement.value)
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return is_constant(statement.value)
    return isinstance(statement, ast.Assert) and is_constant(statement.test)


def is_constant(node: ast.expr | None) -> bool:
    """Return whether an expression is nothing, a literal, or an empty or literal container."""
    if node is None or isinstance(node, ast.Constant):
        return True
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(is_constant(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        return all(is_constant(item) for item in [*node.keys, *node.values])
    if isinstance(node, ast.UnaryOp):
        return is_constant(node.operand)
    empty = ("dict", "list", "tuple", "set", "str", "bytes", "int", "float", "bool", "object", "frozenset", "iter")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in empty:
        return all(is_constant(item) for item in node.args) and not node.keywords
    return False


def is_quiet_call(node: ast.expr) -> bool:
    """Return whether an expression is a call that only tells somebody something."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    return name in _QUIET


def _own_nodes(node: Function) -> Iterator[ast.AST]:
    stack: list[ast.AST] = list(node.body)
    while stack:
        child = stack.pop()
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            stack += list(ast.iter_child_nodes(child))


def is_generator(node: Function) -> bool:
    """Return whether the function yields."""
    return any(isinstance(child, (ast.Yield, ast.YieldFrom)) for child in _own_nodes(node))


def _returns_something(node: Function) -> bool:
    return any(isinstance(child, ast.Return) and not is_constant(child.value) for child in _own_nodes(node))


def _decides(node: Function) -> bool:
    """Return whether the function answers both yes and no, in constants."""
    values = [child.value for child in _own_nodes(node) if isinstance(child, ast.Return)]
    truths = {bool(value.value) for value in values if isinstance(value, ast.Constant)}
    return truths == {True, False}


def _loaded(node: Function) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load)}


def _undecorated(key: str, old: Function, new: Function, path: str) -> Iterator[Objection]:
    left = [ast.unparse(decorator) for decorator in new.decorator_list]
    for decorator in old.decorator_list:
        name = ast.unparse(decorator)
        last = name.partition("(")[0].rpartition(".")[2]
        if name in left or last in _PROTECTION_OFF:
            continue
        arguments_differ = any(other.partition("(")[0] == name.partition("(")[0] for other in left)
        positional = [ast.unparse(item) for item in getattr(decorator, "args", [])]
        same_place = any(positional == [ast.unparse(item) for item in getattr(other, "args", [])] for other in new.decorator_list)
        if not (arguments_differ and same_place):
            yield Objection(CODE, path, f"{key!r} loses its decorator {name!r}", new.lineno)


def _deletions(before: Module, after: Module, path: str) -> Iterator[Objection]:
    old = {ast.unparse(target) for target in _deleted_targets(before)}
    for target in _deleted_targets(after):
        name = ast.unparse(target)
        if name not in old and (isinstance(target, ast.Attribute) or name in after.definitions) and is_public(name):
            yield Objection(CODE, path, f"{name!r} is deleted at run time", target.lineno)


def _deleted_targets(module: Module) -> Iterator[ast.expr]:
    for node in module.nodes:
        if isinstance(node, ast.Delete):
            yield from node.targets
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "delattr" and node.args:
            yield ast.Attribute(value=node.args[0], attr="?", ctx=ast.Del(), lineno=node.lineno, col_offset=0)


def _overwritten(before: Module, after: Module, path: str) -> Iterator[Objection]:
    """Yield new assignments to what a class or function of this file holds."""
    old = {ast.unparse(target) for target in _assigned_members(before)}
    for target in _assigned_members(after):
        if (name := ast.unparse(target)) not in old and (name in after.definitions or name in after.functions):
            yield Objection(CODE, path, f"{name!r} is bound to something else", target.lineno)


def _assigned_members(module: Module) -> Iterator[ast.Attribute]:
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, (ast.Name, ast.Attribute)):
            yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(node.args) == 3:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield ast.Attribute(value=node.args[0], attr=name.value, ctx=ast.Store(), lineno=node.lineno, col_offset=0)
