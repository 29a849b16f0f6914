"""A setting, however a web application writes it: `NAME = …`, `config["NAME"] = …`, `config.NAME = …` or `update(NAME=…)`."""

from __future__ import annotations

import re
from typing import NamedTuple

import libcst as cst

from remediator.builtin.codemods.scene import Scene

_TRIAL = re.compile(
    r"(?:^|[/_.-])(?:dev|devel|development|local|test|tests|testing|debug|ci|example|examples|sandbox|demo)(?:[/_.-]|$)", re.IGNORECASE
)
_SETTINGS = re.compile(r"(?:^|[/_])(?:settings|config|conf|configuration|defaults|production|prod|base|common)(?:[/_.]|$)", re.IGNORECASE)


class Setting(NamedTuple):
    """One setting's name and the expression that it is set to."""

    name: str
    value: cst.BaseExpression


def setting_of(node: cst.CSTNode, scene: Scene) -> Setting | None:
    """Return the setting that an assignment or a keyword argument sets."""
    if isinstance(node, cst.Assign) and len(node.targets) == 1:
        name = _target(node.targets[0].target, scene)
        return Setting(name, node.value) if name else None
    if isinstance(node, cst.Arg) and node.keyword is not None and _is_update(scene.parent(node)):
        return Setting(node.keyword.value, node.value)
    return None


def _target(target: cst.BaseExpression, scene: Scene) -> str:
    if isinstance(target, cst.Name):
        # A variable of a function is no setting; one of a module or a configuration class may be.
        around = scene.function(target)
        return target.value if around is None else ""
    if isinstance(target, cst.Subscript) and _ends_in_config(target.value) and len(target.slice) == 1:
        index = target.slice[0].slice
        if isinstance(index, cst.Index) and isinstance(index.value, cst.SimpleString) and isinstance(index.value.evaluated_value, str):
            return index.value.evaluated_value
    if isinstance(target, cst.Attribute) and _ends_in_config(target.value):
        return target.attr.value
    return ""


def _ends_in_config(node: cst.BaseExpression) -> bool:
    last = node.attr.value if isinstance(node, cst.Attribute) else node.value if isinstance(node, cst.Name) else ""
    return last in ("config", "settings", "conf")


def _is_update(node: cst.CSTNode | None) -> bool:
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return False
    return node.func.attr.value in ("update", "from_mapping") and _ends_in_config(node.func.value)


def holds_settings(scene: Scene, node: cst.CSTNode) -> bool:
    """Return whether a bare name may be a setting at all: by the file's name, or since it stands in a class."""
    return bool(_SETTINGS.search(scene.path)) or scene.class_of(node) is not None


def is_for_trial(scene: Scene, node: cst.CSTNode) -> bool:
    """Return whether a file or class is named as one for development or tests."""
    around = scene.class_of(node)
    return bool(_TRIAL.search(scene.path) or (around is not None and re.search(r"dev|test|local|debug", around.name.value, re.IGNORECASE)))
