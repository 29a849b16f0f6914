"""The words that an author used around a piece of code: what a value is for, as far as names tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from remediator.builtin.codemods.scene import Scene

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def vocabulary(text: str) -> frozenset[str]:
    """Return the words of a text, for lists of names that are better read as one line."""
    return frozenset(text.split())


def words_of(text: str) -> frozenset[str]:
    """Return the lower-case words of identifiers: `resetToken_v2` has `reset`, `token` and `v`."""
    return frozenset(word.lower() for word in _WORD.findall(text))


def words_in(node: cst.CSTNode) -> frozenset[str]:
    """Return the words of all names inside of an expression, and of its short strings (keys, mostly)."""
    return frozenset(word for name in _names_below(node) for word in words_of(name))


def words_around(scene: Scene, node: cst.CSTNode) -> frozenset[str]:
    """Return the words of what a value is assigned to, passed as, returned from, or kept under."""
    found: set[str] = set()
    for around in (node, *scene.parents(node)):
        if isinstance(around, cst.Assign):
            found.update(*(words_in(target.target) for target in around.targets))
        elif isinstance(around, cst.AnnAssign | cst.AugAssign):
            found.update(words_in(around.target))
        elif isinstance(around, cst.Arg) and around.keyword is not None:
            found |= words_of(around.keyword.value)
        elif isinstance(around, cst.DictElement) and isinstance(around.key, cst.SimpleString):
            found |= words_of(around.key.value)
        elif isinstance(around, cst.FunctionDef):
            return frozenset(found | words_of(around.name.value))
    return frozenset(found)


def _names_below(node: cst.CSTNode) -> Iterator[str]:
    if isinstance(node, cst.Name) or (isinstance(node, cst.SimpleString) and len(node.value) < 60):
        yield node.value
    for child in node.children:
        yield from _names_below(child)
