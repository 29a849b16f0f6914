"""Flask: names from a client that become paths."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, has_stars
from remediator.builtin.codemods.transform import Transform, needs_design, unsafe

_SEND = {"flask.send_file": "send_from_directory", "quart.send_file": "send_from_directory"}


class SecureFilename(Transform):
    """Takes the folders out of an uploaded file's name."""

    name = "secure-filename"
    cwe = frozenset({20, 22, 23, 36, 73, 434})
    words = ("path traversal", "upload", "filename")
    summary = "Take folders out of an uploaded file's name"
    behaviour = "Uploads are stored under their name without folders and special characters; a name of nothing else becomes empty."
    declines = "The file does not import Flask or Werkzeug, or the path comes from something other than an upload's name."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Wrap the name in `secure_filename`."""
        if not isinstance(node, cst.Call) or not scene.imports("flask", "werkzeug", "quart"):
            return False
        if scene.name(node.func) not in ("os.path.join", "pathlib.Path") and not _is_save(node):
            return False
        names = [found for arg in node.args if (found := _upload_name(arg.value, scene)) is not None]
        if not names:
            return False
        if len(names) > 1 or has_stars(node):
            raise unsafe("more than one name comes from uploads")
        draft.replace(names[0], f"{draft.member('werkzeug.utils', 'secure_filename', node)}({scene.code(names[0])})")
        return True


class SendFromDirectory(Transform):
    """Serves files of one folder only."""

    name = "send-from-directory"
    cwe = frozenset({20, 22, 23, 36, 73})
    words = ("path traversal", "send_file", "send-file")
    summary = "Serve files of this folder only"
    behaviour = "A name that leaves the folder, or a file that is missing, gives 404."
    declines = "The path is not joined from a folder and one name in the call."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `send_file(os.path.join(folder, name))` into `send_from_directory(folder, name)`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) not in _SEND or not node.args:
            return False
        first = node.args[0]
        if first.keyword is not None or first.star or any(arg.keyword is None for arg in node.args[1:]):
            raise unsafe("the arguments cannot all be told apart")
        path = first.value
        if not isinstance(path, cst.Call) or scene.name(path.func) != "os.path.join" or len(path.args) != 2 or has_stars(path):
            raise needs_design("the path is put together elsewhere, so which folder it may not leave is not known")
        folder, name = path.args
        draft.replace_func(node, draft.sibling(node.func, _SEND[scene.name(node.func)]))
        draft.replace(path, f"{scene.code(folder.value)}, {scene.code(name.value)}")
        draft.release(path.func)
        return True


def _is_save(node: cst.Call) -> bool:
    return isinstance(node.func, cst.Attribute) and node.func.attr.value == "save" and len(node.args) == 1


def _upload_name(node: cst.BaseExpression, scene: Scene) -> cst.BaseExpression | None:
    """Return the part of an expression that is an upload's own name."""
    value = scene.value_of(node) if isinstance(node, cst.Name) else node
    if isinstance(value, cst.Attribute) and value.attr.value == "filename" and _is_upload(value.value, scene):
        return node
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        return _upload_name(node.right, scene) or _upload_name(node.left, scene)
    return None


def _is_upload(node: cst.BaseExpression, scene: Scene) -> bool:
    value = scene.value_of(node) if isinstance(node, cst.Name) else node
    if isinstance(value, cst.Subscript):
        return _is_files(value.value)
    if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) and value.func.attr.value in ("get", "pop"):
        return _is_files(value.func.value)
    return isinstance(value, cst.Attribute) and value.attr.value == "data"


def _is_files(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Attribute) and node.attr.value == "files"
