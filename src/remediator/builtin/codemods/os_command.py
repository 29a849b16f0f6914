"""os.system, os.popen and asyncio's shell."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.command_list import check_not_windows, command_list, local_command
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.transform import Transform, unsafe

_ASYNCIO = frozenset({"asyncio.create_subprocess_shell", "asyncio.subprocess.create_subprocess_shell"})


class OsSystemArgv(Transform):
    """Runs the command through subprocess."""

    name = "os-system-argv"
    cwe = frozenset({74, 77, 78, 88})
    words = ("os.system", "shell", "command injection", "os-system")
    summary = "Run the command without a shell"
    behaviour = (
        "No shell reads the command any more: a value is one argument whatever it holds, and a program that is missing raises OSError. "
        "Where only success or failure is asked for, the answer is the same."
    )
    declines = "The exit status is used as a number, or the command needs a shell."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `os.system(line)` into `subprocess.call([…])`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) != "os.system":
            return False
        if len(node.args) != 1 or node.args[0].star:
            raise unsafe("the arguments cannot be seen")
        if not _asks_for_success_only(node, scene):
            raise unsafe("the exit status is used, and os.system encodes it in its own way")
        _replace_command(node, scene, draft)
        draft.replace_func(node, draft.member("subprocess", "call", node))
        return True


class OsPopenArgv(Transform):
    """Reads the command's output through subprocess."""

    name = "os-popen-argv"
    cwe = frozenset({74, 77, 78, 88})
    words = ("os.popen", "shell", "command injection", "os-popen")
    summary = "Read the command's output without a shell"
    behaviour = (
        "No shell reads the command any more: a value is one argument whatever it holds, and a program that is missing raises OSError."
    )
    declines = "Anything but an immediate `.read()` or `.readlines()`, or the command needs a shell."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `os.popen(line).read()` into a Popen with a list."""
        if not isinstance(node, cst.Call) or scene.name(node.func) != "os.popen":
            return False
        attribute = scene.parent(node)
        reading = scene.parent(attribute) if isinstance(attribute, cst.Attribute) else None
        method = attribute.attr.value if isinstance(attribute, cst.Attribute) else ""
        if (
            len(node.args) != 1
            or node.args[0].star
            or not isinstance(reading, cst.Call)
            or reading.args
            or method not in ("read", "readlines")
        ):
            raise unsafe("the pipe is used for more than reading it to its end")
        assert isinstance(attribute, cst.Attribute)
        _replace_command(node, scene, draft)
        popen = draft.member("subprocess", "Popen", node)
        pipe = popen.removesuffix("Popen") + "PIPE" if "." in popen else draft.member("subprocess", "PIPE", node)
        draft.replace_func(node, popen)
        draft.add_argument(node, f"stdout={pipe}, universal_newlines=True")
        end = "communicate()[0]" if method == "read" else "communicate()[0].splitlines(True)"
        draft.replace_span(scene.span(reading)._replace(start=scene.span(attribute.attr).start), end)
        return True


class AsyncioExec(Transform):
    """Starts the program itself."""

    name = "asyncio-exec"
    cwe = frozenset({74, 77, 78, 88})
    words = ("create_subprocess_shell", "shell", "command injection")
    summary = "Run the command without a shell"
    behaviour = (
        "No shell reads the command any more: a value is one argument whatever it holds, and a program that is missing raises OSError."
    )
    declines = "The command needs a shell, or is put together elsewhere."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `create_subprocess_shell(line)` into `create_subprocess_exec(…)`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) not in _ASYNCIO or not node.args:
            return False
        first = node.args[0]
        if first.star or first.keyword is not None or any(arg.keyword is None for arg in node.args[1:]):
            raise unsafe("the arguments cannot be seen")
        draft.replace_span(scene.span(first), command_list(first.value, scene)[1:-1])
        draft.replace_func(node, draft.sibling(node.func, "create_subprocess_exec"))
        return True


def _replace_command(node: cst.Call, scene: Scene, draft: Draft) -> None:
    check_not_windows(node, scene)
    expression = local_command(node.args[0].value, scene)
    draft.replace_span(scene.span(expression), command_list(expression, scene))


def _asks_for_success_only(node: cst.Call, scene: Scene) -> bool:
    parent = scene.parent(node)
    if isinstance(parent, cst.Expr):
        return True
    if isinstance(parent, cst.UnaryOperation):
        return isinstance(parent.operator, cst.Not)
    if isinstance(parent, cst.If | cst.IfExp | cst.While):
        return parent.test is node
    if isinstance(parent, cst.Comparison) and parent.left is node and len(parent.comparisons) == 1:
        target = parent.comparisons[0]
        zero = isinstance(target.comparator, cst.Integer) and target.comparator.value == "0"
        return zero and isinstance(target.operator, cst.Equal | cst.NotEqual)
    return False
