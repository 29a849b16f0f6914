"""Runs a reproducer on twins of base and patch: does it see what the program does, or how the program is written?"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from remediator.builtin.source_twins import TwinError, disguised, rewritten
from remediator.contracts.tree import Tree
from remediator.contracts.workspace import Workspace
from remediator.diff import ChangeKind, parse
from remediator.records.patch import Patch
from remediator.records.recipe import TestOutcome, TestRun
from remediator.records.reproducer import ASSERTIONS, Acceptance, Reproducer

_MAX_BYTES = 16 * 1024 * 1024
# A new name in such a file is a setting, and settings are read by name: there the name is the fix.
_SETTINGS = re.compile(r"(?:.*/)?(?:settings|config|conf|defaults?)(?:_\w+)?\.py|(?:.*/)?settings/[^/]+\.py")


class Doubt(NamedTuple):
    """Why the green of a reproducer is not believed."""

    reason: str
    told: str
    runs: tuple[TestRun, ...] = ()


class _Twins(NamedTuple):
    """Edits of the patched tree: the patch written anew, and what does as the base, the one that asks the most first."""

    patched: Mapping[str, bytes]
    bases: Sequence[tuple[str, Mapping[str, bytes]]]


async def doubt_of(
    patch: Patch, workspace: Workspace, reproducer: Reproducer, acceptance: Acceptance, evidence: dict[str, object]
) -> Doubt | None:
    """Return the doubt that twins of the changed Python files raise, or None. `evidence` gets which twins were run."""
    evidence["twins"] = told = dict[str, str]()
    try:
        twins = await asyncio.to_thread(_twins, patch, workspace)
    except TwinError as error:
        return Doubt("twin-unclear", f"no twin of a changed file can be made: {error}")
    if twins is None:
        return None
    shows, runs = acceptance.shows, []
    for _ in range(2):
        runs.append(await workspace.probe(reproducer, edits=twins.patched))
        if not runs[-1].complete:
            return Doubt("twin-unclear", f"the run on the patch written anew is in doubt: {runs[-1].problems[0]}", tuple(runs))
        red = [test for test in shows if runs[-1].results.get(test) is not TestOutcome.passed]
        if not red:
            break
    else:
        return Doubt("form-dependent", f"{red[0]} is red when the same patch is laid out otherwise: it sees the text", tuple(runs))
    told["patch written anew"] = "green"
    for kind, edits in twins.bases:
        run = await workspace.probe(reproducer, edits=edits)
        green = [test for test in shows if run.results.get(test) is TestOutcome.passed]
        if green:
            return Doubt("marker-only", f"{green[0]} is green on {kind}, where the flaw is still there", (*runs, run))
        clear = run.complete and all(_is_red(run, test) for test in shows)
        told[kind] = "red" if clear else "unclear"
        runs.append(run)
        if clear:
            return None
    return Doubt("twin-unclear", "on no twin of the base the reproducer is red for an assertion", tuple(runs))


def _is_red(run: TestRun, test: str) -> bool:
    return run.results.get(test) is TestOutcome.failed and run.raised.get(test) in ASSERTIONS


def _twins(patch: Patch, workspace: Workspace) -> _Twins | None:
    """Return the twins; None where the patch changes no Python file, so there is no text to look at but data. Raises TwinError."""
    changes = parse(patch.diff)
    if not any(change.path.endswith(".py") and not change.binary for change in changes):
        return None
    patched: dict[str, bytes] = {}
    plain: dict[str, bytes] = {}
    pairs: dict[str, tuple[bytes, bytes]] = {}
    for change in changes:
        old, new = _read(workspace.base, change.old_path), _read(workspace.tree, change.path)
        if new is not None and change.path.endswith(".py"):
            patched[change.path] = rewritten(new)
        if old is None or change.kind in (ChangeKind.added, ChangeKind.copied):
            continue  # nothing of the base asks for a new file: it stays, as a marker of its own
        plain[change.old_path] = rewritten(old) if change.old_path.endswith(".py") else old
        if new is not None and change.path.endswith(".py") and change.kind is ChangeKind.modified:
            pairs[change.path] = (old, new)
    if not plain:
        raise TwinError("the patch adds files only")
    bases = [("the base written anew", plain)]
    for kind, markers in (("the base that wears the patch's text", False), ("the base that wears the patch's text and names", True)):
        with contextlib.suppress(TwinError):
            bases.insert(0, (kind, {**plain, **_worn(pairs, markers)}))
    return _Twins(patched, bases)


def _worn(pairs: Mapping[str, tuple[bytes, bytes]], markers: bool) -> dict[str, bytes]:
    return {path: disguised(old, new, with_markers=markers and not _SETTINGS.fullmatch(path)) for path, (old, new) in pairs.items()}


def _read(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.read(path, limit_bytes=_MAX_BYTES)
    except KeyError:
        return None
