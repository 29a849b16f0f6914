"""One parsed Python file: where each node stands in the text, and what its names mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import libcst as cst
from libcst import metadata
from libcst.metadata import Assignment, BaseAssignment, BuiltinAssignment, GlobalScope, ImportAssignment, Scope

from remediator.builtin.codemods.project_facts import ProjectFacts
from remediator.builtin.codemods.source_text import Lines


class Span(NamedTuple):
    """A part of the text, from `start` up to but without `end`."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        """Return whether the two share at least one character."""
        return self.start < other.end and other.start < self.end

    def within(self, other: Span) -> bool:
        """Return whether this one lies inside of the other."""
        return other.start <= self.start and self.end <= other.end


class UnfaithfulParseError(ValueError):
    """The parser does not give the same text back, so positions cannot be trusted."""


class Scene:
    """A file's text, tree and names. Raises libcst's ParserSyntaxError or UnfaithfulParseError when it is made."""

    def __init__(self, text: str, *, path: str = "", project: ProjectFacts | None = None) -> None:
        self.text = text
        self.path = path
        self.project = project or ProjectFacts()
        self.lines = Lines(text)
        self.module = cst.parse_module(text)
        if self.module.code != text:
            raise UnfaithfulParseError("the parser does not give the same text back")
        wrapper = metadata.MetadataWrapper(self.module, unsafe_skip_copy=True)
        self._positions = wrapper.resolve(metadata.PositionProvider)
        self._parents = wrapper.resolve(metadata.ParentNodeProvider)
        self._scopes = wrapper.resolve(metadata.ScopeProvider)
        self.scopes = {scope for scope in self._scopes.values() if scope is not None}
        self._used: frozenset[str] | None = None
        self._rebound = frozenset(self._rebound_attributes())

    # -- where things stand

    def nodes(self) -> Iterator[cst.CSTNode]:
        """Yield every node that has a position, outer ones first."""
        return iter(self._positions)

    def span(self, node: cst.CSTNode) -> Span:
        """Return where a node stands, without the parentheses around it."""
        found = self._positions[node]
        start, end = found.start, found.end
        return Span(self.lines.offset(start.line, start.column + 1), self.lines.offset(end.line, end.column + 1))

    def code(self, node: cst.CSTNode) -> str:
        """Return a node's text as it would read elsewhere: with its own parentheses."""
        return self.module.code_for_node(node)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return the node around this one."""
        return self._parents.get(node)

    def parents(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes around this one, from the inside out."""
        current = self.parent(node)
        while current is not None:
            yield current
            current = self.parent(current)

    def line(self, node: cst.CSTNode) -> cst.SimpleStatementLine | None:
        """Return the logical line that holds a node, or None where it stands in the head of a block."""
        for around in (node, *self.parents(node)):
            if isinstance(around, cst.SimpleStatementLine):
                return around
            if isinstance(around, cst.BaseCompoundStatement | cst.BaseSuite):
                return None
        return None

    def indent(self, node: cst.CSTNode) -> str:
        """Return the white space before the line on which a node starts."""
        start = self.span(node).start
        head = self.text[self.lines.start_of_line(start) : start]
        return head[: len(head) - len(head.lstrip(" \t\f"))]

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """Return the function that a node stands in."""
        return next((around for around in self.parents(node) if isinstance(around, cst.FunctionDef)), None)

    def class_of(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """Return the class that a node stands in."""
        return next((around for around in self.parents(node) if isinstance(around, cst.ClassDef)), None)

    # -- what names mean

    def names(self, node: cst.CSTNode) -> frozenset[str]:
        """Return the qualified names that an expression may have; empty where a name in it is anything but imported or built in."""
        chain = dotted(node)
        if not chain or chain in self._rebound:
            return frozenset()
        found = self.assignments(node)
        if not found:
            return frozenset()
        meant = [_meaning(assignment, chain) for assignment in found]
        return frozenset() if any(name is None for name in meant) else frozenset(name for name in meant if name is not None)

    def name(self, node: cst.CSTNode) -> str:
        """Return the one qualified name of an expression, or an empty string."""
        found = self.names(node)
        return next(iter(found)) if len(found) == 1 else ""

    def assignments(self, node: cst.CSTNode) -> tuple[BaseAssignment, ...]:
        """Return everything that the first name of an expression may be bound by, seen from where it stands."""
        chain = dotted(node)
        scope = self.scope(node)
        if not chain or scope is None:
            return ()
        found: list[BaseAssignment] = []
        parts = chain.split(".")
        for length in range(1, len(parts) + 1):
            found.extend(item for item in scope[".".join(parts[:length])] if item not in found)
        real = [item for item in found if not isinstance(item, BuiltinAssignment)]
        return tuple(real or found)

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """Return the scope that a node is evaluated in."""
        for around in (node, *self.parents(node)):
            if around in self._scopes:
                return self._scopes[around]
        return None

    def global_scope(self) -> Scope | None:
        """Return the module's own scope, or None for an empty file."""
        return next((scope for scope in self.scopes if isinstance(scope, GlobalScope)), None)

    def uses(self, name: str) -> bool:
        """Return whether a bare name is read or bound anywhere in the file, imports apart."""
        if self._used is None:
            self._used = frozenset(node.value for node in self._positions if isinstance(node, cst.Name) and self._is_bare(node))
        return name in self._used

    def _is_bare(self, node: cst.Name) -> bool:
        parent = self.parent(node)
        if isinstance(parent, cst.Attribute) and parent.attr is node:
            return False
        if isinstance(parent, cst.Arg) and parent.keyword is node:
            return False
        return not any(isinstance(around, cst.ImportAlias | cst.ImportFrom) for around in self.parents(node))

    def is_bound(self, name: str) -> bool:
        """Return whether a name is bound anywhere in the file, whatever the scope."""
        return any(name in scope.assignments for scope in self.scopes)

    def value_of(self, node: cst.CSTNode) -> cst.BaseExpression | None:
        """Return the expression whose value a variable or `self.x` holds, where exactly one is ever assigned to it."""
        if isinstance(node, cst.Name):
            found = self.assignments(node)
            if len(found) == 1 and isinstance(found[0], Assignment) and isinstance(found[0].node, cst.Name):
                return self._assigned_value(found[0].node)
        elif isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value in ("self", "cls"):
            around = self.class_of(node)
            targets = [item for item in self._attribute_targets(around) if dotted(item) == dotted(node)] if around else []
            return self._assigned_value(targets[0]) if len(targets) == 1 else None
        return None

    def made_by(self, node: cst.CSTNode) -> frozenset[str]:
        """Return the qualified names of the callable that made the value of an expression; empty where that is not certain."""
        value = node if isinstance(node, cst.Call) else self.value_of(node)
        return self.names(value.func) if isinstance(value, cst.Call) else frozenset()

    def imports(self, *modules: str) -> bool:
        """Return whether the file imports one of these modules, or something in it, anywhere."""
        return any(found == module or found.startswith(module + ".") for found in self.imported() for module in modules)

    def imported(self) -> frozenset[str]:
        """Return the full names of everything that the file imports."""
        return frozenset(
            meant
            for scope in self.scopes
            for item in scope.assignments
            if isinstance(item, ImportAssignment) and (meant := _imported_name(item)) is not None
        )

    def _assigned_value(self, target: cst.CSTNode) -> cst.BaseExpression | None:
        parent = self.parent(target)
        around = self.parent(parent) if parent is not None else None
        if isinstance(parent, cst.AssignTarget) and isinstance(around, cst.Assign):
            return around.value
        if isinstance(parent, cst.AnnAssign):
            return parent.value
        if isinstance(parent, cst.AsName) and isinstance(around, cst.WithItem):
            return around.item
        return None

    def _attribute_targets(self, around: cst.CSTNode) -> Iterator[cst.Attribute]:
        for node in self._positions:
            if isinstance(node, cst.Attribute) and self._is_target(node) and around in self.parents(node):
                yield node

    def _is_target(self, node: cst.CSTNode) -> bool:
        parent = self.parent(node)
        if isinstance(parent, cst.AssignTarget | cst.AsName | cst.Del):
            return True
        if isinstance(parent, cst.AnnAssign | cst.AugAssign | cst.For):
            return parent.target is node
        return isinstance(parent, cst.Element) and any(isinstance(item, cst.AssignTarget | cst.For) for item in self.parents(node))

    def _rebound_attributes(self) -> Iterator[str]:
        for node in self._positions:
            if isinstance(node, cst.Attribute) and self._is_target(node) and (chain := dotted(node)):
                yield chain


def dotted(node: cst.CSTNode) -> str:
    """Return `a.b.c` for a chain of names, and an empty string for anything else."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return ""
    return ".".join([node.value, *reversed(parts)])


def _meaning(assignment: BaseAssignment, chain: str) -> str | None:
    _, _, rest = chain.partition(".")
    tail = "." + rest if rest else ""
    if isinstance(assignment, BuiltinAssignment):
        return "builtins." + chain
    if not isinstance(assignment, ImportAssignment):
        return None
    alias, full = _alias_of(assignment), _imported_name(assignment)
    if alias is None or full is None:
        return None
    if alias.asname is None and isinstance(assignment.node, cst.Import):
        return chain
    return full + tail


def _alias_of(assignment: ImportAssignment) -> cst.ImportAlias | None:
    names = import_of(assignment).names
    if isinstance(names, cst.ImportStar):
        return None
    return next((alias for alias in names if bound_name(alias) in (assignment.name, assignment.name.split(".")[0])), None)


def import_of(assignment: ImportAssignment) -> cst.Import | cst.ImportFrom:
    """Return the statement that makes an import's binding."""
    assert isinstance(assignment.node, cst.Import | cst.ImportFrom)
    return assignment.node


def bound_name(alias: cst.ImportAlias) -> str:
    """Return the name that an import alias binds."""
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    return dotted(alias.name).split(".")[0]


def _imported_name(assignment: ImportAssignment) -> str | None:
    alias = _alias_of(assignment)
    if alias is None:
        return None
    node = import_of(assignment)
    if isinstance(node, cst.Import):
        return dotted(alias.name)
    dots = "." * len(node.relative)
    module = dotted(node.module) if node.module is not None else ""
    return f"{dots}{module}.{dotted(alias.name)}" if module else dots + dotted(alias.name)


def argument(call: cst.Call, keyword: str, position: int | None = None) -> cst.Arg | None:
    """Return the argument given by this keyword, or at this position."""
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == keyword:
            return arg
    if position is None or position >= len(call.args):
        return None
    before: Sequence[cst.Arg] = call.args[: position + 1]
    return before[-1] if all(arg.keyword is None and not arg.star for arg in before) else None


def has_stars(call: cst.Call) -> bool:
    """Return whether a call unpacks `*args` or `**kwargs`, so that its arguments are not all to be seen."""
    return any(arg.star for arg in call.args)


def is_name(node: cst.CSTNode | None, *values: str) -> bool:
    """Return whether a node is one of these bare names, such as `True`."""
    return isinstance(node, cst.Name) and node.value in values
