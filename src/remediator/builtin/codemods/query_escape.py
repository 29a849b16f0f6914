"""LDAP filters and XPath queries put together from values."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary, words_of
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Style, TemplateError
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design, unsafe

_LDAP_METHODS = vocabulary("search search_s search_st search_ext search_ext_s")


class LdapEscape(Transform):
    """Escapes the values in an LDAP filter."""

    name = "ldap-escape"
    cwe = frozenset({74, 90})
    words = ("ldap",)
    summary = "Escape the values in the LDAP filter"
    behaviour = "Stars, parentheses and backslashes in the values are searched for as such."
    declines = "A value stands where a piece of the filter is expected, or the file imports no LDAP client."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Wrap each value in `escape_filter_chars`."""
        if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute) or node.func.attr.value not in _LDAP_METHODS:
            return False
        module = "ldap.filter" if scene.imports("ldap") else "ldap3.utils.conv" if scene.imports("ldap3") else ""
        if not module:
            return False
        found = False
        for arg in node.args:
            template = Template.of(arg.value, scene)
            if template is None or not template.holes or not template.value.lstrip().startswith("("):
                continue
            found = True
            parts = template.value.split("\0")
            for number, hole in enumerate(template.holes):
                if hole.expression is None or not hole.plain or words_of(hole.code) & {"filter", "escape", "query", "base"}:
                    raise ambiguous(f"`{hole.code}` may be a piece of the filter, or escaped already")
                if not parts[number].rstrip("*").endswith("="):
                    raise needs_design(f"`{hole.code}` does not stand for a value of the filter")
                escape = draft.member(module, "escape_filter_chars", node)
                draft.replace(hole.expression, f"{escape}({scene.code(hole.expression)})")
        return found


class XpathVariables(Transform):
    """Hands the values over beside the query."""

    name = "xpath-variables"
    cwe = frozenset({74, 91, 643})
    words = ("xpath",)
    summary = "Hand values over beside the XPath query"
    behaviour = "Quotation marks in the values are searched for as such."
    declines = "The file does not import lxml, or a value does not stand between quotation marks."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `xpath("//a[b='%s']" % x)` into `xpath("//a[b=$value]", value=x)`."""
        if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute) or node.func.attr.value != "xpath" or not node.args:
            return False
        first = node.args[0]
        template = Template.of(first.value, scene)
        if first.keyword is not None or first.star or template is None or not template.holes:
            return False
        if not scene.imports("lxml") or has_stars(node) or argument(node, "smart_strings") is not None:
            raise ambiguous("whether this is lxml's xpath, which takes variables, is not known")
        parts = template.value.split("\0")
        holes = template.holes
        for number, hole in enumerate(holes):
            if not hole.plain or parts[number][-1:] not in ("'", '"') or parts[number][-1:] != parts[number + 1][:1]:
                raise needs_design(f"`{hole.code}` does not stand for a text of the query")
        names = [f"value{number or ''}" for number in range(len(holes))]
        if {arg.keyword.value for arg in node.args if arg.keyword is not None} & set(names) or "$value" in template.value:
            raise unsafe("the query has variables of these names already")
        try:
            source = template.render([f"${name}" for name in names], Style.plain, unquoted=dict.fromkeys(range(len(holes)), ("", "")))
        except TemplateError as error:
            raise unsafe(str(error)) from error
        draft.replace(first.value, source)
        given = ", ".join(f"{name}={hole.text_code}" for name, hole in zip(names, holes, strict=True))
        draft.insert(scene.span(first).end, ", " + given)
        return True
