"""The only door to git: a bare store that no sandbox ever saw, in which commits are kept, patched and compared.

git itself does the work, started by `git_command` with a closed environment; GitPython writes single objects into the store.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from remediator.contracts.tree import Tree, TreeEntry
from remediator.errors import GitError, PatchConflictError
from remediator.git_apply import Changed, apply_exactly, changed_paths, temporary_index
from remediator.git_command import Git
from remediator.git_diff import DIFF_OPTIONS, diff_text
from remediator.git_foreign import Layout, alternates, candidates, find_layout, find_ref, read_small
from remediator.git_import import ImportedFile, import_stream
from remediator.git_objects import ObjectReader, blob_stream
from remediator.git_paths import objection
from remediator.git_remains import sweep
from remediator.git_remote import check_revision, fetch_commit
from remediator.git_tree import StoredTree, TreeLimits, list_tree
from remediator.redact import printable

__all__ = ["GitStore", "ImportedFile", "StoredTree", "TreeLimits"]

_OBJECT = re.compile(r"[0-9a-f]{40}")
_ANCESTOR = re.compile(r"(.+?)((?:[~^]\d{0,6})+)", re.DOTALL)
_LIMITS = TreeLimits()
_AUTHOR = re.compile(r"[^<>\n\0]*<[^<>\n\0]*>")


class GitStore:
    """A bare repository of our own. All methods block; all of them may be called from several threads."""

    def __init__(self, folder: Path, env: Mapping[str, str], limits: TreeLimits, *, strict: bool = False) -> None:
        self.folder = folder
        self._strict = strict
        self.limits = limits
        self._env = dict(env)
        self._git = Git(folder)
        self._objects = ObjectReader(self._git)

    @classmethod
    def open(cls, folder: Path, *, env: Mapping[str, str] | None = None, limits: TreeLimits = _LIMITS, strict: bool = False) -> GitStore:
        """Open a store; it is made where it is missing. `env` is what git may know when it fetches. Raises GitError.

        `strict`: nothing is fetched from another place than is named, nor what no branch or tag there has.
        """
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 (links are looked at below, not resolved)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            facts = folder.lstat()
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
                raise GitError(f"{folder} is not a folder of ours", hint="remove it, or name another state folder")
            folder.chmod(0o700)
        except OSError as error:
            raise GitError(f"{folder} cannot be used as a store: {error.strerror}") from error
        store = cls(folder, env or {}, limits, strict=strict)
        sweep(folder)
        if not (folder / "HEAD").is_file():
            store._git.call("init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=main")
        return store

    @classmethod
    def beside(cls, layout: Layout, folder: Path) -> GitStore:
        """Open a store that also sees the objects of a repository on this machine, without changing it. Raises GitError."""
        store = cls.open(folder)
        store._git = store._git.where(**alternates(layout))
        store._objects = ObjectReader(store._git)
        shallow = layout.common / "shallow"
        if shallow.is_file():
            (folder / "shallow").write_text(read_small(shallow))
        return store

    def close(self) -> None:
        """End the process that reads objects; a later read starts it again."""
        self._objects.close()

    def import_files(self, files: Iterable[ImportedFile], *, message: str, when: datetime) -> str:
        """Keep files as a commit without parents; return its id, which depends on the arguments only. Raises GitError."""
        ref = f"refs/imports/{uuid.uuid4().hex}"
        stream = import_stream(files, ref=ref, message=message, when=when, limits=self.limits)
        commit = self._git.line("fast-import", "--quiet", "--done", "--force", "--date-format=raw", stdin=stream)
        if not _OBJECT.fullmatch(commit):
            raise GitError(f"git did not import the files: {printable(commit[:200])}")
        self._git.call("update-ref", "--stdin", stdin=f"delete {ref}\nupdate refs/kept/{commit} {commit}\n".encode())
        return commit

    def fetch(self, url: str, revision: str | None, *, local: bool = False) -> str:
        """Fetch one commit and check its size and names; return its id.

        https and ssh; with `local`, `url` is the path of a repository on this machine. Raises GitError.
        """
        if local:
            return self._fetch_local(url, revision)
        most = self.limits.pack_bytes
        commit = fetch_commit(self._git, url, revision, self._env, pack_bytes=most, strict=self._strict)
        list_tree(self._git, commit, self.limits)
        return commit

    def _fetch_local(self, path: str, revision: str | None) -> str:
        layout = find_layout(Path(path))
        if layout is None:
            raise GitError(f"{printable(path)} is not a git repository")
        theirs = self._git.where(**alternates(layout))
        commit = self._resolve(theirs, layout, revision or "HEAD")
        entries = list_tree(theirs, commit, self.limits)
        self.import_files(_copied(theirs, entries), message="files", when=datetime.fromtimestamp(0, UTC))
        return self.copy_commit(layout, commit)

    def _resolve(self, theirs: Git, layout: Layout, revision: str) -> str:
        base, steps = match.groups() if (match := _ANCESTOR.fullmatch(revision)) else (revision, "")
        if base != "@":
            check_revision(base)
        found = next((oid for name in candidates(base) if (oid := find_ref(layout, name))), base)
        if found == base and not re.fullmatch(r"[0-9a-f]{4,40}", base):
            raise GitError(f"{printable(str(layout.top or layout.folder))} has no branch, tag or commit {printable(revision)!r}")
        output = theirs.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{found}{steps}^{{commit}}")
        if output.code:
            raise GitError(f"{printable(revision)!r} is not one commit of {printable(str(layout.top or layout.folder))}")
        return output.stdout.decode("ascii").strip()

    def copy_commit(self, layout: Layout, commit: str) -> str:
        """Copy a commit (not its files, not its parents) from a repository on this machine. Raises GitError."""
        with self._git.where(**alternates(layout)).process("cat-file", "commit", commit) as process:
            assert process.stdout
            data = process.stdout.read(16 * 1024 * 1024)
        copied = self._git.line("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=data)
        if copied != commit:
            raise GitError(f"commit {commit} of {layout.folder} is damaged", hint="run `git fsck` there")
        if b"\nparent " in data.split(b"\n\n", 1)[0]:
            self._mark_shallow(commit)
        self._git.call("update-ref", f"refs/kept/{commit}", commit)
        return commit

    def _mark_shallow(self, commit: str) -> None:
        path = self.folder / "shallow"
        with (self.folder / "remediator.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = path.read_text().split() if path.exists() else []
            if commit not in known:
                scratch = path.with_name("shallow.new")
                scratch.write_text("".join(f"{oid}\n" for oid in sorted({*known, commit})))
                scratch.replace(path)

    def tree_of(self, commit: str) -> str:
        """Return the id of a commit's tree. Raises GitError where the store has no such commit."""
        output = self._git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{_object(commit)}^{{commit}}^{{tree}}")
        if output.code:
            raise GitError(f"the store has no commit {commit}", hint="fetch the source again")
        return output.stdout.decode("ascii").strip()

    def named_tree(self, commit: str) -> str:
        """Return the id of the tree that a commit names; the tree itself may be elsewhere. Raises GitError."""
        return self._objects.read(_object(commit)).data[5:45].decode("ascii")

    def tree(self, commit: str) -> StoredTree:
        """Return a commit's files. Raises GitError where the store has no such commit."""
        return self._tree(self.tree_of(commit), commit)

    def below(self, commit: str, folder: str) -> StoredTree:
        """Return the files of a folder of a commit, told from that folder. Raises GitError where it has no such folder."""
        if why := objection(folder):
            raise GitError(f"the path {printable(folder)!r} {why}")
        output = self._git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{self.tree_of(commit)}:{folder}")
        found = output.stdout.decode("ascii", "replace").strip()
        if output.code or self._git.line("cat-file", "-t", _object(found)) != "tree":
            raise GitError(f"commit {commit} has no folder {printable(folder)!r}")
        return self._tree(found, commit)

    def apply(self, tree: Tree, diff: str, *, prefix: str = "") -> StoredTree:
        """Return the tree with the diff applied exactly: no offset, no fuzz, no leniency. Its names lie below `prefix`.

        Raises PatchError where the diff is malformed or binary, PatchConflictError where it does not apply.
        """
        after = apply_exactly(self._git, self._objects, _object(tree.id), diff, prefix=prefix)
        return self._tree(after, tree.commit)

    def _tree(self, tree: str, commit: str) -> StoredTree:
        return StoredTree(self._git, self._objects, tree=tree, commit=commit)

    def write(self, tree: Tree, edits: Mapping[str, bytes]) -> StoredTree:
        """Return the tree with these files' content replaced; a missing file is made, modes stay.

        Raises GitError where a path is not acceptable or is not a regular file.
        """
        lines = [self._staged(path, tree.find(path), data) for path, data in sorted(edits.items())]
        with temporary_index(self._git, _object(tree.id)) as git:
            git.call("update-index", "-z", "--index-info", stdin=b"".join(lines))
            after = git.line("write-tree")
        if changed_paths(self._git, tree.id, after).keys() - edits.keys():
            raise GitError("a file cannot stand where a folder is, or the other way round")
        return self._tree(after, tree.commit)

    def _staged(self, path: str, entry: TreeEntry | None, data: bytes) -> bytes:
        if why := objection(path):
            raise GitError(f"the path {printable(path)!r} {why}")
        if entry is not None and not entry.is_file:
            raise GitError(f"{printable(path)} is not a regular file")
        mode = entry.mode if entry else 0o100644
        return b"%o %b 0\t%b\0" % (mode, self._put("blob", data).encode("ascii"), path.encode("utf-8", "surrogateescape"))

    def _put(self, kind: str, data: bytes) -> str:
        from remediator.git_write import put

        return put(self.folder, kind, data)

    def diff(self, before: Tree, after: Tree) -> str:
        """Return the diff in git's format. Raises PatchError where a changed file is not UTF-8 text."""
        return diff_text(self._git, _object(before.id), _object(after.id))

    def commit(self, tree: Tree, parent: str, message: str, *, author: str, when: datetime) -> str:
        """Keep a tree as a commit on top of `parent`; return its id. `author` is `Name <address>`. Raises GitError."""
        if not _AUTHOR.fullmatch(author):
            raise GitError(f"{printable(author)!r} is no author", hint="write it as Name <address>")
        from remediator.git_write import commit_data

        data = commit_data(_object(tree.id), self._known(parent), message, author=author, when=when)
        commit = self._put("commit", data)
        self._git.call("update-ref", f"refs/kept/{commit}", commit)
        return commit

    def _known(self, commit: str) -> str:
        if self._objects.read(_object(commit)).kind != "commit":
            raise GitError(f"{commit} is not a commit")
        return commit

    def rebase(self, commit: str, base: str, onto: str) -> str:
        """Return a commit's twin upon `onto`, merged line by line; both stand upon `base`. Raises PatchConflictError."""
        output = self._git.run("merge-tree", "--write-tree", "--no-messages", _object(onto), _object(commit))
        if output.code:
            raise PatchConflictError(
                "it changes lines that an earlier patch changes too", hint="apply it alone, or run again after the other"
            )
        data = self._objects.read(commit).data.replace(self.named_tree(commit).encode(), output.stdout[:40], 1)
        return self._put("commit", data.replace(b"\nparent " + base.encode(), b"\nparent " + onto.encode(), 1))

    def changed(self, before: Tree, after: Tree) -> dict[str, Changed]:
        """Return modes and object ids of what differs, by path."""
        return changed_paths(self._git, _object(before.id), _object(after.id))

    def pack(self, tip: str, base: str) -> bytes:
        """Return the objects that `tip` needs and `base` does not have, as a pack."""
        return self._git.call("pack-objects", "--revs", "--stdout", "-q", stdin=f"{_object(tip)}\n^{_object(base)}\n".encode())

    def format_patch(self, commit: str) -> bytes:
        """Return one commit as a mail that `git am` takes. Raises GitError."""
        options = (
            "-1",
            "--stdout",
            "--no-signature",
            "--zero-commit",
            "--no-stat",
            "--no-thread",
            "--subject-prefix=PATCH",
            "--encode-email-headers",
        )
        return self._git.call("format-patch", *options, *DIFF_OPTIONS, _object(commit))


def _copied(theirs: Git, entries: Iterable[TreeEntry]) -> Iterator[ImportedFile]:
    entries = list(entries)
    with blob_stream(theirs, [entry.oid for entry in entries if entry.mode != 0o160000]) as blobs:
        for entry in entries:
            data = entry.oid.encode("ascii") if entry.mode == 0o160000 else b"".join(blobs.next())
            yield ImportedFile(entry.path, entry.mode, data)


def _object(oid: str) -> str:
    if not _OBJECT.fullmatch(oid):
        raise GitError(f"{printable(oid)!r} is no object id")
    return oid
