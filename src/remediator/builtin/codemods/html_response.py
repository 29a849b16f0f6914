"""Responses of HTML that is put together from values."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.markup_format import escaped_values
from remediator.builtin.codemods.scene import Scene, argument, has_stars
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Style, TemplateError
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_DJANGO = frozenset({"django.http.HttpResponse", "django.http.response.HttpResponse"})
_FLASK = frozenset({"flask.make_response", "flask.Response"})
_ROUTES = frozenset({"route", "get", "post", "put", "patch", "delete", "errorhandler"})


class HtmlResponse(Transform):
    """Escapes the values in a response."""

    name = "html-response"
    cwe = frozenset({79, 80, 81, 83, 85, 86, 87, 116})
    words = ("xss", "cross-site", "html")
    summary = "Escape the values that are put into the page"
    behaviour = "Markup in the values shows as text unless it is marked as safe itself."
    declines = "The response is not put together in the call or the return, is not HTML, or a value's name says that it is markup already."
    nodes = (cst.Call, cst.Return)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Wrap the text of a Django or Flask response in what escapes its values."""
        found = _body(node, scene)
        if found is None:
            return False
        body, django = found
        template = Template.of(body, scene)
        if template is None or not template.holes:
            return False
        if "<script" in template.value.lower() or template.value.lstrip()[:1] in ("{", "["):
            raise ambiguous("the response is, or holds, something other than HTML")
        values = escaped_values(template)
        if not django:
            return _escape_each(template, node, scene, draft)
        try:
            source = template.render(["{}"] * len(values), Style.braces)
        except TemplateError as error:
            raise unsafe(str(error)) from error
        draft.replace(body, f"{draft.member('django.utils.html', 'format_html', node)}({source}, {', '.join(values)})")
        return True


def _escape_each(template: Template, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
    escape = draft.member("markupsafe", "escape", node)
    for hole in template.holes:
        if hole.expression is None or scene.parent(hole.expression) is None:
            raise unsafe(f"`{hole.code}` does not stand in the code as such")
        code = f"{escape}({scene.code(hole.expression)})"
        # Beside a plus sign, escaped text would escape the text before it as well; as a plain string it does not.
        draft.replace(hole.expression, f"str({code})" if hole.is_text else code)
    return True


def _body(node: cst.CSTNode, scene: Scene) -> tuple[cst.BaseExpression, bool] | None:
    """Return the text of a response, and whether it is one of Django's."""
    if isinstance(node, cst.Call) and node.args and scene.name(node.func) in _DJANGO | _FLASK:
        first = argument(node, "content", 0) or argument(node, "response", 0)
        kinds = [argument(node, name) for name in ("content_type", "mimetype", "headers")]
        if has_stars(node) or any(kind is not None and not _is_html(kind.value) for kind in kinds):
            raise ambiguous("whether the response is HTML is decided elsewhere")
        return (first.value, scene.name(node.func) in _DJANGO) if first is not None else None
    if isinstance(node, cst.Return) and node.value is not None and scene.imports("flask") and _is_view(node, scene):
        return node.value, False
    return None


def _is_html(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.SimpleString) and str(node.evaluated_value).startswith("text/html")


def _is_view(node: cst.Return, scene: Scene) -> bool:
    around = scene.function(node)
    decorators = [item.decorator for item in around.decorators] if around is not None else []
    return any(
        isinstance(item, cst.Call) and isinstance(item.func, cst.Attribute) and item.func.attr.value in _ROUTES for item in decorators
    )
