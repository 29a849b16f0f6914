"""Which lines of which files a patch made or changed."""

from __future__ import annotations

from difflib import SequenceMatcher

from remediator.contracts.tree import Tree
from remediator.errors import GitError

_FILE_BYTES = 4 * 1024 * 1024
_MOST_COMPARISONS = 4_000_000


def changed_lines(base: Tree, tree: Tree) -> dict[str, list[int]]:
    """Return, for each changed or new Python file, the numbers of its lines that `base` does not have there."""
    if base.id == tree.id:
        return {}
    before = {entry.path: entry.oid for entry in base.entries() if entry.is_file}
    changed = [
        entry.path for entry in tree.entries() if entry.is_file and entry.path.endswith(".py") and before.get(entry.path) != entry.oid
    ]
    return {path: _new_lines(_lines(base, path), _lines(tree, path)) for path in changed}


def _lines(tree: Tree, path: str) -> list[bytes]:
    try:
        return tree.read(path, limit_bytes=_FILE_BYTES).splitlines()
    except (KeyError, GitError):
        return []


def _new_lines(old: list[bytes], new: list[bytes]) -> list[int]:
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    before, after = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(before) * len(after) > _MOST_COMPARISONS:
        # The exact answer would take minutes; a line that is new as a text is what matters.
        known = set(before)
        return [head + i for i, line in enumerate(after, 1) if line not in known]
    opcodes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [head + line for tag, _, _, start, end in opcodes if tag != "equal" for line in range(start + 1, end + 1)]
