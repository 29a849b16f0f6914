"""Which files somebody's repository tracks: its index is copied and read by our git with our configuration."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from remediator.git_command import Git
from remediator.git_foreign import Layout, alternates, read_plain

_LARGEST = 512 * 1024 * 1024


class Tracked(NamedTuple):
    """One tracked path. `sparse` files need not be on disk; `conflict` says that a merge left several versions."""

    path: str
    mode: int
    oid: str
    sparse: bool = False
    conflict: bool = False


def tracked_files(store: Path, layout: Layout) -> list[Tracked]:
    """Return what the index tracks, sorted by path. Raises GitError where it cannot be read."""
    with _copied_index(store, layout) as git:
        listing = git.call("ls-files", "-z", "-s", "-t", "--full-name")
    found: dict[str, Tracked] = {}
    for line in listing.split(b"\0"):
        if line:
            file = _tracked(line)
            found.setdefault(file.path, file)
    return [found[path] for path in sorted(found)]


def _tracked(line: bytes) -> Tracked:
    facts, _, path = line.partition(b"\t")
    tag, mode, oid, stage = facts.decode("ascii").split()
    return Tracked(path.decode("utf-8", "surrogateescape"), int(mode, 8), oid, sparse=tag == "S", conflict=stage != "0")


def keeps_modes(layout: Layout) -> bool:
    """Return whether executable bits on disk mean something; some file systems set all of them. Only this one setting is read."""
    path = layout.common / "config"
    if not path.is_file():
        return True
    said = Git(layout.folder, env={"GIT_DIR": "/nonexistent"}).run(
        "config", "--file", str(path), "--no-includes", "--type=bool", "--get", "core.fileMode"
    )
    return said.stdout.strip() != b"false"


def count_untracked(store: Path, layout: Layout, prefix: str) -> int:
    """Return how many files are neither tracked nor ignored. Only names and ignore files are read. Raises GitError."""
    assert layout.top
    with _copied_index(store, layout) as git:
        excludes = layout.common / "info" / "exclude"
        extra = [f"--exclude-from={excludes}"] if excludes.is_file() and not excludes.is_symlink() else []
        where = git.where(GIT_WORK_TREE=str(layout.top))
        pathspec = ["--", f":(top,literal){prefix.rstrip('/')}"] if prefix else []
        listing = where.call("ls-files", "-z", "-o", "--exclude-standard", *extra, *pathspec, timeout_seconds=60)
    return listing.count(b"\0")


@contextlib.contextmanager
def _copied_index(store: Path, layout: Layout) -> Iterator[Git]:
    """Open a git folder of ours that has a copy of the index, so that nothing there runs and nothing here changes."""
    folder = Path(tempfile.mkdtemp(prefix="index-", dir=store))
    try:
        Git(folder).call("init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=main")
        for path in (layout.folder / "index", *sorted(layout.folder.glob("sharedindex.*"))):
            if path.is_file():
                (folder / path.name).write_bytes(read_plain(path, _LARGEST))
        with (folder / "config").open("a") as config:
            config.write("[core]\n\tbare = false\n")
        yield Git(folder, env={**alternates(layout), "GIT_WORK_TREE": str(folder)})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
