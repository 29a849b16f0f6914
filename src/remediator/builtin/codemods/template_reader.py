"""Reads the parts of a string expression out of the tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import libcst as cst

from remediator.builtin.codemods.scene import Scene, Span, dotted
from remediator.builtin.codemods.template_parts import Hole, Leaf, Style, TemplateError, Text, plain_raw

_PERCENT = re.compile(r"%(?:\((?P<key>[^()]*)\))?(?P<flags>[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?)(?P<type>[diouxXeEfFgGcrsa%])")
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}!:]*)(?:!(?P<conv>[rsa]))?(?::(?P<spec>[^{}]*))?\}")


class TemplateReader:
    """Reads the parts of an expression. Raises TemplateError where it is not understood."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def read(self, node: cst.BaseExpression) -> tuple[list[Text | Hole], int]:
        """Return the parts, and where the text that stays ends."""
        end = self._scene.span(node).end
        if isinstance(node, cst.SimpleString | cst.FormattedString | cst.ConcatenatedString):
            return [part for leaf in _tokens(node) for part in self._token(leaf)], end
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Modulo):
            return self._percent(node), self._scene.span(node).start + len(self._scene.code(node.left))
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "format":
            return self._format(node, node.func.value), self._scene.span(node).start + len(self._scene.code(node.func.value))
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            return self._sum(node), end
        raise TemplateError("not a string expression")

    def _sum(self, node: cst.BinaryOperation) -> list[Text | Hole]:
        parts: list[Text | Hole] = []
        for operand in _operands(node):
            if isinstance(operand, cst.SimpleString | cst.FormattedString | cst.ConcatenatedString):
                parts += self.read(operand)[0]
            else:
                code, expression = _without_str(operand, self._scene)
                span = self._scene.span(operand)
                whole = self._scene.code(operand)
                lead = len(whole) - len(whole.lstrip("("))
                place = Span(span.start - lead, span.start - lead + len(whole))
                parts.append(Hole(code, expression, place, None, True, is_text=code == whole))
        return parts

    def _token(self, node: cst.SimpleString | cst.FormattedString) -> list[Text | Hole]:
        leaf = self._leaf(node)
        if isinstance(node, cst.SimpleString):
            return [self._text(leaf, leaf.body, Style.plain)]
        parts: list[Text | Hole] = []
        for part in node.parts:
            span = self._scene.span(part)
            if isinstance(part, cst.FormattedStringText):
                parts.append(self._text(leaf, span, Style.braces))
            elif isinstance(part, cst.FormattedStringExpression):
                plain = part.conversion in (None, "s") and part.format_spec is None and part.equal is None
                code, expression = _without_str(part.expression, self._scene)
                parts.append(Hole(code, expression, span, leaf, plain))
        return parts or [Text("", leaf.body, leaf, Style.braces)]

    def _leaf(self, node: cst.SimpleString | cst.FormattedString) -> Leaf:
        span = self._scene.span(node)
        text = self._scene.text[span.start : span.end]
        prefix = re.match(r"[A-Za-z]*", text)
        assert prefix is not None
        if "b" in prefix.group().lower():
            raise TemplateError("bytes")
        rest = text[prefix.end() :]
        quote = rest[:3] if rest[:3] in ('"""', "'''") else rest[:1]
        body = Span(span.start + prefix.end() + len(quote), span.end - len(quote))
        return Leaf(span, body, prefix.group(), quote)

    def _text(self, leaf: Leaf, span: Span, style: Style) -> Text:
        raw = plain_raw(self._scene.text[span.start : span.end], style)
        prefix = "".join(char for char in leaf.prefix if char in "rR")
        try:
            value = ast.literal_eval(f"{prefix}{leaf.quote}{raw}{leaf.quote}") if raw else ""
        except (SyntaxError, ValueError) as error:
            raise TemplateError("a part of the string is not one by itself") from error
        return Text(value, span, leaf, style)

    def _split(self, node: cst.BaseExpression, pattern: re.Pattern[str], style: Style) -> Iterator[Text | tuple[re.Match[str], Leaf, int]]:
        """Yield the fixed texts and the placeholders of a format string, token by token."""
        if not isinstance(node, cst.SimpleString | cst.ConcatenatedString):
            raise TemplateError("the format is not a literal")
        for token in _tokens(node):
            if not isinstance(token, cst.SimpleString):
                raise TemplateError("the format is an f-string")
            leaf = self._leaf(token)
            raw = self._scene.text[leaf.body.start : leaf.body.end]
            position = 0
            for match in pattern.finditer(raw):
                if match.group() in ("%%", "{{", "}}"):
                    continue
                yield self._text(leaf, Span(leaf.body.start + position, leaf.body.start + match.start()), style)
                yield match, leaf, leaf.body.start
                position = match.end()
            tail = pattern.sub(lambda match: "" if match.group() in ("%%", "{{", "}}") else match.group(), raw[position:])
            if any(char in tail for char in ("%" if style is Style.percent else "{}")):
                raise TemplateError("a placeholder is not understood")
            yield self._text(leaf, Span(leaf.body.start + position, leaf.body.end), style)

    def _percent(self, node: cst.BinaryOperation) -> list[Text | Hole]:
        values = _PercentValues(node.right, self._scene)
        parts: list[Text | Hole] = []
        for item in self._split(node.left, _PERCENT, Style.percent):
            if isinstance(item, Text):
                parts.append(item)
                continue
            match, leaf, start = item
            code, expression = values.take(match.group("key"))
            plain = match.group("type") in "sd" and not match.group("flags")
            parts.append(Hole(code, expression, Span(start + match.start(), start + match.end()), leaf, plain, match.group("type")))
        values.done()
        return parts

    def _format(self, call: cst.Call, literal: cst.BaseExpression) -> list[Text | Hole]:
        values = _FormatValues(call, self._scene)
        parts: list[Text | Hole] = []
        for item in self._split(literal, _BRACES, Style.braces):
            if isinstance(item, Text):
                parts.append(item)
                continue
            match, leaf, start = item
            code, expression = values.take(match.group("field").strip())
            plain = match.group("conv") in (None, "s") and not match.group("spec")
            parts.append(Hole(code, expression, Span(start + match.start(), start + match.end()), leaf, plain))
        return parts


_Value = tuple[str, cst.BaseExpression | None]


class _PercentValues:
    """The right-hand side of `%`."""

    def __init__(self, node: cst.BaseExpression, scene: Scene) -> None:
        self._scene = scene
        self._node = node
        self._left: list[cst.BaseExpression] | None = None
        if isinstance(node, cst.Tuple):
            if any(not isinstance(item, cst.Element) for item in node.elements):
                raise TemplateError("a starred value")
            self._left = [item.value for item in node.elements]
        elif not isinstance(node, cst.Dict) and not _is_locals(node):
            value = scene.value_of(node)
            if isinstance(value, cst.Tuple | cst.Dict):
                raise TemplateError("the values stand elsewhere")
            self._left = [node]

    def take(self, key: str | None) -> _Value:
        """Return the next value, or the one with a key."""
        if key is None:
            if not self._left:
                raise TemplateError("fewer values than places")
            return _without_str(self._left.pop(0), self._scene)
        if isinstance(self._node, cst.Dict):
            for item in self._node.elements:
                if isinstance(item, cst.DictElement) and isinstance(item.key, cst.SimpleString) and item.key.evaluated_value == key:
                    return _without_str(item.value, self._scene)
            raise TemplateError("a key that is not there")
        return _keyed(self._node, key, self._scene, self)

    def drop(self) -> None:
        """Say that the values are used by key."""
        self._left = []

    def done(self) -> None:
        """Check that nothing is left over."""
        if self._left:
            raise TemplateError("more values than places")


def _keyed(node: cst.BaseExpression, key: str, scene: Scene, values: _PercentValues) -> _Value:
    values.drop()
    if _is_locals(node) and key.isidentifier():
        return key, cst.Name(key)
    if not dotted(node) or not key.isidentifier():
        raise TemplateError("values by key out of an expression")
    return f'{scene.code(node)}["{key}"]', None


def _is_locals(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value == "locals"


class _FormatValues:
    """The arguments of `format`."""

    def __init__(self, call: cst.Call, scene: Scene) -> None:
        self._scene = scene
        self._locals = any(arg.star == "**" and _is_locals(arg.value) for arg in call.args)
        if any(arg.star and not (arg.star == "**" and _is_locals(arg.value)) for arg in call.args):
            raise TemplateError("starred arguments")
        self._positional = [arg.value for arg in call.args if arg.keyword is None and not arg.star]
        self._named = {arg.keyword.value: arg.value for arg in call.args if arg.keyword is not None}
        self._next = 0

    def take(self, field: str) -> _Value:
        """Return the value of a field."""
        if not field or field.isdigit():
            index = int(field[:6]) if field else self._next
            self._next += 1
            if index >= len(self._positional):
                raise TemplateError("a place without a value")
            return _without_str(self._positional[index], self._scene)
        if field in self._named:
            return _without_str(self._named[field], self._scene)
        if self._locals and field.isidentifier():
            return field, cst.Name(field)
        raise TemplateError("a field that is not a plain name")


def _without_str(node: cst.BaseExpression, scene: Scene) -> _Value:
    if isinstance(node, cst.Call) and len(node.args) == 1 and scene.name(node.func) == "builtins.str":
        inner = node.args[0]
        if inner.keyword is None and not inner.star:
            return scene.code(inner.value), inner.value
    return scene.code(node), node


def _tokens(node: cst.BaseExpression) -> Iterator[cst.SimpleString | cst.FormattedString]:
    if isinstance(node, cst.ConcatenatedString):
        yield from _tokens(node.left)
        yield from _tokens(node.right)
    elif isinstance(node, cst.SimpleString | cst.FormattedString):
        yield node
    else:
        raise TemplateError("not a literal")


def _operands(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        yield from _operands(node.left)
        yield from _operands(node.right)
    else:
        yield node
