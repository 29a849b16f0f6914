"""tarfile extraction that writes where the archive says."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_OPENERS = frozenset({"tarfile.open", "tarfile.TarFile", "tarfile.TarFile.open", "tarfile.TarFile.gzopen", "tarfile.TarFile.bz2open"})
_ZIP = frozenset({"zipfile.ZipFile", "zipfile.PyZipFile"})
_HELPER = "_members_inside"
_HELPER_LINES = (
    "def _members_inside(archive, path):",
    '    """Yield the members of an archive, and refuse any that would be written outside of the folder, or is no file, folder or link."""',
    "    root = {os}.path.realpath(path)",
    "    for member in archive:",
    "        places = [member.name]",
    "        if member.issym():",
    "            places.append({os}.path.join({os}.path.dirname(member.name), member.linkname))",
    "        elif member.islnk():",
    "            places.append(member.linkname)",
    "        elif not (member.isreg() or member.isdir()):",
    '            raise ValueError("not a file, folder or link: %r" % member.name)',
    "        for place in places:",
    "            target = {os}.path.realpath({os}.path.join(root, place))",
    '            if target != root and not target.startswith({os}.path.join(root, "")):',
    '                raise ValueError("outside of the target folder: %r" % member.name)',
    "        yield member",
)


class TarExtract(Transform):
    """Refuses members that leave the target folder."""

    name = "tar-members"
    cwe = frozenset({20, 22, 23, 36, 59})
    words = ("tar", "zip slip", "extractall", "archive")
    summary = "Refuse archive members that leave the target folder"
    behaviour = (
        "An archive with a member, or a link, that leaves the target folder, or with a device, now raises instead of being written; "
        "other archives extract as before."
    )
    declines = (
        "The archive is not certainly a tarfile, members are chosen already, "
        "or one member is extracted and Python older than 3.12 is supported."
    )

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give `filter="data"` where every supported Python has it, else `members=` with a check."""
        if not isinstance(node, cst.Call):
            return False
        if scene.name(node.func) == "shutil.unpack_archive":
            self._filter(node, scene, draft)
            return True
        if not isinstance(node.func, cst.Attribute) or node.func.attr.value not in ("extractall", "extract"):
            return False
        made = scene.made_by(node.func.value)
        if made and made <= _ZIP:
            raise unsafe("zipfile takes absolute paths and `..` out of names itself; extraction by it stays inside of the folder")
        if not made or not made <= _OPENERS:
            raise ambiguous(f"whether `{scene.code(node.func.value)}` is a tarfile is not known")
        if scene.project.supports_only_from(3, 12) or node.func.attr.value == "extract":
            self._filter(node, scene, draft)
            return True
        self._check_members(node, node.func.value, scene, draft)
        return True

    def _filter(self, node: cst.Call, scene: Scene, draft: Draft) -> None:
        if not scene.project.supports_only_from(3, 12):
            raise unsafe("the filter argument is in every Python from 3.12 on only, and older ones are supported or not ruled out")
        given = argument(node, "filter")
        if has_stars(node):
            raise unsafe("the arguments cannot be seen")
        if given is None:
            draft.add_argument(node, 'filter="data"')
        elif isinstance(given.value, cst.SimpleString) and given.value.evaluated_value in ("fully_trusted", "tar"):
            draft.replace(given.value, '"data"')
        else:
            raise ambiguous("a filter is given already")

    def _check_members(self, node: cst.Call, archive: cst.BaseExpression, scene: Scene, draft: Draft) -> None:
        if has_stars(node) or argument(node, "members", 1) is not None or argument(node, "filter") is not None:
            raise ambiguous("which members are extracted, or how, is chosen already")
        if not isinstance(archive, cst.Name | cst.Attribute):
            raise unsafe("the archive has no name to look at its members by")
        target = argument(node, "path", 0)
        place = scene.code(target.value) if target is not None and not is_name(target.value, "None") else '"."'
        if (
            target is not None
            and not isinstance(target.value, cst.Name | cst.Attribute | cst.SimpleString)
            and not is_name(target.value, "None")
        ):
            raise unsafe("the target folder is worked out in the call, and would be so twice")
        draft.add_argument(node, f"members={_HELPER}({scene.code(archive)}, {place})")
        _add_helper(node, scene, draft)


def _add_helper(node: cst.Call, scene: Scene, draft: Draft) -> None:
    if any(isinstance(item, cst.FunctionDef) and item.name.value == _HELPER for item in scene.module.body):
        return
    if any(_HELPER_LINES[0] in edit.text for edit in draft.edits):
        return
    if scene.is_bound(_HELPER):
        raise unsafe(f"the name {_HELPER} is taken")
    first = _outermost(node, scene)
    newline = scene.lines.newline()
    text = newline.join(_HELPER_LINES).replace("{os}", draft.module("os", node))
    start = draft.above_comments(scene.span(first).start)
    draft.insert(start, text + newline * 3)


def _outermost(node: cst.Call, scene: Scene) -> cst.CSTNode:
    """Return the statement of the module that holds the call; a decorated one begins at its first decorator."""
    chain = [node, *scene.parents(node)]
    top: cst.CSTNode = chain[-2]
    if isinstance(top, cst.FunctionDef | cst.ClassDef) and top.decorators:
        return top.decorators[0]
    return top
