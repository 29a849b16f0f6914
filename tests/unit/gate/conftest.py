from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from remediator.contracts import Tree, TreeEntry
from remediator.records import Finding, Location, Patch
from remediator.testing.fake_workspace import FakeWorkspace

_CLEAN = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": "/nonexistent"}


class Git:
    """A bare repository that real git writes trees into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = 0
        folder.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True, env=_CLEAN)

    def __call__(self, *args: str, stdin: bytes = b"", index: str = "index") -> bytes:
        env = {**_CLEAN, "GIT_INDEX_FILE": str(self.folder / index)}
        done = subprocess.run(["git", "--git-dir", str(self.folder), *args], input=stdin, capture_output=True, env=env, check=False)
        if done.returncode:
            raise ValueError(done.stderr.decode())
        return done.stdout

    def tree(self, files: dict[str, bytes], *, modes: dict[str, str] | None = None) -> GitTree:
        rows = [
            f"{(modes or {}).get(path, '100644')} {self('hash-object', '-w', '--stdin', stdin=data).decode().strip()}\t{path}\0"
            for path, data in files.items()
        ]
        self.index += 1
        index = f"index-{self.index}"
        self("update-index", "-z", "--index-info", stdin="".join(rows).encode("utf-8", "surrogateescape"), index=index)
        return GitTree(self, self("write-tree", index=index).decode().strip())

    def applied(self, tree: GitTree, diff: str) -> GitTree:
        self.index += 1
        index = f"index-{self.index}"
        self("read-tree", tree.id, index=index)
        self("apply", "--cached", "--whitespace=nowarn", stdin=diff.encode(), index=index)
        return GitTree(self, self("write-tree", index=index).decode().strip())

    def diff(self, before: GitTree, after: GitTree, *options: str) -> str:
        return self("diff", "--no-renames", "--full-index", *options, before.id, after.id).decode()


class GitTree(Tree):
    def __init__(self, git: Git, oid: str) -> None:
        self._git, self._id = git, oid
        self._entries: list[TreeEntry] | None = None

    @property
    def id(self) -> str:
        return self._id

    @property
    def commit(self) -> str:
        return "0" * 40

    def entries(self) -> Sequence[TreeEntry]:
        if self._entries is None:
            self._entries = sorted(map(_entry, self._git("ls-tree", "-rlz", self._id).split(b"\0")[:-1]))
        return self._entries

    def read(self, path: str, *, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
        entry = self.find(path)
        if entry is None or not entry.is_file:
            raise KeyError(path)
        return self._git("cat-file", "blob", entry.oid)

    def tar(self) -> Iterator[bytes]:
        raise tarfile.TarError


def _entry(row: bytes) -> TreeEntry:
    head, _, name = row.partition(b"\t")
    mode, _, oid, size = head.split()
    return TreeEntry(name.decode("utf-8", "surrogateescape"), int(mode, 8), oid.decode(), 0 if size == b"-" else int(size))


class GateWorkspace(FakeWorkspace):
    def __init__(self, scratch: Path, base: Tree, tree: Tree, **answers: object) -> None:
        super().__init__({}, scratch, **answers)  # type: ignore[arg-type]
        self.base, self.tree = base, tree  # type: ignore[assignment]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "store.git")


@pytest.fixture
def patch_of() -> Callable[[str], Patch]:
    return lambda diff: Patch.of(finding_id="f-1", fixer="test", title="a patch", diff=diff)


@pytest.fixture
def workspace_of(git: Git, tmp_path: Path) -> Callable[..., GateWorkspace]:
    def make(files: dict[str, bytes], diff: str, **answers: object) -> GateWorkspace:
        base = git.tree(files)
        return GateWorkspace(tmp_path, base, git.applied(base, diff), **answers)

    return make


@pytest.fixture
def finding_at() -> Callable[..., Finding]:
    def make(
        path: str, line: int, snippet: str, *, rule: str = "yaml-load", cwe: tuple[int, ...] = (502,), ordinal: int = 0, end: int = 0
    ) -> Finding:
        where = Location(path=path, start_line=line, start_column=1, end_line=end or line, end_column=len(snippet) + 1)
        return Finding.at(rule_id=rule, scanner="s", message="m", location=where, snippet=snippet, cwe=cwe, ordinal=ordinal)

    return make
