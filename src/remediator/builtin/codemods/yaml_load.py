"""yaml.load that makes any object."""

from __future__ import annotations

import re

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_SAFE = {"load": "safe_load", "load_all": "safe_load_all"}
_ALIASES = {
    "full_load": "safe_load",
    "unsafe_load": "safe_load",
    "full_load_all": "safe_load_all",
    "unsafe_load_all": "safe_load_all",
}
# The position at which each takes its loader.
_TEACHERS = {
    "yaml.add_constructor": 2,
    "yaml.add_multi_constructor": 2,
    "yaml.add_implicit_resolver": 3,
    "yaml.add_path_resolver": 3,
}
_COPY = re.compile(r"^[\w.]*\b(?:packages|compat|_?vendor(?:ed)?|extern(?:al)?s?|libs?|third_?party)\.(?:\w+\.)?yaml[23]?\.")
_UNSAFE_LOADERS = frozenset({"Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader", "CUnsafeLoader"})
_SAFE_LOADERS = frozenset({"SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader"})


class YamlSafeLoad(Transform):
    """Loads plain data only."""

    name = "yaml-safe-load"
    cwe = frozenset({20, 94, 502, 915})
    words = ("yaml",)
    summary = "Load YAML as plain data only"
    behaviour = "Documents with Python tags (`!!python/…`) are now refused with a ConstructorError; plain YAML loads as before."
    declines = (
        "The loader is a class of the project's own, a variable, or comes in by `**kwargs`, "
        "or the file teaches the default loader tags of its own."
    )

    nodes = (cst.Call, cst.Attribute, cst.Name)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `load` into `safe_load`, and drop the loader."""
        if isinstance(node, cst.Attribute | cst.Name):
            return self._reference(node, scene, draft)
        if not isinstance(node, cst.Call):
            return False
        function = _one_name(scene.names(node.func))
        module, _, member = function.rpartition(".")
        if function == "ruamel.yaml.YAML":
            return self._kind(node, draft)
        if module not in ("yaml", "ruamel.yaml") or member not in (_SAFE | _ALIASES):
            return False
        if _teaches_default_loader(scene):
            raise unsafe("the file teaches the default loader tags of its own, which the safe one would not know")
        if member in _ALIASES:
            draft.replace_func(node, draft.sibling(node.func, _ALIASES[member]))
            return True
        if has_stars(node):
            raise unsafe("the call unpacks its arguments, so that its loader cannot be seen")
        loader = argument(node, "Loader", 1)
        if loader is not None and not self._is_unsafe(loader, scene):
            return False
        if len(node.args) > (1 if loader is None else 2):
            raise unsafe("the call has arguments that yaml.load does not know")
        draft.replace_func(node, draft.sibling(node.func, _SAFE[member]))
        if loader is not None:
            draft.remove_argument(node, loader)
            draft.release(loader.value)
        return True

    def _reference(self, node: cst.Attribute | cst.Name, scene: Scene, draft: Draft) -> bool:
        """Hand on the safe function where the unsafe one is handed on: as a default, an argument or another name for it."""
        member = _one_name(scene.names(node)).removeprefix("yaml.")
        parent = scene.parent(node)
        if member not in _SAFE or not isinstance(parent, cst.Param | cst.Arg | cst.Assign | cst.DictElement):
            return False
        if any(isinstance(other, cst.Arg) and other.keyword is not None and other.keyword.value == "Loader" for other in scene.nodes()):
            raise ambiguous("the function is handed on, and somewhere in the file a loader is chosen")
        if _teaches_default_loader(scene):
            raise unsafe("the file teaches the default loader tags of its own, which the safe one would not know")
        draft.replace(node, draft.sibling(node, _SAFE[member]))
        draft.release(node)
        return True

    def _kind(self, node: cst.Call, draft: Draft) -> bool:
        kind = argument(node, "typ", 0)
        if kind is None or not isinstance(kind.value, cst.SimpleString) or kind.value.evaluated_value != "unsafe":
            return False
        draft.replace(kind.value, '"safe"')
        return True

    def _is_unsafe(self, loader: cst.Arg, scene: Scene) -> bool:
        names = scene.names(loader.value)
        members = {name.rpartition(".")[2] for name in names}
        if members and members <= _SAFE_LOADERS:
            return False
        if members and members <= _UNSAFE_LOADERS and all(_COPY.sub("yaml.", name).startswith(("yaml.", "ruamel.yaml.")) for name in names):
            return True
        raise ambiguous(f"the loader `{scene.code(loader.value)}` is not one of PyYAML's own")


def _one_name(names: frozenset[str]) -> str:
    """Return the one name of a function, where a copy of PyYAML that a project brings along counts as PyYAML."""
    found = {_COPY.sub("yaml.", name) for name in names}
    return found.pop() if len(found) == 1 else ""


def _teaches_default_loader(scene: Scene) -> bool:
    """Return whether the file registers constructors or resolvers without naming the safe loader, or classes that do."""
    for node in scene.nodes():
        if isinstance(node, cst.Call) and scene.name(node.func) in _TEACHERS:
            loader = argument(node, "Loader", _TEACHERS[scene.name(node.func)])
            if loader is None or "Safe" not in scene.code(loader.value):
                return True
        if isinstance(node, cst.ClassDef) and any(scene.name(base.value) == "yaml.YAMLObject" for base in node.bases):
            return True
    return False
