"""Files that anybody may write."""

from __future__ import annotations

import stat

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument
from remediator.builtin.codemods.transform import Transform, ambiguous

# The keyword and the position of the mode.
_FUNCTIONS = {
    "os.chmod": ("mode", 1),
    "os.fchmod": ("mode", 1),
    "os.lchmod": ("mode", 1),
    "os.mkdir": ("mode", 1),
    "os.makedirs": ("mode", 1),
    "os.open": ("mode", 2),
    "os.mkfifo": ("mode", 1),
}
_OTHERS_MAY_WRITE = 0o022


class FileMode(Transform):
    """Lets the owner alone write; at a second try, lets the owner alone in."""

    name = "file-mode"
    cwe = frozenset({250, 266, 275, 276, 277, 278, 279, 281, 552, 732})
    words = ("chmod", "permission", "umask", "world-writable", "file mode")
    summary = "Let only the owner write"
    behaviour = "Members of the group and other users can no longer write there."
    declines = "The mode is not a number or `stat` flags, or nobody but the owner may write already."
    variants = 2

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Take the write bits of group and others away; as a second variant, all of theirs."""
        if not isinstance(node, cst.Call):
            return False
        name = scene.name(node.func)
        if name == "os.umask":
            return self._umask(node, scene, draft)
        arg = argument(node, *_FUNCTIONS[name]) if name in _FUNCTIONS else _path_chmod(node, scene)
        if arg is None:
            return False
        mode = _number(arg.value, scene)
        if mode is None:
            raise ambiguous("the mode is worked out elsewhere")
        taken = _OTHERS_MAY_WRITE if draft.variant == 0 else 0o077
        if not mode & _OTHERS_MAY_WRITE:
            raise ambiguous(f"the mode {oct(mode)} lets nobody but the owner write; whether others may read is for the author to say")
        draft.replace(arg.value, oct(mode & ~taken))
        if draft.variant:
            draft.behaviour = "Members of the group and other users can neither read, write nor run what is there."
        return True

    def _umask(self, node: cst.Call, scene: Scene, draft: Draft) -> bool:
        if len(node.args) != 1 or not isinstance(node.args[0].value, cst.Integer):
            return False
        if not isinstance(scene.parent(node), cst.Expr):
            raise ambiguous("the mask that was there is asked for, so this one may hold for a moment only")
        mask = node.args[0].value.evaluated_value
        if mask & _OTHERS_MAY_WRITE == _OTHERS_MAY_WRITE:
            return False
        draft.replace(node.args[0].value, oct(mask | (_OTHERS_MAY_WRITE if draft.variant == 0 else 0o077)))
        draft.behaviour = "New files and folders can no longer be written by the group and by other users."
        return True


def _path_chmod(node: cst.Call, scene: Scene) -> cst.Arg | None:
    if (
        isinstance(node.func, cst.Attribute)
        and node.func.attr.value == "chmod"
        and scene.made_by(node.func.value) & {"pathlib.Path", "pathlib.PosixPath"}
    ):
        return argument(node, "mode", 0)
    return None


def _number(node: cst.BaseExpression, scene: Scene) -> int | None:
    """Return the number that a mode certainly is: a literal, or `stat` flags put together by `|`."""
    if isinstance(node, cst.Integer):
        return int(node.evaluated_value)
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
        left, right = _number(node.left, scene), _number(node.right, scene)
        return None if left is None or right is None else left | right
    module, _, member = scene.name(node).rpartition(".")
    value = getattr(stat, member, None) if module == "stat" and member.startswith("S_I") else None
    return value if isinstance(value, int) else None
