"""Which lines of which files a patch made or changed."""

from __future__ import annotations

from difflib import SequenceMatcher

from remediator.contracts.tree import Tree
from remediator.errors import GitError

_FILE_BYTES = 4 * 1024 * 1024


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
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [line for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal" for line in range(start + 1, end + 1)]
