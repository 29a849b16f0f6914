"""All guards over one patch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from remediator.builtin.guards.file_pair import FilePair
from remediator.builtin.guards.project_modules import ProjectModules
from remediator.builtin.guards.python import UnreadableError, judge_python
from remediator.builtin.guards.python.judge_python import is_same_code
from remediator.builtin.guards.text_guards import text_guards
from remediator.diff.objection import Objection
from remediator.records.finding import Finding


class Judgement(NamedTuple):
    """What the guards say. `unread` maps a file that they could not judge to why; `depth` a file to the guards that read it."""

    objections: tuple[Objection, ...]
    notes: tuple[Objection, ...]
    unread: dict[str, str]
    depth: dict[str, str]


def judge(pairs: Sequence[FilePair], finding: Finding, project: ProjectModules, *, max_line_length: int = 500) -> Judgement:
    """Return what all guards have against a patch. Blocks for as long as parsing takes."""
    found: list[Objection] = []
    unread: dict[str, str] = {}
    depth: dict[str, str] = {}
    for pair in pairs:
        found += text_guards(pair, max_line_length)
        depth[pair.path] = "generic"
        if pair.language == "python":
            try:
                found += judge_python(pair, finding, project)
                depth[pair.path] = "python"
            except (UnreadableError, RecursionError) as error:
                unread[pair.path] = str(error)[:200] or type(error).__name__
    found += _nothing_changed(pairs, unread)
    unique = list(dict.fromkeys(found))
    return Judgement(
        objections=tuple(objection for objection in unique if objection.certain),
        notes=tuple(objection for objection in unique if not objection.certain),
        unread=unread,
        depth=depth,
    )


def _nothing_changed(pairs: Sequence[FilePair], unread: dict[str, str]) -> Iterator[Objection]:
    for pair in pairs:
        if pair.language != "python" or pair.path in unread or pair.before is None or pair.after is None:
            return
        if not is_same_code(pair.before, pair.after):
            return
    if pairs:
        yield Objection("no-code-change", pairs[0].path, "only comments and layout change")
