"""Guard `swallow-all`: errors must not be made to vanish."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from remediator.builtin.guards.python.deleted_features import is_constant, is_quiet_call
from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.trait import Trait

CODE = "swallow-all"
_BROAD = frozenset(("builtins.Exception", "builtins.BaseException", "builtins.StandardError", "builtins.object"))
# So many kinds of errors at once are a handler for all of them.
_MANY = 5
_SILENCERS = frozenset(
    (
        "warnings.filterwarnings",
        "warnings.simplefilter",
        "warnings.catch_warnings",
        "logging.disable",
        "sys.unraisablehook",
        "sys.excepthook",
    )
)


def swallowed_errors(module: Module) -> Iterator[Trait]:
    """Yield broad handlers, broad suppression, returns in `finally`, contexts that eat errors, and silenced warnings."""
    for node in module.nodes:
        owner = module.owner(node)
        if isinstance(node, ast.ExceptHandler):
            yield from _handler(node, owner, module)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and _names_everything(node.value, module):
            yield Trait(CODE, f"{owner}:list", node.lineno, "a list of errors to catch takes in everything")
        elif isinstance(node, ast.Call):
            yield from _call(node, owner, module)
        elif isinstance(node, ast.Try) and any(isinstance(part, _LEAVES) for item in node.finalbody for part in ast.walk(item)):
            yield Trait(CODE, f"{owner}:finally", node.finalbody[0].lineno, "leaving a `finally` block drops the error under way")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in ("__exit__", "__aexit__") and _says_true(node):
            yield Trait(CODE, f"{owner}:{node.name}", node.lineno, f"{node.name} that returns True drops every error")
    for reference in module.references:
        if reference.name in _SILENCERS and not reference.name.endswith("catch_warnings"):
            yield Trait(CODE, reference.name, reference.node.lineno, f"{reference.name} silences what would be told")


_LEAVES = (ast.Return, ast.Break, ast.Continue)


def _raises(body: list[ast.stmt]) -> bool:
    """Return whether the block itself, on its main way, ends by raising."""
    return bool(body) and isinstance(body[-1], ast.Raise)


def _raises_again(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Raise) and body[-1].exc is None


def _handler(node: ast.ExceptHandler, owner: str, module: Module) -> Iterator[Trait]:
    if _raises(node.body):
        if is_broad(node.type, module) and not _raises_again(node.body):
            yield Trait(CODE, f"{owner}:turned", node.lineno, "every error is turned into another one", certain=False)
    elif is_broad(node.type, module):
        name = ast.unparse(node.type) if node.type else ""
        yield Trait(CODE, f"{owner}:broad", node.lineno, f"`except {name}`".replace(" `", "`") + " catches everything and goes on")
    elif _names_nearly_everything(node.type) and all(_is_silent(statement) for statement in node.body):
        yield Trait(CODE, f"{owner}:many", node.lineno, "a list of nearly all errors is caught, and nothing said")
    elif all(_is_silent(statement) for statement in node.body):
        yield Trait(
            CODE, f"{owner}:silent", node.lineno, f"`except {ast.unparse(node.type) if node.type else ''}` says nothing", certain=False
        )


def is_broad(node: ast.expr | None, module: Module) -> bool:
    """Return whether an exception specification takes in everything."""
    if node is None:
        return True
    if isinstance(node, ast.Tuple):
        return any(is_broad(item, module) for item in node.elts)
    if isinstance(node, (ast.Call, ast.Subscript, ast.BinOp, ast.IfExp, ast.Starred)):
        return True
    return module.resolve(node) in _BROAD


def _names_nearly_everything(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Tuple) and len(node.elts) >= _MANY


def _names_everything(node: ast.expr | None, module: Module) -> bool:
    items = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
    return any(isinstance(item, (ast.Name, ast.Attribute)) and module.resolve(item) in _BROAD - {"builtins.object"} for item in items)


def _is_silent(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Pass, ast.Continue, ast.Break)):
        return True
    if isinstance(statement, ast.Expr):
        return is_constant(statement.value) or is_quiet_call(statement.value)
    return isinstance(statement, (ast.Return, ast.Assign)) and is_constant(statement.value)


def _call(node: ast.Call, owner: str, module: Module) -> Iterator[Trait]:
    if module.resolve(node.func) == "contextlib.suppress" and (
        len(node.args) >= _MANY or any(is_broad(item, module) for item in node.args)
    ):
        yield Trait(CODE, f"{owner}:broad", node.lineno, "contextlib.suppress drops everything")


def _says_true(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(part, ast.Return) and isinstance(part.value, ast.Constant) and bool(part.value.value) for part in ast.walk(node))
