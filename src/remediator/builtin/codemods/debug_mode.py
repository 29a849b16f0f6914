"""Debug mode that is left on."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, is_name
from remediator.builtin.codemods.setting_assignment import holds_settings, is_for_trial, setting_of
from remediator.builtin.codemods.transform import Transform, ambiguous

_FLASK_LIKE = ("flask", "quart", "bottle", "connexion", "dash", "flask_socketio")


class DebugMode(Transform):
    """Switches it off."""

    name = "debug-mode"
    cwe = frozenset({94, 95, 200, 209, 215, 489, 497, 1188, 1295})
    words = ("debug",)
    summary = "Switch debug mode off"
    behaviour = "Errors show a plain page instead of the debugger and its console, and the server does not reload itself when files change."
    declines = "The value is a variable, or the file or class is named as one for development or tests."
    nodes = (cst.Call, cst.Assign, cst.Arg)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `debug=True` into `debug=False`."""
        if isinstance(node, cst.Call):
            return self._run(node, scene, draft)
        setting = setting_of(node, scene)
        attribute = _debug_attribute(node, scene)
        if attribute is None and (setting is None or setting.name not in ("DEBUG", "TEMPLATE_DEBUG", "DEBUG_PROPAGATE_EXCEPTIONS")):
            return False
        value = attribute if attribute is not None else setting.value if setting is not None else None
        if not is_name(value, "True") or value is None:
            return False
        if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Name) and not holds_settings(scene, node):
            return False
        if is_for_trial(scene, node):
            raise ambiguous("the settings are named as those for development or tests")
        draft.replace(value, "False")
        return True

    def _run(self, node: cst.Call, scene: Scene, draft: Draft) -> bool:
        if not isinstance(node.func, cst.Attribute) or node.func.attr.value not in ("run", "run_server"):
            return False
        arg = argument(node, "debug")
        if arg is None or not is_name(arg.value, "True"):
            return False
        made = scene.made_by(node.func.value)
        known = scene.imports(*_FLASK_LIKE) or any(name.partition(".")[0] in _FLASK_LIKE for name in made)
        if not known and scene.code(node.func.value).rpartition(".")[2] not in ("app", "application", "server"):
            return False
        draft.replace(arg.value, "False")
        return True


def _debug_attribute(node: cst.CSTNode, scene: Scene) -> cst.BaseExpression | None:
    if isinstance(node, cst.Assign) and len(node.targets) == 1 and isinstance(node.targets[0].target, cst.Attribute):
        target = node.targets[0].target
        if target.attr.value == "debug" and scene.made_by(target.value) & {"flask.Flask", "quart.Quart"}:
            return node.value
    return None
