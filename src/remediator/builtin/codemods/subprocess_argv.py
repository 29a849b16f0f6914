"""subprocess with shell=True."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.command_list import check_not_windows, command_list, local_command
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.shell_words import ShellNeededError, split_words
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_FUNCTIONS = frozenset(f"subprocess.{name}" for name in ("Popen", "call", "check_call", "check_output", "run"))


class SubprocessArgv(Transform):
    """Runs the command without a shell."""

    name = "subprocess-argv"
    cwe = frozenset({74, 77, 78, 88})
    words = ("shell", "subprocess", "command injection")
    summary = "Run the command without a shell"
    behaviour = (
        "No shell reads the command any more: a value is one argument whatever it holds, and a program that is missing raises OSError "
        "instead of exit code 127."
    )
    declines = (
        "The command needs a shell (pipes, redirection, wildcards, variables, built-ins), is put together elsewhere, "
        "or a value may be several words."
    )

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn the string into a list, and drop `shell=True`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) not in _FUNCTIONS:
            return False
        shell = argument(node, "shell")
        if shell is None or is_name(shell.value, "False") or (isinstance(shell.value, cst.Integer) and shell.value.value == "0"):
            return False
        if not (is_name(shell.value, "True") or (isinstance(shell.value, cst.Integer) and shell.value.value == "1")):
            raise ambiguous("whether there is a shell is decided elsewhere")
        if has_stars(node) or argument(node, "executable") is not None:
            raise unsafe("the call names its own shell, or unpacks its arguments")
        command = argument(node, "args", 0)
        if command is None:
            raise unsafe("the call has no command to be seen")
        check_not_windows(node, scene)
        expression = local_command(command.value, scene)
        if not _is_list_already(expression, scene):
            source = command_list(expression, scene)
            draft.replace_span(scene.span(expression), source)
        draft.remove_argument(node, shell)
        return True


def _is_list_already(node: cst.BaseExpression, scene: Scene) -> bool:
    """Return whether the command is a list that a shell would not even see: with a shell, only its first item would run."""
    if isinstance(node, cst.Call) and scene.name(node.func) == "shlex.split":
        return True
    if not isinstance(node, cst.List) or not node.elements:
        return False
    first = node.elements[0].value
    if not isinstance(first, cst.SimpleString) or not isinstance(first.evaluated_value, str):
        raise unsafe("the command's name comes from a value")
    try:
        single = len(split_words(first.evaluated_value)) == 1
    except ShellNeededError:
        single = False
    if not single:
        raise unsafe("the first item of the list is a whole command line")
    return True
