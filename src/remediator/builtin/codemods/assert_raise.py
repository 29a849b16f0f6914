"""Checks that are gone when Python runs with -O."""

from __future__ import annotations

import re

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.transform import RefusedError, Transform, ambiguous, unsafe
from remediator.records.patch import ReasonCode

_TESTS = re.compile(r"(?:^|/)(?:tests?|testing|conftest\.py|test_[^/]*|[^/]*_test\.py)(?:/|$)")
_TURNED = ((cst.IsNot, "is"), (cst.Is, "is not"), (cst.NotIn, "in"), (cst.In, "not in"))
_SIMPLE = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)


class AssertRaise(Transform):
    """Checks always."""

    name = "assert-raise"
    cwe = frozenset({617, 670, 703})
    words = ("assert",)
    summary = "Check this also when Python runs with -O"
    behaviour = "None without -O; with it, the check is made where it was left out, and raises AssertionError as before."
    declines = "The file is a test, the statement shares its line, or it asserts a tuple, which is always true."
    nodes = (cst.Assert,)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `assert x, m` into `if not x: raise AssertionError(m)`."""
        if not isinstance(node, cst.Assert):
            return False
        if _TESTS.search(scene.path):
            raise RefusedError(ReasonCode.out_of_scope, "asserts are how tests speak")
        line = scene.line(node)
        if line is None or not draft.stands_alone(line) or isinstance(node.test, cst.Tuple):
            raise ambiguous("the statement shares its line, or asserts a tuple, which is always true")
        span = scene.span(node)
        if "#" in scene.text[span.start : span.end]:
            raise unsafe("a comment stands inside of the statement")
        message = f"({scene.code(node.msg)})" if node.msg is not None else ""
        indent = scene.indent(node) + scene.module.default_indent
        draft.replace_span(span, f"if {_denied(node.test, scene)}:{scene.lines.newline()}{indent}raise AssertionError{message}")
        return True


def _denied(test: cst.BaseExpression, scene: Scene) -> str:
    """Return the source of what is true where the test is not; only those operators are turned round that cannot be redefined apart."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not) and not test.lpar:
        return scene.code(test.expression)
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1 and not test.lpar:
        target = test.comparisons[0]
        turned = next((text for kind, text in _TURNED if isinstance(target.operator, kind)), None)
        if turned:
            return f"{scene.code(test.left)} {turned} {scene.code(target.comparator)}"
    code = scene.code(test)
    return f"not {code}" if isinstance(test, _SIMPLE) or test.lpar else f"not ({code})"
