"""Guard `signature-changed`: a public function can still be called as before."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from remediator.builtin.guards.python.deleted_features import is_generator, is_public
from remediator.builtin.guards.python.module import Function, Module
from remediator.diff.objection import Objection

CODE = "signature-changed"


def signatures(before: Module, after: Module, path: str) -> Iterator[Objection]:
    """Yield functions that lose, rename, reorder or newly require parameters, or return another kind of thing."""
    for key, old in before.functions.items():
        new = after.functions.get(key)
        if new is None or (ast.dump(old.args) == ast.dump(new.args) and type(old) is type(new) and is_generator(old) == is_generator(new)):
            continue
        certain = is_public(key) and key in before.definitions
        for detail in _differences(old, new):
            yield Objection(CODE, path, f"{key!r} {detail}", new.lineno, certain)
        if _defaults(old) != _defaults(new):
            yield Objection(CODE, path, f"{key!r} changes a default value", new.lineno, certain=False)


def _differences(old: Function, new: Function) -> Iterator[str]:
    old_names, new_names = _positional(old), _positional(new)
    if new_names[: len(old_names)] != old_names:
        yield f"takes ({', '.join(new_names)}) instead of ({', '.join(old_names)})"
    required, optional = _required(old), _required(new)
    if more := sorted(optional - required):
        yield f"newly requires {', '.join(more)}"
    missing = {argument.arg for argument in old.args.kwonlyargs} - {a.arg for a in new.args.kwonlyargs} - set(new_names)
    if missing and not new.args.kwarg:
        yield f"no longer takes {', '.join(sorted(missing))}"
    if old.args.vararg and not new.args.vararg:
        yield "no longer takes any number of arguments"
    if old.args.kwarg and not new.args.kwarg:
        yield "no longer takes any keyword"
    if type(old) is not type(new):
        yield "changes between plain and async"
    if is_generator(old) != is_generator(new):
        yield "changes between function and generator"


def _positional(node: Function) -> list[str]:
    return [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]


def _required(node: Function) -> set[str]:
    names = _positional(node)
    plain = set(names[: len(names) - len(node.args.defaults)])
    return plain | {argument.arg for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default is None}


def _defaults(node: Function) -> dict[str, str]:
    names = _positional(node)
    values = zip(names[len(names) - len(node.args.defaults) :], node.args.defaults, strict=True)
    keywords = ((argument.arg, value) for argument, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value)
    return {name: ast.dump(value) for name, value in [*values, *keywords]}
