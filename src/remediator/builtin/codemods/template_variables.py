"""Flask templates put together from values before they are rendered."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, has_stars
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Style, TemplateError
from remediator.builtin.codemods.transform import Transform, needs_design, unsafe


class TemplateVariables(Transform):
    """Hands the values to the template."""

    name = "template-variables"
    cwe = frozenset({74, 79, 94, 95, 96, 1336})
    words = ("template injection", "ssti", "render_template_string", "render-template-string")
    summary = "Hand values to the template instead of writing them into it"
    behaviour = "Template code in the values is shown, not run, and markup in them is escaped."
    declines = "The template is not a literal with values in it, or a value is formatted in its own way."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `render_template_string("… %s" % x)` into `render_template_string("… {{ value }}", value=x)`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) not in ("flask.render_template_string", "quart.render_template_string"):
            return False
        if not node.args or node.args[0].star or node.args[0].keyword is not None:
            return False
        template = Template.of(node.args[0].value, scene)
        if template is None:
            raise needs_design("the template comes from elsewhere")
        if not template.holes:
            return False
        if any(_is_inside_code(before) for before in _before_holes(template.value)):
            raise needs_design("a value stands inside of a script or of template code, where escaping does not protect it")
        if has_stars(node) or any(not hole.plain for hole in template.holes):
            raise unsafe("the values are formatted, or the context is unpacked, in a way that a template may not repeat")
        taken = {arg.keyword.value for arg in node.args if arg.keyword is not None}
        names = [f"value_{number}" if len(template.holes) > 1 else "value" for number in range(1, len(template.holes) + 1)]
        if taken & set(names):
            raise unsafe("the template's context uses the same names already")
        try:
            source = template.render([f"{{{{ {name} }}}}" for name in names], Style.plain)
        except TemplateError as error:
            raise unsafe(str(error)) from error
        draft.replace(node.args[0].value, source)
        given = ", ".join(f"{name}={hole.code}" for name, hole in zip(names, template.holes, strict=True))
        draft.insert(scene.span(node.args[0]).end, ", " + given)
        return True


def _before_holes(text: str) -> list[str]:
    return [text[:index].lower() for index, char in enumerate(text) if char == "\0"]


def _is_inside_code(before: str) -> bool:
    pairs = (("{{", "}}"), ("{%", "%}"), ("{#", "#}"), ("<script", "</script"), ("<style", "</style"))
    return any(before.count(opening) > before.count(closing) for opening, closing in pairs)
