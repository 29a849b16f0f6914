"""Guard `disguised-call`: the old danger must not come back by another name or in other clothes."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from remediator.builtin.guards.python.callee_tables import callees_of_table
from remediator.builtin.guards.python.capabilities import is_capability
from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.python.shell_words import is_shell, starts_a_shell, words_of
from remediator.builtin.guards.trait import Trait
from remediator.diff.objection import Objection

CODE = "disguised-call"
# Switches whose plain True or False is what scanners look for.
_SWITCHES = frozenset(
    (
        *("shell", "verify", "verify_ssl", "ssl_verify", "check_hostname", "validate_certs", "autoescape", "debug", "resolve_entities"),
        *("no_network", "load_dtd", "allow_pickle", "weights_only", "secure", "httponly", "usedforsecurity", "verify_signature"),
    )
)
# Of these, those that a fix turns on: a computed value may be a no.
_CHECKS = frozenset(("verify", "verify_ssl", "ssl_verify", "check_hostname", "validate_certs", "verify_signature", "weights_only"))
_COMPUTED = (ast.Call, ast.Subscript, ast.IfExp, ast.BoolOp, ast.Lambda, ast.NamedExpr)
_MAKERS = frozenset(("builtins.type", "builtins.super", "functools.lru_cache", "functools.wraps"))


def disguised_calls(before: Module, after: Module, path: str) -> Iterator[Objection]:
    """Yield where a call that was there is now made by way of a variable, `getattr`, or a name that is handed on."""
    old_calls = Counter(reference.name for reference in before.references if reference.called)
    new_calls = Counter(reference.name for reference in after.references if reference.called)
    removed = {name for name, count in old_calls.items() if new_calls[name] < count}
    old_plain = Counter(reference.name for reference in before.references if not reference.called)
    for reference in after.references:
        if reference.called or not any(name == reference.name or name.startswith(reference.name + ".") for name in removed):
            continue
        old_plain[reference.name] -= 1
        if old_plain[reference.name] < 0:
            yield Objection(CODE, path, f"{reference.name} is still used, by another way", reference.node.lineno)
    yield from _renamed(before, after, path)
    yield from _looked_up(before, after, path, old_calls)


def _renamed(before: Module, after: Module, path: str) -> Iterator[Objection]:
    """Yield dangerous calls that are written in a way that the file did not write them before, nor anybody would."""
    known = {(reference.name, ast.unparse(reference.node)) for reference in before.references if reference.called}
    for reference in after.references:
        if not reference.called or not is_capability(reference.name):
            continue
        text = ast.unparse(reference.node)
        usual = f".{reference.name}".endswith(f".{text}") and not text.startswith("builtins.")
        if not usual and (reference.name, text) not in known:
            yield Objection(CODE, path, f"{text[:120]} is {reference.name} by another name", reference.node.lineno)


def _looked_up(before: Module, after: Module, path: str, old_calls: Counter[str]) -> Iterator[Objection]:
    known = Counter(ast.unparse(node) for node in _lookups(before))
    called = {id(node.func) for node in after.nodes if isinstance(node, ast.Call)}
    for node in _lookups(after):
        text = ast.unparse(node)
        known[text] -= 1
        if known[text] < 0:
            # To ask a module for a name that it may lack is a habit; to call what comes back hides the call.
            name = after.resolve(node)
            certain = name is None or id(node) in called or name in old_calls or is_capability(name)
            yield Objection(CODE, path, f"{text[:120]} hides what is called", node.lineno, certain)


def _lookups(module: Module) -> list[ast.Call]:
    """Return the uses of `getattr` on something imported, or with a computed name."""
    found = []
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr" and node.args:
            name = module.resolve(node.args[0])
            computed = len(node.args) > 1 and not isinstance(node.args[1], (ast.Constant, ast.Name))
            if (name is not None and not name.startswith("builtins.")) or computed:
                found.append(node)
    return found


def disguised_values(module: Module) -> Iterator[Trait]:
    """Yield shells started by a list of words, and switches set by anything but a plain value."""
    for node in module.nodes:
        if isinstance(node, (ast.List, ast.Tuple, ast.BinOp, ast.Call)) and starts_a_shell(words_of(node)):
            yield Trait(CODE, "shell", node.lineno, "a list of words that starts a shell is a shell command")
        elif isinstance(node, ast.keyword):
            yield from _keyword(node, module)
        elif isinstance(node, ast.Dict):
            yield from _items(node, module)
        elif isinstance(node, ast.Call):
            yield from _arguments(node, module)


def _keyword(node: ast.keyword, module: Module) -> Iterator[Trait]:
    line = node.value.lineno
    if node.arg == "executable" and is_shell(str(getattr(node.value, "value", ""))):
        yield Trait(CODE, "switch:executable", line, "the words are handed to a shell")
    elif node.arg == "shell" and not isinstance(node.value, ast.Constant):
        yield Trait(CODE, "switch:shell", line, "whether there is a shell is no longer plain to see")
    elif node.arg in _SWITCHES and _is_dressed_up(node.arg, node.value, module):
        yield Trait(CODE, f"switch:{node.arg}", line, f"{node.arg} is set by a roundabout value")
    elif node.arg is None and isinstance(node.value, ast.Dict):
        yield Trait(CODE, "switch:**", line, "arguments are hidden in a dictionary")


def _items(node: ast.Dict, module: Module) -> Iterator[Trait]:
    for key, value in zip(node.keys, node.values, strict=True):
        name = getattr(key, "value", None)
        hidden = name == "shell" and getattr(value, "value", None) is not False
        if hidden or (isinstance(name, str) and name in _SWITCHES and _is_dressed_up(name, value, module)):
            yield Trait(CODE, f"switch:{name}", node.lineno, f"{name} is set by a roundabout value")


def _arguments(node: ast.Call, module: Module) -> Iterator[Trait]:
    name = module.resolve(node.func) or ""
    if any(word.arg is None for word in node.keywords) and is_capability(name):
        yield Trait(CODE, "switch:**", node.lineno, "the arguments of a dangerous call are kept elsewhere")
    elif name.startswith("subprocess.") and (len(node.args) > 2 or any(isinstance(item, ast.Starred) for item in node.args)):
        yield Trait(CODE, "switch:place", node.lineno, "how a program is started is told by place and not by name")
    elif name == "builtins.setattr" and len(node.args) > 2 and getattr(node.args[1], "value", None) in _SWITCHES:
        yield Trait(CODE, "switch:setattr", node.lineno, f"{ast.unparse(node)[:80]} sets a switch by its name")


def computed_callees(module: Module) -> Iterator[Trait]:
    """Yield calls of something that only shows at run time: what another call, a look-up, a loop or a choice gives."""
    kept = set(_computed_names(module))
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        by_name = isinstance(node.func, ast.Name) and (module.owner(node), node.func.id) in kept
        if by_name or (isinstance(node.func, _COMPUTED) and not _is_maker(node.func, module)):
            yield Trait(CODE, f"callee:{ast.unparse(node.func)}", node.lineno, f"what {ast.unparse(node.func)[:80]!r} calls cannot be seen")


def _computed_names(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the names, each with its function, that are bound to what a call, a look-up, a loop or a choice gives."""
    for node in module.nodes:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign) and isinstance(node.value, _COMPUTED) and not _is_maker(node.value, module):
            targets = node.targets
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            targets = [node.target]
        for target in targets:
            yield from ((module.owner(node), part.id) for part in ast.walk(target) if isinstance(part, ast.Name))


def _is_maker(node: ast.expr, module: Module) -> bool:
    if isinstance(node, ast.Call) and module.resolve(node.func) in _MAKERS:
        return True
    return callees_of_table(node, module)


def _is_dressed_up(switch: str, node: ast.expr, module: Module) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float, str, bytes)) and not isinstance(node.value, bool) and node.value in (0, 1, "", b"", 0.0)
    if switch in _CHECKS and _comes_to_no(node, module):
        return True
    if isinstance(node, (ast.UnaryOp, ast.Compare, ast.BoolOp, ast.BinOp)):
        return not any(isinstance(part, (ast.Name, ast.Attribute, ast.Call)) for part in ast.walk(node))
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("bool", "int", "len", "any", "all")


def _comes_to_no(node: ast.expr, module: Module) -> bool:
    """Return whether a value may well be a disguised no: computed on the spot, or a name that this file binds to one."""
    if isinstance(node, ast.Name):
        return any(
            isinstance(other, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == node.id for target in other.targets)
            and (isinstance(other.value, ast.Constant) and not other.value.value)
            for other in module.nodes
        )
    if isinstance(node, ast.Call):
        name = module.resolve(node.func) or ""
        own = not name or name.startswith(("builtins.", "."))
        return own or any(
            isinstance(part, ast.Constant) and not part.value for part in [*node.args, *(word.value for word in node.keywords)]
        )
    return isinstance(node, (ast.UnaryOp, ast.Compare, ast.BoolOp, ast.BinOp, ast.IfExp, ast.Lambda, ast.NamedExpr))
