"""tempfile.mktemp."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, has_stars
from remediator.builtin.codemods.transform import Transform, unsafe

_POSITIONS = ("suffix", "prefix", "dir")
# What is done with a path that must not exist yet.
_MAKES_ANEW = vocabulary("mkdir makedirs mkfifo mknod symlink link bind exists isfile lexists copytree mkdtemp isdir")


class TemporaryFile(Transform):
    """Makes the file at once, so that nobody else can."""

    name = "mkstemp"
    cwe = frozenset({20, 59, 362, 367, 377, 378, 379, 668})
    words = ("mktemp", "tempfile", "temporary file")
    summary = "Make the temporary file at once"
    behaviour = "The file exists, empty and readable by its owner only, from the moment its name is known; before, only the name was made."
    declines = "The name is used for something that must not exist yet (a folder, a socket, a link), or is asked whether it exists."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `path = mktemp()` into `fd, path = mkstemp()` and `os.close(fd)`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) != "tempfile.mktemp":
            return False
        if has_stars(node) or len(node.args) > len(_POSITIONS):
            raise unsafe("the arguments cannot be seen")
        used = _calls_made_nearby(node, scene)
        if used & _MAKES_ANEW:
            raise unsafe(f"the name is used in a function that calls {', '.join(sorted(used & _MAKES_ANEW))}, which may need it to be free")
        line = scene.line(node)
        statement = line.body[0] if line is not None and len(line.body) == 1 else None
        if (
            line is not None
            and isinstance(statement, cst.Assign)
            and statement.value is node
            and self._is_simple(statement)
            and draft.stands_alone(line)
        ):
            self._split(node, statement, line, scene, draft)
        else:
            self._inline(node, draft)
        return True

    def _is_simple(self, statement: cst.Assign) -> bool:
        return len(statement.targets) == 1 and isinstance(statement.targets[0].target, cst.Name | cst.Attribute)

    def _split(self, node: cst.Call, statement: cst.Assign, line: cst.SimpleStatementLine, scene: Scene, draft: Draft) -> None:
        handle = next((name for name in ("fd", "temp_fd", "_temp_fd") if not scene.is_bound(name) and not scene.uses(name)), None)
        if handle is None:
            raise unsafe("every name for the file's handle is taken")
        draft.insert(scene.span(statement.targets[0].target).start, f"{handle}, ")
        draft.replace_func(node, draft.sibling(node.func, "mkstemp"))
        draft.add_lines_after(line, [f"{draft.module('os', node)}.close({handle})"])

    def _inline(self, node: cst.Call, draft: Draft) -> None:
        if isinstance(draft.scene.parent(node), cst.Attribute):
            raise unsafe("the name is taken apart at once")
        draft.replace_func(node, draft.sibling(node.func, "NamedTemporaryFile"))
        for position, arg in enumerate(node.args):
            if arg.keyword is None:
                draft.insert(draft.scene.span(arg).start, f"{_POSITIONS[position]}=")
        draft.add_argument(node, "delete=False")
        draft.insert(draft.scene.span(node).end, ".name")


def _calls_made_nearby(node: cst.Call, scene: Scene) -> set[str]:
    around: cst.CSTNode = scene.function(node) or scene.module
    found: set[str] = set()
    for other in scene.nodes():
        if isinstance(other, cst.Call) and (around is scene.module or around in scene.parents(other)):
            func = other.func
            found.add(func.attr.value if isinstance(func, cst.Attribute) else func.value if isinstance(func, cst.Name) else "")
    return found
