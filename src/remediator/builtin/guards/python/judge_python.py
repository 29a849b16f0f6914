"""All Python guards over one changed file."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from remediator.builtin.guards.file_pair import FilePair
from remediator.builtin.guards.project_modules import ProjectModules
from remediator.builtin.guards.python.awareness import awareness
from remediator.builtin.guards.python.built_query import built_query
from remediator.builtin.guards.python.capabilities import capabilities
from remediator.builtin.guards.python.deleted_features import deleted_features
from remediator.builtin.guards.python.denied_security import denied_security
from remediator.builtin.guards.python.dependencies import dependencies
from remediator.builtin.guards.python.disguises import computed_callees, disguised_calls, disguised_values
from remediator.builtin.guards.python.lost_sink import lost_sink
from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.python.same_weakness import same_weakness
from remediator.builtin.guards.python.signatures import signatures
from remediator.builtin.guards.python.special_cases import special_cases
from remediator.builtin.guards.python.swallowed_errors import swallowed_errors
from remediator.builtin.guards.python.unreachable import unreachable
from remediator.builtin.guards.trait import Trait, fresh
from remediator.diff.objection import Objection
from remediator.records.finding import Finding


def judge_python(pair: FilePair, finding: Finding, project: ProjectModules) -> Iterator[Objection]:
    """Yield what the Python guards have against one file's change.

    Raises UnreadableError where either side cannot be read.
    """
    before = Module.read(pair.before) if pair.before is not None else Module.empty()
    if pair.after is None:
        return
    after = Module.read(pair.after)
    added = pair.added_lines
    yield from deleted_features(before, after, pair.path)
    yield from lost_sink(before, after, finding, pair.path, project)
    yield from built_query(before, after, finding, pair.path)
    yield from fresh(same_weakness(before, finding), same_weakness(after, finding), added, pair.path)
    yield from fresh(denied_security(before, finding), denied_security(after, finding), added, pair.path)
    yield from fresh(unreachable(before, ()), unreachable(after, added), added, pair.path)
    yield from fresh(swallowed_errors(before), swallowed_errors(after), added, pair.path)
    yield from signatures(before, after, pair.path)
    yield from fresh(awareness(before), awareness(after), added, pair.path)
    yield from capabilities(before, after, pair.path, added)
    yield from disguised_calls(before, after, pair.path)
    yield from fresh(disguised_values(before), disguised_values(after), added, pair.path)
    yield from fresh(computed_callees(before), computed_callees(after), added, pair.path)
    yield from dependencies(before, after, pair.path, project)
    yield from fresh(_strange_names(before), _strange_names(after), added, pair.path)
    yield from fresh(special_cases(before), special_cases(after), added, pair.path)


def is_same_code(before: bytes, after: bytes) -> bool:
    """Return whether two files differ in comments and layout only.

    Raises UnreadableError.
    """
    return ast.dump(Module.read(before).tree) == ast.dump(Module.read(after).tree)


def _strange_names(module: Module) -> Iterator[Trait]:
    for node in module.nodes:
        for name in (getattr(node, field, None) for field in ("id", "attr", "arg", "name", "asname")):
            if isinstance(name, str) and not name.isascii():
                yield Trait("hidden-characters", name, getattr(node, "lineno", 0), f"the name {name!a} is not ASCII")
