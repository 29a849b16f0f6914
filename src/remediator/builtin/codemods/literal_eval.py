"""eval of text that can only be a literal."""

from __future__ import annotations

import ast

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, dotted, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design


class LiteralEval(Transform):
    """Reads literals without running code."""

    name = "literal-eval"
    cwe = frozenset({20, 74, 77, 78, 94, 95, 96})
    words = ("eval", "exec")
    summary = "Read literals without evaluating code"
    behaviour = (
        "Only literals are accepted: arithmetic, calls and comprehensions now raise ValueError, malformed text SyntaxError as before."
    )
    declines = (
        "The text may need names or calls: anything but a constant, an eval without any names, or one that falls back to the text itself; "
        "exec always."
    )

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `eval` into `ast.literal_eval` where its text cannot need names."""
        if not isinstance(node, cst.Call):
            return False
        function = scene.name(node.func)
        if function == "builtins.exec":
            raise needs_design("exec runs statements; what it is to be replaced by depends on what they are for")
        if function != "builtins.eval" or not node.args:
            return False
        first = node.args[0]
        if first.star or first.keyword is not None:
            raise ambiguous("the arguments of eval cannot be seen")
        if not (_is_literal(first.value) or _has_no_names(node, scene) or _falls_back_to_text(node, first.value, scene)):
            raise ambiguous("the evaluated text may need names or calls, so literals alone may not do")
        module = draft.module("ast", node)
        draft.replace(node.func, f"{module}.literal_eval")
        for extra in reversed(node.args[1:]):
            draft.remove_argument(node, extra)
        return True


def _is_literal(node: cst.BaseExpression) -> bool:
    if not isinstance(node, cst.SimpleString | cst.ConcatenatedString) or not isinstance(node.evaluated_value, str):
        return False
    try:
        ast.literal_eval(node.evaluated_value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _has_no_names(call: cst.Call, scene: Scene) -> bool:
    """Return whether the globals given to eval shut out even the built-in names, and no locals are given."""
    if len(call.args) not in (2, 3) or any(arg.star or arg.keyword is not None for arg in call.args):
        return False
    names = call.args[1].value
    if not isinstance(names, cst.Dict) or len(names.elements) != 1:
        return False
    only = names.elements[0]
    shut = (
        isinstance(only, cst.DictElement)
        and isinstance(only.key, cst.SimpleString)
        and only.key.evaluated_value == "__builtins__"
        and (is_name(only.value, "None", "False") or (isinstance(only.value, cst.Dict) and not only.value.elements))
    )
    local = call.args[2].value if len(call.args) == 3 else None
    return shut and (local is None or (isinstance(local, cst.Dict) and not local.elements))


def _falls_back_to_text(call: cst.Call, text: cst.BaseExpression, scene: Scene) -> bool:
    """Return whether a failing eval leaves the text itself in the target: `try: v = eval(s)` / `except Exception: v = s`."""
    line = scene.line(call)
    block = scene.parent(line) if line is not None else None
    around = scene.parent(block) if block is not None else None
    if line is None or not isinstance(around, cst.Try) or around.body is not block or len(line.body) != 1:
        return False
    statement = line.body[0]
    if not isinstance(statement, cst.Assign) or statement.value is not call or len(statement.targets) != 1:
        return False
    target, source = dotted(statement.targets[0].target), dotted(text)
    if not target or not source or len(around.handlers) != 1 or around.orelse is not None:
        return False
    handler = around.handlers[0]
    caught = handler.type is None or scene.name(handler.type) in ("builtins.Exception", "builtins.BaseException")
    return caught and _leaves_text(handler.body, target, source)


def _leaves_text(body: cst.BaseSuite, target: str, source: str) -> bool:
    if len(body.body) != 1 or not isinstance(body.body[0], cst.SimpleStatementLine) or len(body.body[0].body) != 1:
        return False
    only = body.body[0].body[0]
    if isinstance(only, cst.Pass):
        return target == source
    return (
        isinstance(only, cst.Assign)
        and len(only.targets) == 1
        and dotted(only.targets[0].target) == target
        and dotted(only.value) == source
    )
