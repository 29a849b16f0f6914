"""Guard `feature-deleted`, by control flow: code that is still there and can no longer run."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterator

from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.trait import Trait

CODE = "feature-deleted"
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_OFF_SWITCHES = frozenset(("typing.TYPE_CHECKING", "builtins.__debug__", "builtins.NotImplemented"))


def unreachable(module: Module, added_lines: Collection[int]) -> Iterator[Trait]:
    """Yield statements after a return or its kin, and branches whose condition is constant.

    A name that is bound once counts as constant in added conditions only: setting `DEBUG = False` for those that were there is no trick.
    """
    bound_once = _bound_once(module)
    for node in module.nodes:
        owner = module.owner(node)
        for block in _blocks(node):
            for statement, following in itertools.pairwise(block):
                if isinstance(statement, _ENDS) or _never_returns(statement, module):
                    yield Trait(
                        CODE, f"{owner}:after:{ast.unparse(statement)}", following.lineno, "code after the end of its block cannot run"
                    )
                    break
        constants = bound_once if getattr(node, "lineno", 0) in added_lines else {}
        if (dead := _dead_branch(node, constants, module)) is not None:
            line = getattr(node, "lineno", 0)
            yield Trait(CODE, f"{owner}:constant:{dead}", line, f"the condition {dead!r} never changes, so code can no longer run")


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block


def _never_returns(statement: ast.stmt, module: Module) -> bool:
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    return module.resolve(statement.value.func) in ("sys.exit", "os._exit", "builtins.exit", "builtins.quit", "os.abort")


def _dead_branch(node: ast.AST, constants: dict[str, bool], module: Module) -> str | None:
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        value = _truth(node.test, constants, module)
        dropped = value is False or (value is True and bool(node.orelse) and not isinstance(node, ast.While))
        return ast.unparse(node.test)[:80] if dropped else None
    if isinstance(node, ast.BoolOp):
        stop = isinstance(node.op, ast.Or)
        for part in node.values[:-1]:
            if _truth(part, constants, module) is stop:
                return ast.unparse(node)[:80]
    if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)) and _is_empty(node.iter):
        return ast.unparse(node.iter)
    if isinstance(node, ast.Assert) and _truth(node.test, constants, module) is False:
        return ast.unparse(node.test)[:80]
    return None


def _is_empty(node: ast.expr) -> bool:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return not node.elts
    if isinstance(node, ast.Dict):
        return not node.keys
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        zero = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and not node.args[0].value
        return (node.func.id == "range" and zero) or (node.func.id in ("list", "tuple", "dict", "set") and not node.args)
    return isinstance(node, ast.Constant) and not node.value


def _truth(node: ast.expr, constants: dict[str, bool], module: Module) -> bool | None:
    """Return what a condition always is, None where it may be either."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict)):
        return not _is_empty(node)
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _truth(node.operand, constants, module)
        return None if inner is None else not inner
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, constants, module) for part in node.values]
        stop = isinstance(node.op, ast.Or)
        return stop if stop in parts else (None if None in parts else not stop)
    if isinstance(node, ast.Compare):
        return _compared(node)
    if isinstance(node, (ast.Name, ast.Attribute)) and module.resolve(node) in _OFF_SWITCHES:
        return False
    return None


def _compared(node: ast.Compare) -> bool | None:
    sides = [node.left, *node.comparators]
    if len(sides) != 2 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.Lt, ast.Gt, ast.LtE, ast.GtE)):
        return None
    same_text = ast.dump(sides[0]) == ast.dump(sides[1])
    if same_text and isinstance(sides[0], (ast.Name, ast.Constant)):
        return isinstance(node.ops[0], (ast.Eq, ast.Is, ast.LtE, ast.GtE))
    if not all(isinstance(side, ast.Constant) for side in sides):
        return None
    left, right = (side.value for side in sides if isinstance(side, ast.Constant))
    if isinstance(node.ops[0], (ast.Eq, ast.Is)):
        return bool(left == right)
    if isinstance(node.ops[0], (ast.NotEq, ast.IsNot)):
        return bool(left != right)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        table = {ast.Lt: left < right, ast.Gt: left > right, ast.LtE: left <= right, ast.GtE: left >= right}
        return table[type(node.ops[0])]
    return None


def _bound_once(module: Module) -> dict[str, bool]:
    """Return the names that are bound exactly once in the file, to a constant of known truth."""
    stores: dict[str, int] = {}
    values: dict[str, bool] = {}
    for node in module.nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            stores[node.id] = stores.get(node.id, 0) + 1
        elif isinstance(node, ast.arg):
            stores[node.arg] = stores.get(node.arg, 0) + 2
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            stores.update(dict.fromkeys(node.names, 9))
        elif isinstance(node, ast.alias):
            stores[node.asname or node.name] = 9
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            values.update({target.id: bool(node.value.value) for target in targets if isinstance(target, ast.Name)})
    return {name: value for name, value in values.items() if stores.get(name) == 1}
