"""Whether a list of words makes a shell, or another program that runs text as code, read one of the words."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Sequence

_SHELLS = frozenset(
    ("sh", "bash", "dash", "zsh", "ksh", "csh", "tcsh", "fish", "ash", "cmd", "cmd.exe", "powershell", "powershell.exe", "pwsh", "eval")
)
_SHELL_SWITCHES = frozenset(("-c", "/c", "/C", "-Command", "-command", "-EncodedCommand", "-s"))
_CLUSTER = re.compile(r"-[a-z]*[cs][a-z]*")
_INTERPRETERS = re.compile(r"python[\d.]*(?:\.exe)?|pypy\d?|perl|ruby|node(?:js)?|deno|php|lua|tclsh|Rscript|osascript|[gm]?awk")
_CODE_SWITCHES = frozenset(("-c", "-e", "-E", "-r", "-p", "--eval", "--exec", "--run"))

Words = Sequence[ast.expr | str]


def words_of(node: ast.expr) -> list[ast.expr | str]:
    """Return the words of a list, tuple, sum of those, or split literal; what is not literal stays an expression. Else an empty list."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_text(item) for item in node.elts]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = words_of(node.left), words_of(node.right)
        return [*(left or [node.left]), *(right or [node.right])] if left or right else []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("split", "rsplit"):
        inner = node.func.value
        return [*inner.value.split()] if isinstance(inner, ast.Constant) and isinstance(inner.value, str) else []
    return []


def _text(node: ast.expr) -> ast.expr | str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else node


def starts_a_shell(words: Words) -> bool:
    """Return whether these words start a shell that reads one of them, or what is sent to it, as commands."""
    if not words:
        return False
    if any(_is_shell_at(words, position) for position in range(len(words))):
        return True
    # Whatever the program's name is kept in.
    return not isinstance(words[0], (str, ast.Attribute)) and len(words) > 2 and words[1] in _SHELL_SWITCHES


def _is_shell_at(words: Words, position: int) -> bool:
    word, rest = words[position], words[position + 1 :]
    if not isinstance(word, str):
        return False
    if is_shell(word):
        # Alone it reads its input; before a switch a command; before anything else a file.
        alone = position == 0 and not rest
        return alone or any(isinstance(other, str) and _is_switch(other) for other in rest)
    name = program(word)
    if _INTERPRETERS.fullmatch(name):
        if not rest and position == 0:
            return True
        return any(
            switch in _CODE_SWITCHES and not isinstance(code, str) for switch, code in itertools.pairwise(rest) if isinstance(switch, str)
        )
    return False


def is_shell(word: str) -> bool:
    """Return whether a word names a shell."""
    return program(word) in _SHELLS


def program(word: str) -> str:
    """Return the program's name without its folder."""
    return word.rpartition("/")[2].rpartition("\\")[2].lower()


def _is_switch(word: str) -> bool:
    return word in _SHELL_SWITCHES or _CLUSTER.fullmatch(word) is not None
