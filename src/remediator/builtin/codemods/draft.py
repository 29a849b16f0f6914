"""A change in the making: small replacements of text, and the imports that they need or leave behind."""

from __future__ import annotations

from typing import NamedTuple

import libcst as cst
from libcst.metadata import ImportAssignment

from remediator.builtin.codemods.import_edits import MissingImports, import_statement_text, last_alias_from, local_name, member_local_name
from remediator.builtin.codemods.scene import Scene, Span, bound_name, dotted, import_of


class Edit(NamedTuple):
    """Replace what stands in `span` by `text`."""

    span: Span
    text: str


class OverlapError(ValueError):
    """Two replacements want the same text."""


class Draft:
    """Collects the edits of one transform. Everything outside of them stays as it is, byte for byte."""

    def __init__(self, scene: Scene, *, variant: int = 0, cwe: frozenset[int] = frozenset()) -> None:
        self.scene = scene
        self.variant = variant
        self.cwe = cwe
        self.edits: list[Edit] = []
        self.released: set[str] = set()
        self.behaviour = ""
        self._missing = MissingImports()
        self._touched: set[tuple[cst.ImportAlias, str]] = set()

    def fork(self) -> Draft:
        """Return a copy to try something on."""
        other = Draft(self.scene, variant=self.variant, cwe=self.cwe)
        other.edits = list(self.edits)
        other.released = set(self.released)
        other.behaviour = self.behaviour
        other._missing = self._missing.copy()
        other._touched = set(self._touched)
        return other

    # -- text

    def replace_span(self, span: Span, text: str) -> None:
        """Replace a part of the text. The same edit twice is one; raises OverlapError where two edits meet."""
        edit = Edit(span, text)
        if edit in self.edits and span.start != span.end:
            return
        if any(span.overlaps(other.span) for other in self.edits):
            raise OverlapError(f"two edits meet at offset {span.start}")
        self.edits.append(edit)

    def replace(self, node: cst.CSTNode, text: str) -> None:
        """Replace a node, keeping the parentheses around it."""
        self.replace_span(self.scene.span(node), text)

    def insert(self, offset: int, text: str) -> None:
        """Insert text."""
        self.replace_span(Span(offset, offset), text)

    def replace_func(self, call: cst.Call, text: str) -> None:
        """Call something else with the same arguments."""
        self.replace(call.func, text)
        self.release(call.func)

    # -- arguments

    def remove_argument(self, call: cst.Call, arg: cst.Arg) -> None:
        """Remove one argument with its comma."""
        index = call.args.index(arg)
        span = self.scene.span(arg)
        text = self.scene.text
        following = call.args[index + 1] if index + 1 < len(call.args) else None
        if index > 0:
            between = Span(self.scene.span(call.args[index - 1]).end, span.start)
            if "#" not in text[between.start : between.end]:
                self.replace_span(Span(between.start, span.end), "")
                return
        if following is not None:
            self.replace_span(Span(span.start, self.scene.span(following).start), "")
            return
        end = span.end
        if isinstance(arg.comma, cst.Comma):
            end = text.index(",", span.end) + 1
        self.replace_span(Span(span.start, end), "")

    def add_argument(self, call: cst.Call, text: str) -> None:
        """Append one keyword argument, in the layout of the call."""
        closing = self.scene.span(call).end - 1
        if not call.args:
            self.insert(closing, text)
            return
        last = call.args[-1]
        end = self.scene.span(last).end
        start = self.scene.span(last).start
        alone = not self.scene.text[self.scene.lines.start_of_line(start) : start].strip()
        separator = self.scene.lines.newline() + self.scene.indent(last) if alone and len(call.args) > 1 else " "
        if not isinstance(last.comma, cst.Comma):
            self.insert(end, "," + separator + text)
            return
        after = self.scene.text.index(",", end) + 1
        rest = self.scene.text[after : self.scene.lines.end_of_line(after)]
        if alone and rest.lstrip().startswith("#") and rest.endswith(("\n", "\r")):
            newline = self.scene.lines.newline()
            self.insert(after + len(rest), f"{self.scene.indent(last)}{text},{newline}")
        elif alone:
            self.insert(after, f"{self.scene.lines.newline()}{self.scene.indent(last)}{text},")
        else:
            self.insert(after, " " + text)

    def takes_another(self, call: cst.Call) -> bool:
        """Return whether a keyword argument can be appended to a call."""
        return not any(isinstance(arg.value, cst.GeneratorExp) and not arg.value.lpar for arg in call.args)

    # -- statements

    def stands_alone(self, line: cst.SimpleStatementLine) -> bool:
        """Return whether a statement has its lines for itself, so that others can be put before or after it."""
        span = self.scene.span(line)
        head = self.scene.text[self.scene.lines.start_of_line(span.start) : span.start]
        return len(line.body) == 1 and not head.strip()

    def add_lines_after(self, line: cst.SimpleStatementLine, statements: list[str]) -> None:
        """Put statements on lines of their own after a statement, at its depth."""
        end = self.scene.span(line).end
        offset = self.scene.lines.end_of_line(end)
        newline, indent = self.scene.lines.newline(), self.scene.indent(line)
        block = "".join(indent + statement + newline for statement in statements)
        if offset == len(self.scene.text) and not self.scene.text.endswith(("\n", "\r")):
            block = newline + block[: -len(newline)]
        self.insert(offset, block)

    def add_lines_before(self, line: cst.SimpleStatementLine, statements: list[str]) -> None:
        """Put statements on lines of their own before a statement, at its depth."""
        newline, indent = self.scene.lines.newline(), self.scene.indent(line)
        block = "".join(statement + newline + indent for statement in statements)
        self.insert(self.scene.span(line).start, block)

    def above_comments(self, offset: int) -> int:
        """Return where the line of an offset begins, or the comment that stands right above it."""
        start = self.scene.lines.start_of_line(offset)
        while start > 0:
            above = self.scene.lines.start_of_line(start - 1)
            if not self.scene.text[above:start].lstrip().startswith("#"):
                break
            start = above
        return start

    # -- names

    def module(self, name: str, near: cst.CSTNode) -> str:
        """Return the expression for a module at a place in the file; it is imported where it is not yet."""
        found = local_name(self.scene, name, near)
        return found or self._missing.module(self.scene, name)

    def member(self, module: str, name: str, near: cst.CSTNode) -> str:
        """Return the expression for something in a module, in the way that the file imports that module already."""
        found = member_local_name(self.scene, module, name, near)
        if found:
            return found
        whole = local_name(self.scene, module, near)
        if whole:
            return f"{whole}.{name}"
        alias = last_alias_from(self.scene, module, near)
        if alias is not None and not self.scene.is_bound(name) and not self.scene.uses(name):
            return self._append(alias, name)
        return self._missing.member(self.scene, module, name) if "." in module else f"{self._missing.module(self.scene, module)}.{name}"

    def sibling(self, node: cst.CSTNode, name: str) -> str:
        """Return the expression for another member of the module that a function or class stands in.

        `yaml.load` gives `yaml.safe_load`; a bare `load` gives `safe_load`, which is imported beside it.
        """
        if isinstance(node, cst.Attribute):
            return f"{self.scene.code(node.value)}.{name}"
        module = self.scene.name(node).rpartition(".")[0]
        return self._beside(node, module, name)

    def _beside(self, node: cst.CSTNode, module: str, name: str) -> str:
        found = member_local_name(self.scene, module, name, node)
        if found:
            return found
        assignments = self.scene.assignments(node)
        if len(assignments) != 1 or not isinstance(assignments[0], ImportAssignment) or self.scene.is_bound(name):
            return self._missing.member(self.scene, module, name)
        names = import_of(assignments[0]).names
        if isinstance(names, cst.ImportStar):
            return self._missing.member(self.scene, module, name)
        alias = next(item for item in names if bound_name(item) == dotted(node))
        return self._append(alias, name)

    def _append(self, alias: cst.ImportAlias, name: str) -> str:
        if (alias, name) not in self._touched:
            self._touched.add((alias, name))
            self.insert(self.scene.span(alias).end, f", {name}")
        return name

    def release(self, node: cst.CSTNode) -> None:
        """Say that a use of an imported name goes away; the import goes too where it was the last."""
        root = dotted(node).partition(".")[0]
        if root:
            self.released.add(root)

    # -- the result

    def text(self) -> str:
        """Return the text with all edits made; imports that became unused are still there."""
        edits = [*self.edits]
        if statements := self._missing.statements():
            offset, block = import_statement_text(self.scene, statements)
            edits.append(Edit(Span(offset, offset), block))
        text = self.scene.text
        # Of two edits at one place the one that was written first comes first, and an empty one before one that replaces.
        for _, edit in sorted(enumerate(edits), key=lambda item: (item[1].span, item[0]), reverse=True):
            text = text[: edit.span.start] + edit.text + text[edit.span.end :]
        return text
