"""Guard `same-weakness` for queries: what was put together from text and values must not be so elsewhere."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator

from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.python.same_weakness import CODE
from remediator.diff.objection import Objection
from remediator.records.finding import Finding

_CWE = frozenset((89, 564, 943))
_GROWS = frozenset(("append", "extend", "insert", "write", "__iadd__"))
_TEXT_METHODS = frozenset(
    (
        "format",
        "format_map",
        "replace",
        "join",
        "substitute",
        "safe_substitute",
        "translate",
        "__mod__",
        "__add__",
        "ljust",
        "rjust",
        "center",
    )
)
_QUOTED_PLACEHOLDER = re.compile(r"['\"]\s*%?(?:\?|%s|:\w+|%\(\w+\)s)\s*%?['\"]")
_DEEP = 6


def built_query(before: Module, after: Module, finding: Finding, path: str) -> Iterator[Objection]:
    """Yield where the finding's call still gets a query with values in its text, or one whose placeholder is mere text."""
    if finding.location is None or finding.location.path != path or not _CWE.intersection(finding.cwe):
        return
    line = finding.location.start_line
    key = before.enclosing(line)
    old, new = before.scope(key), after.scope(key)
    if old is None or new is None:
        return
    last = max(line, finding.location.end_line)
    verbs = {_verb(call) for call in _calls(old) if call.lineno <= last and (call.end_lineno or call.lineno) >= line} - {"", *_TEXT_METHODS}
    known = Counter(ast.unparse(call) for call in _calls(old))
    handed_on = Counter(ast.unparse(node) for node in _taken(old, verbs))
    for node in _taken(new, verbs):
        handed_on[ast.unparse(node)] -= 1
        if handed_on[ast.unparse(node)] < 0:
            yield Objection("disguised-call", path, f"{ast.unparse(node)[:80]} takes the call by another way", node.lineno)
    for call in _calls(new):
        known[ast.unparse(call)] -= 1
        if known[ast.unparse(call)] >= 0 or _verb(call) not in verbs or not call.args:
            continue
        if not _Reader(new, after).is_plain(call.args[0]):
            yield Objection(CODE, path, f"values still go into the text of {ast.unparse(call.args[0])[:80]!r}", call.lineno)
        elif len(call.args) > 1 and _quotes_a_placeholder(call.args[0]):
            yield Objection(CODE, path, "a placeholder between quotation marks is text, not a placeholder", call.lineno)


def _verb(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _calls(scope: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(scope) if isinstance(node, ast.Call)]


def _taken(scope: ast.AST, verbs: set[str]) -> list[ast.expr]:
    """Return where a method of these names is handed on, or looked up by its name."""
    called = {id(call.func) for call in _calls(scope)}
    found: list[ast.expr] = []
    for node in ast.walk(scope):
        plainly = isinstance(node, ast.Attribute) and node.attr in verbs and id(node) not in called
        by_name = isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in verbs
        if isinstance(node, ast.expr) and (plainly or by_name):
            found.append(node)
    return found


def _quotes_a_placeholder(node: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) and _QUOTED_PLACEHOLDER.search(part.value) for part in ast.walk(node)
    )


class _Reader:
    """Tells whether a text is made of literals only, as far as one file shows."""

    def __init__(self, scope: ast.AST, module: Module) -> None:
        self._scope, self._module = scope, module

    def is_plain(self, node: ast.expr, *, part: bool = False, depth: int = 0) -> bool:
        """Return whether no value comes into the text. A parameter that is the whole query may be anything, one that is a part not."""
        if depth > _DEEP:
            return False

        def plain(item: ast.expr) -> bool:
            return self.is_plain(item, part=True, depth=depth + 1)

        if isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.Name):
            return self._is_plain_name(node.id, part, depth)
        if isinstance(node, ast.Attribute):
            return True
        if isinstance(node, ast.BinOp):
            # Text that is repeated stays the same text.
            return plain(node.left) and (isinstance(node.op, ast.Mult) or plain(node.right))
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            return all(map(plain, node.elts))
        if isinstance(node, ast.Dict):
            return all(map(plain, node.values))
        if isinstance(node, ast.JoinedStr):
            return all(plain(item.value) if isinstance(item, ast.FormattedValue) else plain(item) for item in node.values)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return plain(node.elt)
        if isinstance(node, ast.IfExp):
            return plain(node.body) and plain(node.orelse)
        return isinstance(node, ast.Call) and self._is_plain_call(node, depth)

    def _is_plain_name(self, name: str, part: bool, depth: int) -> bool:
        values = [value for scope in (self._scope, self._module.tree) for value in _bound(scope, name)]
        if not values:
            return not part or name.isupper()
        return all(self.is_plain(value, part=True, depth=depth + 1) for value in values)

    def _is_plain_call(self, node: ast.Call, depth: int) -> bool:
        func = node.func
        arguments = [*node.args, *(word.value for word in node.keywords)]
        values_too = all(self.is_plain(item, part=True, depth=depth + 1) for item in arguments)
        if isinstance(func, ast.Attribute) and func.attr in _TEXT_METHODS and not self._is_foreign(func):
            return values_too and self.is_plain(func.value, part=True, depth=depth + 1)
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        own = [function for key, function in self._module.functions.items() if key.rpartition(".")[2] == name]
        if own:
            returns = [item.value for function in own for item in ast.walk(function) if isinstance(item, ast.Return) and item.value]
            return all(_Reader(function, self._module).is_plain(value, part=True, depth=depth + 1) for function in own for value in returns)
        if name == "len" or self._is_foreign(func):
            return True
        return values_too and isinstance(func, ast.Attribute)

    def _is_foreign(self, node: ast.expr) -> bool:
        """Return whether a chain of calls starts at a module that is neither the standard library's nor this file's."""
        while isinstance(node, (ast.Attribute, ast.Call)):
            node = node.value if isinstance(node, ast.Attribute) else node.func
        name = self._module.resolve(node) or ""
        return bool(name) and name.partition(".")[0] not in {"builtins", *sys.stdlib_module_names}


def _bound(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """Yield what a name is bound to in a scope, and what is added to it there."""
    for node in ast.walk(scope) if not isinstance(scope, ast.Module) else scope.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield node.value
        elif isinstance(node, ast.NamedExpr) and node.target.id == name:
            yield node.value
        elif isinstance(node, ast.Call) and _grows(node, name):
            yield from node.args


def _grows(call: ast.Call, name: str) -> bool:
    func = call.func
    return isinstance(func, ast.Attribute) and func.attr in _GROWS and isinstance(func.value, ast.Name) and func.value.id == name
