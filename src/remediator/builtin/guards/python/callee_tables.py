"""Tables of what may be called: `OPERATORS[type(node.op)](left, right)` is how an evaluator is made safe, where all of it is in view."""

from __future__ import annotations

import ast

from remediator.builtin.guards.python.capabilities import is_capability
from remediator.builtin.guards.python.module import Module

_PLAIN_MODULES = (
    "operator",
    "math",
    "cmath",
    "decimal",
    "fractions",
    "datetime",
    "statistics",
    "string",
    "textwrap",
    "html",
    "json",
    "ast",
)
_PLAIN_BUILTINS = frozenset(
    f"builtins.{name}"
    for name in (
        *(
            "abs",
            "all",
            "any",
            "ascii",
            "bin",
            "bool",
            "bytes",
            "chr",
            "complex",
            "dict",
            "divmod",
            "enumerate",
            "float",
            "frozenset",
            "hash",
        ),
        *("hex", "int", "isinstance", "issubclass", "len", "list", "max", "min", "oct", "ord", "pow", "range", "repr", "reversed", "round"),
        *("set", "sorted", "str", "sum", "tuple", "zip"),
    )
)


def callees_of_table(node: ast.expr, module: Module) -> bool:
    """Return whether an expression takes its value from a literal table, bound once, of nothing but plain callables in view."""
    name = _table_name(node)
    if name is None:
        return False
    stores = [part for part in module.nodes if isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Store)]
    made = [
        part.value
        for part in module.nodes
        if isinstance(part, ast.Assign) and len(part.targets) == 1 and isinstance(part.targets[0], ast.Name) and part.targets[0].id == name
    ]
    if len(stores) != 1 or len(made) != 1 or _is_changed(name, module):
        return False
    table = made[0]
    values = table.values if isinstance(table, ast.Dict) else table.elts if isinstance(table, ast.List | ast.Tuple) else []
    return bool(values) and all(_is_plain(value, module) for value in values)


def _table_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return node.value.id
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and len(node.args) == 1:
        return node.func.value.id if isinstance(node.func.value, ast.Name) and not node.keywords else None
    return None


def _is_changed(name: str, module: Module) -> bool:
    """Return whether anything but a look-up is done with the table."""
    looked_up = 0
    used = sum(isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load) for part in module.nodes)
    for part in module.nodes:
        if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name) and part.value.id == name:
            looked_up += isinstance(part.ctx, ast.Load)
        elif isinstance(part, ast.Call) and _table_name(part) == name:
            looked_up += 1
        elif isinstance(part, ast.Compare) and isinstance(part.comparators[0], ast.Name) and part.comparators[0].id == name:
            looked_up += isinstance(part.ops[0], ast.In | ast.NotIn)
    return used != looked_up


def _is_plain(value: ast.expr, module: Module) -> bool:
    if isinstance(value, ast.Lambda):
        return not _can_harm(value, module, set())
    if isinstance(value, ast.Name) and (own := _functions(value.id, module)):
        return not any(_can_harm(body, module, {value.id}) for body in own)
    found = module.resolve(value)
    if found is None or is_capability(found):
        return False
    return found in _PLAIN_BUILTINS or found.partition(".")[0] in _PLAIN_MODULES


def _can_harm(body: ast.AST, module: Module, seen: set[str]) -> bool:
    """Return whether code uses a dangerous name, itself or by a function of this file."""
    for part in ast.walk(body):
        if isinstance(part, ast.Name | ast.Attribute) and (name := module.resolve(part)) is not None and is_capability(name):
            return True
        if isinstance(part, ast.Name) and part.id not in seen:
            seen.add(part.id)
            if any(_can_harm(other, module, seen) for other in _functions(part.id, module)):
                return True
    return False


def _functions(name: str, module: Module) -> list[ast.AST]:
    """Return every function of that name in the file, wherever it stands."""
    return [node for key, node in module.functions.items() if key.rstrip("'").rpartition(".")[2] == name]
