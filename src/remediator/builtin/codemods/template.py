"""A string put together from literals and values: `%`, `format`, f-strings and `+`, seen as one thing and written anew in place."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import libcst as cst

from remediator.builtin.codemods.scene import Scene, Span
from remediator.builtin.codemods.template_parts import Hole, Leaf, Style, TemplateError, Text, plain_raw, styled
from remediator.builtin.codemods.template_reader import TemplateReader


class Template:
    """The parts of a string expression, in order."""

    def __init__(self, scene: Scene, node: cst.BaseExpression, parts: Sequence[Text | Hole], span: Span) -> None:
        self.scene = scene
        self.node = node
        self.parts = tuple(parts)
        self.span = span

    @property
    def holes(self) -> tuple[Hole, ...]:
        """Return the parts that come from values."""
        return tuple(part for part in self.parts if isinstance(part, Hole))

    @property
    def value(self) -> str:
        """Return the text with a NUL for each hole."""
        return "".join(part.value if isinstance(part, Text) else "\0" for part in self.parts)

    @classmethod
    def of(cls, node: cst.BaseExpression, scene: Scene) -> Template | None:
        """Return the template that an expression is, or None where it is none, or one that is not understood."""
        try:
            parts, end = TemplateReader(scene).read(node)
        except TemplateError:
            return None
        texts = [part.value for part in parts if isinstance(part, Text)]
        if not texts or any("\0" in text for text in texts):
            return None
        return cls(scene, node, parts, Span(scene.span(node).start, end))

    def render(self, markers: Sequence[str], style: Style, *, unquoted: Mapping[int, tuple[str, str]] | None = None) -> str:
        """Return the source of the literal that has `markers` in place of the holes, laid out as the template was.

        `unquoted` names holes whose quotation marks go away, and with them what stands between mark and hole on either side.
        Raises TemplateError where this is not certain.
        """
        bodies, expected = self._fill(markers, style, unquoted or {})
        source = self._lay_out(bodies)
        try:
            found = ast.literal_eval(f"({source}\n)")
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise TemplateError("the string cannot be written anew in place") from error
        if found != expected:
            raise TemplateError("the string cannot be written anew in place")
        return source

    def _fill(self, markers: Sequence[str], style: Style, unquoted: Mapping[int, tuple[str, str]]) -> tuple[dict[Leaf, str], str]:
        """Return the new text between each token's quotes, and what all of them together must say."""
        leaves = list(dict.fromkeys(part.leaf for part in self.parts if part.leaf is not None))
        bodies = dict.fromkeys(leaves, "")
        expected: list[str] = []
        current = leaves[0]
        number = -1
        for part in self.parts:
            current = part.leaf or current
            if isinstance(part, Hole):
                number += 1
                raw = value = markers[number]
            else:
                raw, value = plain_raw(self.scene.text[part.span.start : part.span.end], part.style), part.value
                if value and number in unquoted:
                    after = unquoted[number][1]
                    raw, value = re.sub(rf"^{re.escape(after)}\\?['\"]", "", raw), value[len(after) + 1 :]
                if value and number + 1 in unquoted and self._is_before_hole(part):
                    before = unquoted[number + 1][0]
                    raw, value = re.sub(rf"\\?['\"]{re.escape(before)}$", "", raw), value[: len(value) - len(before) - 1]
                raw, value = styled(raw, style), styled(value, style)
            bodies[current] += raw
            expected.append(value)
        return bodies, "".join(expected)

    def _is_before_hole(self, part: Text) -> bool:
        index = next(number for number, other in enumerate(self.parts) if other is part)
        return index + 1 < len(self.parts) and isinstance(self.parts[index + 1], Hole)

    def _lay_out(self, bodies: dict[Leaf, str]) -> str:
        leaves = list(bodies)
        text = self.scene.text
        lead = text[self.span.start : leaves[0].span.start]
        tail = text[leaves[-1].span.end : self.span.end]
        out = [lead if not lead.strip("( \t\r\n") and not self._is_sum() else "", _kept(leaves[0]), leaves[0].quote, bodies[leaves[0]]]
        for before, after in pairwise(leaves):
            glue = self._glue(before, after)
            if glue is not None:
                out += [before.quote, glue, _kept(after), after.quote]
            out.append(bodies[after])
        return "".join([*out, leaves[-1].quote, "" if self._is_sum() else tail])

    def _glue(self, before: Leaf, after: Leaf) -> str | None:
        """Return what stands between two tokens from now on; None makes them one."""
        between = self.scene.text[before.span.end : after.span.start]
        if not between.strip():
            return between
        if not self._is_sum() or "#" in between:
            raise TemplateError("something stands between the parts of the string")
        if "\n" not in between and "\r" not in between:
            same = (_kept(before), before.quote) == (_kept(after), after.quote)
            return None if same else " "
        continued = re.search(r"\\[ \t]*(\r\n?|\n)", between)
        return (" \\" if continued else "") + self.scene.lines.newline() + _indent(between)

    def _is_sum(self) -> bool:
        return isinstance(self.node, cst.BinaryOperation) and isinstance(self.node.operator, cst.Add)


def _indent(between: str) -> str:
    line = re.split(r"\r\n?|\n", between)[-1]
    return line[: len(line) - len(line.lstrip())]


def _kept(leaf: Leaf) -> str:
    return "".join(char for char in leaf.prefix if char not in "fF")
