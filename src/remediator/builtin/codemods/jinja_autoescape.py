"""Jinja environments that escape nothing."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_ENVIRONMENTS = frozenset({"jinja2.Environment", "jinja2.environment.Environment"})


class JinjaAutoescape(Transform):
    """Escapes values in HTML and XML templates."""

    name = "jinja-autoescape"
    cwe = frozenset({79, 80, 94, 116, 1336})
    words = ("autoescape", "jinja")
    summary = "Escape values in HTML and XML templates"
    behaviour = (
        "Values in templates named .html, .htm or .xml, and in templates from strings, are escaped: markup in them shows as text "
        "unless it is marked as safe. Other templates stay as they are. Needs Jinja2 2.9 or later."
    )
    declines = "`autoescape` is a variable or a function, the environment has marks of its own, or arguments are unpacked."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give `autoescape=select_autoescape()`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) not in _ENVIRONMENTS:
            return False
        given = argument(node, "autoescape")
        if given is not None and not is_name(given.value, "False"):
            if is_name(given.value, "True") or (
                isinstance(given.value, cst.Call) and scene.name(given.value.func).endswith(".select_autoescape")
            ):
                return False
            raise ambiguous("whether values are escaped is decided elsewhere")
        if any(argument(node, name) is not None for name in ("block_start_string", "variable_start_string")):
            raise ambiguous("the environment has marks of its own, as for a language that is not HTML")
        if has_stars(node) or sum(arg.keyword is None for arg in node.args) > 12:
            raise unsafe("the arguments cannot all be seen")
        chooser = draft.member("jinja2", "select_autoescape", node) + "()"
        if given is not None:
            draft.replace(given.value, chooser)
        else:
            draft.add_argument(node, f"autoescape={chooser}")
        return True
