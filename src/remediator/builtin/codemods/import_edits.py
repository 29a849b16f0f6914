"""Which name a module has in a file, where a new import goes, and which import is no longer needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import libcst as cst
from libcst.metadata import ImportAssignment

from remediator.builtin.codemods.scene import Scene, Span, bound_name, dotted, import_of


class NameTakenError(ValueError):
    """A module cannot be imported, since the file uses its name for something else."""


class MissingImports:
    """The import statements that have to be added."""

    def __init__(self) -> None:
        self._statements: dict[str, str] = {}

    def copy(self) -> MissingImports:
        """Return a copy."""
        other = MissingImports()
        other._statements = dict(self._statements)
        return other

    def module(self, scene: Scene, name: str) -> str:
        """Ask for a module; return the expression for it. Raises NameTakenError."""
        root, _, rest = name.rpartition(".")
        if "." in name:
            # A bare `import a.b` binds `a`; the from form binds what is needed and nothing else.
            local = _free_name(scene, rest)
            self._statements[_as(f"from {root} import {rest}", rest, local)] = local
            return local
        local = _free_name(scene, name)
        self._statements[_as(f"import {name}", name, local)] = local
        return local

    def member(self, scene: Scene, module: str, name: str) -> str:
        """Ask for something in a module; return the expression for it. Raises NameTakenError."""
        local = _free_name(scene, name)
        self._statements[_as(f"from {module} import {name}", name, local)] = local
        return local

    def statements(self) -> list[str]:
        """Return the statements, sorted as import sorters do."""
        return sorted(self._statements, key=lambda text: (text.startswith("from"), text))


def _as(statement: str, name: str, local: str) -> str:
    return statement if name == local else f"{statement} as {local}"


def _free_name(scene: Scene, name: str) -> str:
    for candidate in (name, f"_{name}"):
        if not scene.is_bound(candidate) and not scene.uses(candidate):
            return candidate
    raise NameTakenError(f"the names {name} and _{name} are taken in this file")


def local_name(scene: Scene, module: str, near: cst.CSTNode) -> str:
    """Return the expression by which a module is certainly known at a node, or an empty string."""
    for alias, statement in _usable_imports(scene, near):
        if isinstance(statement, cst.Import):
            full = dotted(alias.name)
            if alias.asname is not None:
                expression = bound_name(alias) if full == module else ""
            else:
                # `import a.b` also makes `a` known, but `import a` does not make `a.b` known.
                expression = module if full == module or full.startswith(module + ".") else ""
        else:
            expression = bound_name(alias) if _from_name(statement, alias) == module else ""
        if expression and _means(scene, near, expression.partition(".")[0], alias):
            return expression
    return ""


def member_local_name(scene: Scene, module: str, name: str, near: cst.CSTNode) -> str:
    """Return the name by which a member of a module was imported, or an empty string."""
    for alias, statement in _usable_imports(scene, near):
        if isinstance(statement, cst.ImportFrom) and _from_name(statement, alias) == f"{module}.{name}":
            local = bound_name(alias)
            if _means(scene, near, local, alias):
                return local
    return ""


def last_alias_from(scene: Scene, module: str, near: cst.CSTNode) -> cst.ImportAlias | None:
    """Return the last thing that a usable `from module import …` takes, beside which another can be taken."""
    for _, statement in _usable_imports(scene, near):
        if not isinstance(statement, cst.ImportFrom) or statement.module is None or statement.relative:
            continue
        if dotted(statement.module) == module and not isinstance(statement.names, cst.ImportStar):
            return statement.names[-1]
    return None


def _from_name(statement: cst.ImportFrom, alias: cst.ImportAlias) -> str:
    if statement.relative or statement.module is None:
        return ""
    return f"{dotted(statement.module)}.{dotted(alias.name)}"


def _usable_imports(scene: Scene, near: cst.CSTNode) -> Iterator[tuple[cst.ImportAlias, cst.Import | cst.ImportFrom]]:
    """Yield imports that have certainly run when `near` does: on the module's top level, or earlier in the same block's function."""
    here = scene.function(near)
    for node in scene.nodes():
        if not isinstance(node, cst.Import | cst.ImportFrom) or isinstance(node.names, cst.ImportStar):
            continue
        line = scene.parent(node)
        block = scene.parent(line) if line is not None else None
        earlier = scene.span(node).start < scene.span(near).start
        at_top = isinstance(block, cst.Module) and (here is not None or earlier)
        beside = here is not None and earlier and block is here.body
        if at_top or beside:
            for alias in node.names:
                yield alias, node


def _means(scene: Scene, near: cst.CSTNode, root: str, alias: cst.ImportAlias) -> bool:
    """Return whether a name, used at `near`, can only be what this alias (or another import of the same module) binds."""
    scope = scene.scope(near)
    if scope is None:
        return False
    found = list(scope[root])
    found += [item for item in scope[dotted(alias.name)] if alias.asname is None and item not in found]
    if not found or not all(isinstance(item, ImportAssignment) for item in found):
        return False
    wanted = dotted(alias.name).partition(".")[0]
    for item in found:
        names = import_of(item).names if isinstance(item, ImportAssignment) else ()
        if isinstance(names, cst.ImportStar):
            return False
        same = [other for other in names if bound_name(other) == root]
        if alias in same:
            continue
        if not same or alias.asname is not None or any(dotted(other.name).partition(".")[0] != wanted or other.asname for other in same):
            return False
        if not isinstance(item, ImportAssignment) or not isinstance(item.node, cst.Import):
            return False
    return True


def import_statement_text(scene: Scene, statements: list[str]) -> tuple[int, str]:
    """Return where new imports go, and their text: at the end of the first imports, never before `__future__`."""
    newline = scene.lines.newline()
    block = newline.join(statements) + newline
    lines = list(scene.module.body)
    last = _last_import(lines)
    if last is not None:
        return _after(scene, last, block)
    if lines and isinstance(lines[0], cst.SimpleStatementLine) and _is_docstring(lines[0]):
        return _after(scene, lines[0], newline + block)
    if not lines:
        return len(scene.text), block
    start = scene.lines.start_of_line(scene.span(_head(lines[0])).start)
    return start, block + newline


def _head(node: cst.CSTNode) -> cst.CSTNode:
    if isinstance(node, cst.FunctionDef | cst.ClassDef) and node.decorators:
        return node.decorators[0]
    return node


def _last_import(lines: Sequence[cst.BaseStatement | cst.SimpleStatementLine]) -> cst.SimpleStatementLine | None:
    last: cst.SimpleStatementLine | None = None
    for index, line in enumerate(lines):
        if isinstance(line, cst.SimpleStatementLine) and all(isinstance(item, cst.Import | cst.ImportFrom) for item in line.body):
            last = line
        elif last is not None or not (index == 0 and isinstance(line, cst.SimpleStatementLine) and _is_docstring(line)):
            break
    return last


def _is_docstring(line: cst.SimpleStatementLine) -> bool:
    first = line.body[0] if line.body else None
    return isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString | cst.ConcatenatedString)


def _after(scene: Scene, line: cst.SimpleStatementLine, block: str) -> tuple[int, str]:
    newline = scene.lines.newline()
    if _is_future(line) and not block.startswith(newline):
        block = newline + block
    offset = scene.lines.end_of_line(scene.span(line).end)
    if offset == len(scene.text) and not scene.text.endswith(("\n", "\r")):
        return offset, newline + block[: -len(newline)]
    return offset, block


def _is_future(line: cst.SimpleStatementLine) -> bool:
    return any(isinstance(item, cst.ImportFrom) and item.module is not None and dotted(item.module) == "__future__" for item in line.body)


def without_unused_imports(scene: Scene, names: set[str]) -> str:
    """Return the file's text without those imports of these names that nothing in the file uses."""
    if scene.path.rpartition("/")[2] == "__init__.py":
        return scene.text
    spans = [span for name in sorted(names) if (span := _removable(scene, name)) is not None]
    text = scene.text
    for span in sorted(set(spans), reverse=True):
        text = text[: span.start] + text[span.end :]
    return text


def _removable(scene: Scene, name: str) -> Span | None:
    bindings = [item for scope in scene.scopes for item in scope.assignments if item.name.partition(".")[0] == name]
    nodes = {item.node for item in bindings if isinstance(item, ImportAssignment)}
    if len(nodes) != 1 or not all(isinstance(item, ImportAssignment) for item in bindings):
        return None
    if scene.uses(name) or _is_mentioned(scene, name):
        return None
    statement = nodes.pop()
    return _span_of_import(scene, statement, name) if isinstance(statement, cst.Import | cst.ImportFrom) else None


def _is_mentioned(scene: Scene, name: str) -> bool:
    """Return whether a string (an annotation, `__all__`) or a type comment may use the name."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    for node in scene.nodes():
        if isinstance(node, cst.SimpleString) and not isinstance(scene.parent(node), cst.Expr) and word.search(node.value):
            return True
    return any(word.search(found) for found in re.findall(r"#\s*type:[^\r\n]*", scene.text))


def _span_of_import(scene: Scene, statement: cst.Import | cst.ImportFrom, name: str) -> Span | None:
    if isinstance(statement.names, cst.ImportStar):
        return None
    aliases = list(statement.names)
    index = next((number for number, alias in enumerate(aliases) if bound_name(alias) == name), None)
    line = scene.parent(statement)
    block = scene.parent(line) if line is not None else None
    if index is None or not isinstance(line, cst.SimpleStatementLine) or block is None:
        return None
    if len(aliases) > 1:
        span = scene.span(aliases[index])
        if index + 1 < len(aliases):
            return Span(span.start, scene.span(aliases[index + 1]).start)
        return Span(scene.span(aliases[index - 1]).end, span.end)
    body = getattr(block, "body", ())
    if len(line.body) > 1 or len(body) < 2:
        return None
    if not isinstance(block, cst.Module) and isinstance(scene.parent(block), cst.Try | cst.TryStar | cst.If):
        return None
    span = scene.span(line)
    return Span(scene.lines.start_of_line(span.start), scene.lines.end_of_line(span.end))
