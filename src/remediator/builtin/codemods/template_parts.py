"""What a string expression consists of: fixed texts, values, and the tokens that hold them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import libcst as cst

from remediator.builtin.codemods.scene import Span


class Style(StrEnum):
    """How a literal writes the characters that its kind of template uses itself."""

    plain = "plain"
    percent = "percent"
    braces = "braces"


class Leaf(NamedTuple):
    """One string token. `body` is what stands between its quotes."""

    span: Span
    body: Span
    prefix: str
    quote: str


class Text(NamedTuple):
    """A fixed part: what it says, and where."""

    value: str
    span: Span
    leaf: Leaf
    style: Style


class Hole(NamedTuple):
    """A part that comes from a value: the source of its expression, and where it is put in.

    `plain` says that the value is put in as `str()` gives it. `leaf` is the token that holds the place, None between `+` signs.
    `is_text` says that the value must be a string already.
    """

    code: str
    expression: cst.BaseExpression | None
    span: Span
    leaf: Leaf | None
    plain: bool
    type: str = "s"
    is_text: bool = False

    @property
    def text_code(self) -> str:
        """Return the source of the value as a string."""
        return self.code if self.is_text else f"str({self.code})"


class TemplateError(ValueError):
    """This template cannot be rewritten with certainty."""


def plain_raw(raw: str, style: Style) -> str:
    """Return the raw text of a fixed part, freed of what its kind of template doubles."""
    if style is Style.percent:
        return raw.replace("%%", "%")
    return raw.replace("{{", "{").replace("}}", "}") if style is Style.braces else raw


def styled(text: str, style: Style) -> str:
    """Return a fixed text with doubled what a kind of template uses itself."""
    if style is Style.percent:
        return text.replace("%", "%%")
    return text.replace("{", "{{").replace("}", "}}") if style is Style.braces else text
