"""tempfile.mktemp."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, dotted, has_stars
from remediator.builtin.codemods.transform import Transform, unsafe


class TemporaryFile(Transform):
    """Makes the file at once, so that nobody else can."""

    name = "mkstemp"
    cwe = frozenset({20, 59, 362, 367, 377, 378, 379, 668})
    words = ("mktemp", "tempfile", "temporary file")
    summary = "Make the temporary file at once"
    behaviour = "The file exists, empty and readable by its owner only, from the moment its name is known; before, only the name was made."
    declines = (
        "The name is not, as the first thing, opened to be written: it may be for something that must not exist yet "
        "(a folder, a socket, a link, a database)."
    )

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `path = mktemp()` into `fd, path = mkstemp()` and `os.close(fd)`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) != "tempfile.mktemp":
            return False
        if has_stars(node) or len(node.args) > 3:
            raise unsafe("the arguments cannot be seen")
        line = scene.line(node)
        statement = line.body[0] if line is not None and len(line.body) == 1 else None
        if line is None or not isinstance(statement, cst.Assign) or statement.value is not node or not draft.stands_alone(line):
            raise unsafe("the name is not kept by a statement of its own")
        target = statement.targets[0].target
        if len(statement.targets) != 1 or not isinstance(target, cst.Name | cst.Attribute):
            raise unsafe("the name is kept in more than one place")
        if not _is_first_written(target, statement, scene):
            raise unsafe("the name is not opened to be written as the first thing, so it may be for something that must not exist yet")
        handle = next((name for name in ("fd", "temp_fd", "_temp_fd") if not scene.is_bound(name) and not scene.uses(name)), None)
        if handle is None:
            raise unsafe("every name for the file's handle is taken")
        draft.insert(scene.span(target).start, f"{handle}, ")
        draft.replace_func(node, draft.sibling(node.func, "mkstemp"))
        draft.add_lines_after(line, [f"{draft.module('os', node)}.close({handle})"])
        return True


def _is_first_written(target: cst.BaseExpression, statement: cst.Assign, scene: Scene) -> bool:
    """Return whether the first use of the name in its function opens it for writing, after which it exists in any case."""
    name, after = dotted(target), scene.span(statement).end
    function = scene.function(statement)
    uses = [
        (scene.span(other).start, other)
        for other in scene.nodes()
        if isinstance(other, cst.Name | cst.Attribute) and dotted(other) == name and scene.span(other).start > after
    ]
    first = min(uses, key=lambda item: item[0], default=None)
    if not name or first is None or scene.function(first[1]) is not function:
        return False
    arg = scene.parent(first[1])
    call = scene.parent(arg) if isinstance(arg, cst.Arg) else None
    if not isinstance(call, cst.Call) or argument(call, "file", 0) is not arg:
        return False
    known = scene.name(call.func) in {"builtins.open", "io.open", "codecs.open"}
    mode = argument(call, "mode", 1)
    text = mode.value.evaluated_value if mode is not None and isinstance(mode.value, cst.SimpleString) else None
    return known and isinstance(text, str) and text[:1] in ("w", "a")
