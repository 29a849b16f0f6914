"""Guard `feature-deleted`, at the finding's own place: the flawed call must be mended, not dropped."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from remediator.builtin.guards.project_modules import ProjectModules
from remediator.builtin.guards.python.capabilities import is_capability
from remediator.builtin.guards.python.deleted_features import CODE, is_constant, is_quiet_call
from remediator.builtin.guards.python.module import Module, UnreadableError
from remediator.diff.objection import Objection
from remediator.records.finding import Finding

# Where to leave the statement out is a right fix: logging of secrets, weakened settings, headers, flags, permissions.
_MAY_BE_DROPPED = frozenset(
    (16, 200, 209, 256, 259, 276, 284, 295, 297, 312, 319, 321, 326, 352, 489, 532, 605, 614, 668, 693, 732, 798, 942, 1004, 1275)
)


def lost_sink(before: Module, after: Module, finding: Finding, path: str, project: ProjectModules) -> Iterator[Objection]:
    """Yield where the call that the finding is about is gone and no working call has come into its function."""
    if finding.location is None or finding.location.path != path or _MAY_BE_DROPPED.intersection(finding.cwe):
        return
    first, last = finding.location.start_line, max(finding.location.start_line, finding.location.end_line)
    key = before.enclosing(first)
    old_scope, new_scope = before.scope(key), after.scope(key)
    if old_scope is None or new_scope is None:
        return
    sinks = [call for call in _calls(old_scope) if call.lineno <= last and (call.end_lineno or call.lineno) >= first]
    old_calls, new_calls = Counter(map(ast.unparse, _calls(old_scope))), Counter(map(ast.unparse, _calls(new_scope)))
    dropped = [call for call in sinks if new_calls[ast.unparse(call)] < old_calls[ast.unparse(call)]]
    if not dropped:
        return
    come = [call for call in _calls(new_scope) if new_calls[ast.unparse(call)] > old_calls[ast.unparse(call)]]
    line = getattr(new_scope, "lineno", first)
    working = [call for call in come if not is_quiet_call(call) and not _is_raised(call, new_scope)]
    if not working:
        yield Objection(CODE, path, f"the call {ast.unparse(dropped[0])[:120]!r} is gone and nothing does its work", line)
    elif (twin := _flawed_twin(come, dropped, after) or _flawed_import(come, dropped, after, path, project)) is not None:
        yield Objection(CODE, path, f"{ast.unparse(twin.func)[:120]!r} does the same dangerous thing elsewhere", twin.lineno)
    elif _takes_nothing(working, new_scope, after) and not _takes_nothing(dropped, old_scope, before):
        yield Objection(CODE, path, f"what stands for {ast.unparse(dropped[0])[:120]!r} takes none of its input", line)


def _flawed_twin(come: list[ast.Call], dropped: list[ast.Call], after: Module) -> ast.Call | None:
    """Return a call that came and only hands the input to another function of this file which still makes the dropped call."""
    names = _dangers(dropped, after)
    for call in come:
        if after.resolve(call.func) is not None:
            continue
        callee = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if _makes(after, callee, names):
            return call
    return None


def _flawed_import(come: list[ast.Call], dropped: list[ast.Call], after: Module, path: str, project: ProjectModules) -> ast.Call | None:
    """Return a call that came and leads to the dropped call by way of another file of the project."""
    names = _dangers(dropped, after)
    for call in come:
        module, _, callee = (after.resolve(call.func) or "").rpartition(".")
        for source in project.sources(module or ".", path) if names and callee else ():
            try:
                other = Module.read(source)
            except UnreadableError:
                return call
            if other.imports.get(callee) in names or _makes(other, callee, names):
                return call
    return None


def _dangers(calls: list[ast.Call], module: Module) -> set[str]:
    return {name for call in calls if is_capability(name := module.resolve(call.func) or "")}


def _makes(module: Module, callee: str, names: set[str]) -> bool:
    """Return whether a function of this name makes one of these calls."""
    return any(
        key.rpartition(".")[2] == callee
        and any(module.resolve(inner.func) in names and _is_as_bad(inner, module) for inner in _calls(function))
        for key, function in module.functions.items()
    )


def _is_as_bad(call: ast.Call, module: Module) -> bool:
    """Return whether the call is not one that starts a program without a shell."""
    plain = (module.resolve(call.func) or "").startswith("subprocess.")
    return not plain or any(word.arg == "shell" and getattr(word.value, "value", None) is not False for word in call.keywords)


def _calls(scope: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(scope) if isinstance(node, ast.Call)]


def _is_raised(call: ast.Call, scope: ast.AST) -> bool:
    return any(isinstance(node, ast.Raise) and any(part is call for part in ast.walk(node)) for node in ast.walk(scope))


def _takes_nothing(calls: list[ast.Call], scope: ast.AST, module: Module) -> bool:
    """Return whether no data can come into these calls: by an argument, a receiver, or what stands beside them in their statement."""
    if any(_carries(call, module) for call in calls):
        return False
    wanted = {id(call) for call in calls}
    for statement in ast.walk(scope):
        if isinstance(statement, ast.stmt) and not hasattr(statement, "body"):
            parts = list(ast.walk(statement))
            roots = {id(name) for part in parts if isinstance(part, ast.Call) for name in ast.walk(part.func)}
            beside = any(isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and id(part) not in roots for part in parts)
            if beside and any(id(part) in wanted for part in parts):
                return False
    return True


def _carries(call: ast.Call, module: Module) -> bool:
    if not all(is_constant(item) for item in [*call.args, *(keyword.value for keyword in call.keywords)]):
        return True
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
    if receiver is None or is_constant(receiver):
        return False
    return module.resolve(receiver) is None and not isinstance(receiver, ast.Call)
