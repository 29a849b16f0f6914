"""Applies a diff to a tree exactly, in an index of the store: no work tree, no offset, no fuzz, no leniency.

git and our own reading of the diff must come to the same files.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from remediator.diff import FileChange, parse
from remediator.errors import PatchConflictError, PatchError
from remediator.git_command import Git, Output
from remediator.git_objects import ObjectReader
from remediator.redact import printable

_ANEW = "make the patch anew against this base"


class Changed(NamedTuple):
    """One path that differs between two trees: modes and object ids, zero where there is no file."""

    old_mode: int
    new_mode: int
    old: str
    new: str


@contextlib.contextmanager
def temporary_index(git: Git, tree: str) -> Iterator[Git]:
    """Open an index of its own that holds a tree."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=git.folder) as folder:
        with_index = git.where(GIT_INDEX_FILE=f"{folder}/index")
        with_index.call("read-tree", tree)
        yield with_index


def changed_paths(git: Git, before: str, after: str) -> dict[str, Changed]:
    """Return what differs between two trees."""
    words = git.call("diff-tree", "-r", "-z", "--raw", "--no-renames", before, after).split(b"\0")
    found = {}
    for facts, path in zip(words[0::2], words[1::2], strict=False):
        old_mode, new_mode, old, new, _ = facts.decode("ascii").lstrip(":").split(" ")
        found[path.decode("utf-8", "surrogateescape")] = Changed(int(old_mode, 8), int(new_mode, 8), old, new)
    return found


def apply_exactly(git: Git, objects: ObjectReader, tree: str, diff: str, *, prefix: str = "") -> str:
    """Return the tree after the diff, whose names lie below `prefix`.

    Raises PatchError where the diff is malformed or binary, PatchConflictError where it does not apply.
    """
    changes = parse(diff)
    if binary := next((change.path for change in changes if change.binary), None):
        raise PatchError(f"the patch changes {printable(binary)} as a binary file", hint="only text can be patched")
    below = [f"--directory={prefix.rstrip('/')}"] if prefix else []
    with temporary_index(git, tree) as index:
        output = index.run("apply", "--cached", "--whitespace=nowarn", "-p1", *below, "-", stdin=diff.encode("utf-8"))
        if output.code:
            raise PatchConflictError(f"the patch does not apply: {_complaint(output)}", hint=_ANEW)
        after = index.line("write-tree")
    _Agreement(git, objects, tree, after, prefix).check(changes)
    return after


class _Agreement:
    """Compares what git made of a diff with what we read in it."""

    def __init__(self, git: Git, objects: ObjectReader, before: str, after: str, prefix: str) -> None:
        self._git, self._objects, self._before, self._prefix = git, objects, before, prefix
        self._found: Mapping[str, Changed] = changed_paths(git, before, after)

    def check(self, changes: Sequence[FileChange]) -> None:
        told = {self._prefix + path for change in changes for path in change.touched}
        if untold := self._found.keys() - told:
            raise PatchConflictError(f"the patch also changes {printable(min(untold))!r}, which it does not name")
        for change in changes:
            if change.hunks:
                self._check_content(change)

    def _check_content(self, change: FileChange) -> None:
        before = b"" if change.kind == "added" else self._blob(self._prefix + change.old_path)
        result = self._found.get(self._prefix + change.path)
        actual = self._objects.read(result.new).data if result and result.new_mode else b""
        if change.applied(before) != actual:
            raise PatchConflictError(f"{printable(change.path)}: git reads the patch differently than we do", hint=_ANEW)

    def _blob(self, path: str) -> bytes:
        found = self._git.call("--literal-pathspecs", "ls-tree", "-z", "--full-tree", self._before, "--", path)
        for line in found.split(b"\0"):
            facts, _, name = line.partition(b"\t")
            if name.decode("utf-8", "surrogateescape") == path:
                return self._objects.read(facts.split()[2].decode("ascii")).data
        raise PatchConflictError(f"there is no {printable(path)!r}", hint=_ANEW)


def _complaint(output: Output) -> str:
    return output.complaint.removeprefix("error: ") or "git refused it"
