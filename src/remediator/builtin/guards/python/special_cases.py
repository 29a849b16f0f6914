"""Guard `constant-special-casing`: one value treated apart, which is how a wrong patch passes a known test. Told, not failed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.trait import Trait

CODE = "constant-special-casing"
_LONG = 12


def special_cases(module: Module) -> Iterator[Trait]:
    """Yield comparisons with long literals that end the function at once."""
    for node in module.nodes:
        if isinstance(node, ast.If) and node.body and isinstance(node.body[-1], (ast.Return, ast.Raise)):
            for part in ast.walk(node.test):
                if isinstance(part, ast.Compare) and (text := _long_literal(part)):
                    yield Trait(CODE, f"{module.owner(node)}:{text}", node.lineno, f"the value {text!r} is treated apart", certain=False)


def _long_literal(node: ast.Compare) -> str:
    if not all(isinstance(operator, (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is)) for operator in node.ops):
        return ""
    for side in [node.left, *node.comparators]:
        if isinstance(side, ast.Constant) and isinstance(side.value, (str, bytes)) and len(side.value) >= _LONG:
            return str(side.value)[:60]
    return ""
