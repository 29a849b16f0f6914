"""A command given as one string, turned into the list of its words."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst
from libcst.metadata import Assignment

from remediator.builtin.codemods.context_words import vocabulary, words_of
from remediator.builtin.codemods.scene import Scene, dotted
from remediator.builtin.codemods.shell_words import HOLE, ShellNeededError, split_words
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Hole
from remediator.builtin.codemods.transform import needs_design, unsafe

# A value with such a name is likely more than one word of the command line, on purpose.
_SEVERAL = vocabulary(
    "args argv arguments cmd command commands flag flags options opts opt params parameters switches extra cmdline pipeline files"
)


def command_list(node: cst.BaseExpression, scene: Scene) -> str:
    """Return the source of the list that says the same command without a shell. Raises RefusedError where none certainly does."""
    template = Template.of(node, scene)
    if template is None:
        raise needs_design("the command line is put together elsewhere, so its words cannot be told apart")
    holes = template.holes
    for hole in holes:
        _check(hole)
    try:
        words = split_words(template.value)
    except ShellNeededError as error:
        raise unsafe(f"the command needs a shell: {error}") from error
    remaining = iter(holes)
    return "[" + ", ".join(_word(word, remaining) for word in words) + "]"


def _check(hole: Hole) -> None:
    if not hole.plain:
        raise unsafe(f"`{hole.code}` is put in with a format of its own")
    names = words_of(hole.code)
    if names & _SEVERAL:
        raise unsafe(f"`{hole.code}` may be several words of the command line")
    if "quote" in names or "join" in names or "list2cmdline" in hole.code:
        raise unsafe(f"`{hole.code}` is quoted or joined for the shell already")


def _word(word: str, holes: Iterator[Hole]) -> str:
    pieces = re.split(f"({HOLE})", word)
    parts = [next(holes).text_code if piece == HOLE else _literal(piece) for piece in pieces if piece]
    return " + ".join(parts) if parts else '""'


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'


def check_not_windows(call: cst.Call, scene: Scene) -> None:
    """Raise RefusedError where a command is for Windows, whose own shell finds and splits in another way."""
    for around in scene.parents(call):
        if isinstance(around, cst.If | cst.IfExp) and re.search(r"['\"](?:nt|win32|[Ww]indows|win|cygwin)['\"]", scene.code(around.test)):
            raise unsafe("the command depends on whether the system is Windows")


def local_command(node: cst.BaseExpression, scene: Scene) -> cst.BaseExpression:
    """Return the expression that a variable stands for, where it is assigned once, used once, and in the same function."""
    if not isinstance(node, cst.Name):
        return node
    value = scene.value_of(node)
    found = scene.assignments(node)
    here = scene.scope(node)
    if value is None or len(found) != 1 or found[0].scope is not here or not isinstance(found[0], Assignment):
        raise needs_design(f"`{dotted(node)}` comes from elsewhere, so its words cannot be told apart")
    if len(found[0].references) != 1 or not isinstance(scene.parent(value), cst.Assign):
        raise unsafe(f"`{dotted(node)}` is used for something else too")
    return value
