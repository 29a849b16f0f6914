"""Guard `disguised-call`: the old danger must not come back by another name or in other clothes."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

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
    """Yield shells started by a list of words, and switches set by anything but a plain True or False."""
    for node in module.nodes:
        if isinstance(node, (ast.List, ast.Tuple, ast.BinOp, ast.Call)) and starts_a_shell(words_of(node)):
            yield Trait(CODE, "shell", node.lineno, "a list of words that starts a shell is a shell command")
        elif isinstance(node, ast.keyword) and node.arg == "executable" and is_shell(str(getattr(node.value, "value", ""))):
            yield Trait(CODE, "switch:executable", node.value.lineno, "the words are handed to a shell")
        elif isinstance(node, ast.keyword) and node.arg == "shell" and not isinstance(node.value, ast.Constant):
            yield Trait(CODE, "switch:shell", node.value.lineno, "whether there is a shell is no longer plain to see")
        elif isinstance(node, ast.keyword) and node.arg in _SWITCHES and _is_dressed_up(node.value):
            yield Trait(CODE, f"switch:{node.arg}", node.value.lineno, f"{node.arg} is set by a roundabout value")
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                hidden = isinstance(key, ast.Constant) and key.value == "shell" and getattr(value, "value", None) is not False
                if key is not None and (hidden or (isinstance(key, ast.Constant) and key.value in _SWITCHES and _is_dressed_up(value))):
                    name = ast.unparse(key).strip("'")
                    yield Trait(CODE, f"switch:{name}", node.lineno, f"{name} is set by a roundabout value")
        elif (
            isinstance(node, ast.Call)
            and any(word.arg is None for word in node.keywords)
            and is_capability(module.resolve(node.func) or "")
        ):
            yield Trait(CODE, "switch:**", node.lineno, "the arguments of a dangerous call are kept elsewhere")
        elif isinstance(node, ast.Call) and (module.resolve(node.func) or "").startswith("subprocess.") and _by_place(node):
            yield Trait(CODE, "switch:place", node.lineno, "how a program is started is told by place and not by name")
        elif isinstance(node, ast.keyword) and node.arg is None and isinstance(node.value, ast.Dict):
            yield Trait(CODE, "switch:**", node.value.lineno, "arguments are hidden in a dictionary")


def _by_place(node: ast.Call) -> bool:
    return len(node.args) > 2 or any(isinstance(item, ast.Starred) for item in node.args)


def computed_callees(module: Module) -> Iterator[Trait]:
    """Yield calls of something that only shows at run time: what another call, a look-up or a choice gives."""
    for node in module.nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, _COMPUTED):
            continue
        maker = module.resolve(node.func.func) if isinstance(node.func, ast.Call) else None
        if maker not in _MAKERS:
            yield Trait(CODE, f"callee:{ast.unparse(node.func)}", node.lineno, f"what {ast.unparse(node.func)[:80]!r} calls cannot be seen")


def _is_dressed_up(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float, str, bytes)) and not isinstance(node.value, bool) and node.value in (0, 1, "", b"", 0.0)
    if isinstance(node, (ast.UnaryOp, ast.Compare, ast.BoolOp, ast.BinOp)):
        return not any(isinstance(part, (ast.Name, ast.Attribute, ast.Call)) for part in ast.walk(node))
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("bool", "int", "len", "any", "all")
