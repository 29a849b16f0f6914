"""HTML put together from values and then marked as safe."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary, words_of
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Style, TemplateError
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design, unsafe

_MARKUP = frozenset({"markupsafe.Markup", "flask.Markup", "jinja2.Markup", "jinja2.utils.Markup"})
_MARK_SAFE = frozenset({"django.utils.safestring.mark_safe", "django.utils.safestring.SafeString", "django.utils.safestring.SafeText"})
_IS_HTML = vocabulary(
    "html markup body content rendered widget svg xml inner template fragment safe icon attrs children output tag tags link"
)


class MarkupFormat(Transform):
    """Escapes the values, and nothing else."""

    name = "markup-format"
    cwe = frozenset({79, 80, 83, 87, 116})
    words = ("xss", "markup", "mark_safe", "cross-site", "mark-safe")
    summary = "Escape the values that are put into the markup"
    behaviour = "Markup in the values shows as text unless it is marked as safe itself."
    declines = "The markup is not put together in the call, or a value's name says that it is markup already."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `Markup("…%s" % x)` into `Markup("…{}").format(x)`, and `mark_safe` into `format_html`."""
        if not isinstance(node, cst.Call) or len(node.args) != 1 or node.args[0].star or node.args[0].keyword is not None:
            return False
        names = scene.names(node.func)
        if not names or not names <= _MARKUP | _MARK_SAFE:
            return False
        template = Template.of(node.args[0].value, scene)
        if template is None:
            raise needs_design("the markup comes from elsewhere; whether it is safe is decided there")
        if not template.holes:
            return False
        values = escaped_values(template)
        try:
            source = template.render(["{}"] * len(values), Style.braces)
        except TemplateError as error:
            raise unsafe(str(error)) from error
        argument = node.args[0].value
        if names <= _MARKUP:
            draft.replace(argument, source)
            draft.insert(scene.span(node).end, f".format({', '.join(values)})")
        else:
            draft.replace_func(node, draft.member("django.utils.html", "format_html", node))
            draft.replace(argument, source)
            draft.insert(scene.span(node.args[0]).end, ", " + ", ".join(values))
        return True


def escaped_values(template: Template) -> list[str]:
    """Return the sources of a template's values. Raises RefusedError where one of them may be markup already."""
    for hole in template.holes:
        if not hole.plain:
            raise unsafe(f"`{hole.code}` is put in with a format of its own")
        names = words_of(hole.code)
        if names & _IS_HTML or names & {"join", "escape", "render"}:
            raise ambiguous(f"`{hole.code}` seems to be markup already, or escaped")
    return [hole.code for hole in template.holes]
