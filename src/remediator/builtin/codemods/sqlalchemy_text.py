"""sqlalchemy.text put together from strings and values."""

from __future__ import annotations

import re

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.sql_places import value_places
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Style, TemplateError
from remediator.builtin.codemods.transform import Transform, needs_model, unsafe

_TEXT = frozenset({"sqlalchemy.text", "sqlalchemy.sql.text", "sqlalchemy.sql.expression.text"})


class SqlalchemyText(Transform):
    """Binds the values to the text."""

    name = "sqlalchemy-text"
    cwe = frozenset({20, 74, 89, 564, 943})
    words = ("sql",)
    summary = "Bind values to the SQL text, not into it"
    behaviour = "The driver quotes the values: text with quotation marks now works and None is NULL."
    declines = (
        "A value stands for a table, a column or a piece of SQL, is escaped or formatted in its own way, "
        "or the text has parameters already."
    )

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `text("… %s" % x)` into `text("… :value").bindparams(value=x)`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) not in _TEXT or not node.args:
            return False
        first = node.args[0]
        if len(node.args) > 1 or first.star or first.keyword is not None:
            raise unsafe("the text has more arguments than one")
        template = Template.of(first.value, scene)
        if template is None:
            raise needs_model("the text is put together in a way that is not understood")
        if not template.holes:
            return False
        if re.search(r"(?<!:):\w|\\", template.value):
            raise unsafe("the text has parameters of its own")
        unquoted, values = value_places(template, doubly="")
        names = [f"value_{number}" if len(values) > 1 else "value" for number in range(1, len(values) + 1)]
        try:
            source = template.render([f":{name}" for name in names], Style.plain, unquoted=unquoted)
        except TemplateError as error:
            raise unsafe(str(error)) from error
        draft.replace_span(scene.span(first.value), source)
        given = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        draft.insert(scene.span(node).end, f".bindparams({given})")
        return True
