"""Reads somebody else's repository as data: its HEAD, refs, index and objects, without its configuration and without running git in it."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from remediator.errors import GitError
from remediator.git_remote import check_revision
from remediator.redact import printable

_OBJECT = re.compile(r"[0-9a-f]{40}")
_SMALL = 64 * 1024
_REFS_BYTES = 64 * 1024 * 1024


class Layout(NamedTuple):
    """Where a repository keeps what. `top` is its work tree, None where it is bare; `common` holds objects and refs."""

    top: Path | None
    folder: Path
    common: Path

    @property
    def objects(self) -> Path:
        """Return the folder of its objects."""
        return self.common / "objects"


class Head(NamedTuple):
    """What is checked out. `branch` is empty where HEAD is detached, `commit` where there is none yet."""

    branch: str
    commit: str


def find_layout(folder: Path) -> Layout | None:
    """Return the repository that a folder is, or lies in, or None."""
    folder = folder.resolve()
    if _is_git_folder(folder):
        return _layout(None, folder)
    for top in (folder, *folder.parents):
        dot_git = top / ".git"
        if dot_git.is_symlink() or not dot_git.exists():
            continue
        if dot_git.is_dir() and _is_git_folder(dot_git):
            return _layout(top, dot_git)
        if dot_git.is_file():
            with contextlib.suppress(GitError) if top != folder else contextlib.nullcontext():
                return _layout(top, _pointed(dot_git))
    return None


def _is_git_folder(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and ((folder / "objects").is_dir() or (folder / "commondir").is_file())


def _pointed(dot_git: Path) -> Path:
    text = read_small(dot_git).strip()
    folder = (dot_git.parent / text.removeprefix("gitdir:").strip()).resolve()
    if not text.startswith("gitdir:") or not _is_git_folder(folder):
        raise GitError(f"{dot_git} does not point to a git folder", hint="repair the repository, or name a copy of the files")
    return folder


def _layout(top: Path | None, folder: Path) -> Layout:
    common = folder
    if (folder / "commondir").is_file():
        common = (folder / read_small(folder / "commondir").strip()).resolve()
    layout = Layout(top, folder, common)
    if not layout.objects.is_dir():
        raise GitError(f"{folder} is a damaged repository: it has no objects")
    return layout


def read_head(layout: Layout) -> Head:
    """Return what is checked out. Raises GitError where the repository uses a format that we do not read."""
    text = read_small(layout.folder / "HEAD").strip()
    if not text.startswith("ref: "):
        return Head("", _object_id(text, layout.folder / "HEAD"))
    name = text.removeprefix("ref: ").strip()
    if name == "refs/heads/.invalid":
        raise GitError(
            f"{layout.folder} keeps its refs in a format that we do not read", hint="migrate it with `git refs migrate --ref-format=files`"
        )
    return Head(name.removeprefix("refs/heads/"), find_ref(layout, name) or "")


def find_ref(layout: Layout, name: str) -> str | None:
    """Return the object that a full ref name leads to, or None. Raises GitError."""
    for _ in range(5):
        if not name.startswith("refs/") and name != "HEAD":
            return None
        check_revision(name)
        for folder in (layout.folder, layout.common):
            if (folder / name).is_file():
                text = read_small(folder / name).strip()
                break
        else:
            return _packed_refs(layout).get(name)
        if not text.startswith("ref: "):
            return _object_id(text, layout.common / name)
        name = text.removeprefix("ref: ").strip()
    raise GitError(f"the ref {printable(name)!r} leads in circles")


def candidates(revision: str) -> Iterator[str]:
    """Yield the full names that a short one may stand for, in git's order."""
    if revision in ("HEAD", "@"):
        yield "HEAD"
    for prefix in ("", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"):
        yield prefix + revision
    yield f"refs/remotes/{revision}/HEAD"


def _packed_refs(layout: Layout) -> dict[str, str]:
    path = layout.common / "packed-refs"
    if not path.is_file():
        return {}
    lines = (line.split(" ", 1) for line in read_plain(path, _REFS_BYTES).decode("utf-8", "surrogateescape").splitlines())
    return {words[1]: words[0] for words in lines if len(words) == 2 and _OBJECT.fullmatch(words[0])}


def _object_id(text: str, where: Path) -> str:
    if not _OBJECT.fullmatch(text):
        sha256 = len(text) == 64
        raise GitError(
            f"{where} holds {printable(text[:80])!r}, not an object id that we know",
            hint="repositories of the sha256 format are not read; name a copy of the files" if sha256 else "repair the repository",
        )
    return text


def read_small(path: Path) -> str:
    """Return a small regular file's text. Raises GitError."""
    return read_plain(path, _SMALL).decode("utf-8", "surrogateescape")


def read_plain(path: Path, limit_bytes: int) -> bytes:
    """Return a regular file's content without following a link at its end. Raises GitError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.closing(os.fdopen(descriptor, "rb")) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise GitError(f"{path} is not a regular file")
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise GitError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limit_bytes:
        raise GitError(f"{path} has more than {limit_bytes} bytes")
    return data


def alternates(layout: Layout) -> dict[str, str]:
    """Return the environment in which our git also sees the repository's objects."""
    quoted = str(layout.objects).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{quoted}"'}
