"""Turns what the user named into a commit of our own store, and finds that commit again."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from remediator.contracts.tree import Tree
from remediator.errors import GitError, SourceError, StateError
from remediator.git import GitStore
from remediator.git_foreign import find_layout
from remediator.records.source import Source, SourceKind
from remediator.redact import printable
from remediator.source.target import FolderTarget, LocalGitTarget, PackageTarget, RemoteGitTarget, Target, read_target


class Resolved(NamedTuple):
    """A source, the store that holds it, and its files."""

    source: Source
    store: GitStore
    tree: Tree


async def resolve(
    target: str, *, revision: str | None, folder: Path, env: Mapping[str, str], offline: bool = False, strict: bool = False
) -> Resolved:
    """Fetch or read a target into a store below `folder`. `env` is what the network needs (proxies, certificates, index).

    `strict`: no git server sends us to another one, and what it gives must be in a branch or a tag of that repository.
    Raises SourceError where it cannot be had, and before any socket is opened where `offline` forbids it.
    """
    wanted = read_target(target, revision)
    if offline and isinstance(wanted, RemoteGitTarget | PackageTarget):
        raise SourceError(f"{printable(target)} needs the network, and we are offline", hint="leave --offline out, or name a local folder")
    return await asyncio.to_thread(_resolve, wanted, folder, env, strict=strict)


def reopen(source: Source, folder: Path) -> tuple[GitStore, Tree]:
    """Return the store and the files of a source that was resolved before. Raises StateError where they are gone."""
    place = store_folder(folder, source.uri)
    try:
        if not (place / "HEAD").is_file():
            raise StateError(f"the store of {printable(source.uri)} is gone", hint="start the run anew")
        store = GitStore.open(place)
        tree = store.tree(source.commit)
    except GitError as error:
        raise StateError(f"the store of {printable(source.uri)} is damaged: {error.message}", hint=error.hint) from error
    if tree.id != source.tree:
        raise StateError(f"the store of {printable(source.uri)} holds other files than were resolved", hint="start the run anew")
    return store, tree


def store_folder(folder: Path, uri: str) -> Path:
    """Return where the store of a source is kept: one store a source, so that one cannot see another's objects."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", uri.rstrip("/"))[-40:].strip("-").lower()
    return folder / f"{plain}-{hashlib.sha256(uri.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.git"


def _resolve(wanted: Target, folder: Path, env: Mapping[str, str], *, strict: bool) -> Resolved:
    match wanted:
        case FolderTarget():
            return _folder(wanted, folder)
        case LocalGitTarget():
            return _local_git(wanted.path, wanted.revision, folder)
        case RemoteGitTarget():
            return _remote_git(wanted, folder, env, strict=strict)
        case PackageTarget():
            return _package(wanted, folder, env)


def _folder(wanted: FolderTarget, folder: Path) -> Resolved:
    from remediator.source.folder import import_folder

    layout = find_layout(wanted.path)
    if layout is not None and layout.top is None:
        return _local_git(wanted.path, "HEAD", folder)
    store = GitStore.open(store_folder(folder, str(wanted.path)))
    imported = import_folder(wanted.path, store, layout)
    return _resolved(
        store,
        Source(
            kind=SourceKind.path,
            uri=str(wanted.path),
            name=wanted.path.name or "root",
            revision=imported.revision,
            commit=imported.commit,
            tree=store.tree_of(imported.commit),
            folder=imported.below,
            notes=imported.notes,
        ),
    )


def _local_git(path: Path, revision: str, folder: Path) -> Resolved:
    store = GitStore.open(store_folder(folder, str(path)))
    commit = store.fetch(str(path), revision, local=True)
    return _git(store, str(path), path.name, revision, commit)


def _remote_git(wanted: RemoteGitTarget, folder: Path, env: Mapping[str, str], *, strict: bool) -> Resolved:
    store = GitStore.open(store_folder(folder, wanted.url), env=env, strict=strict)
    commit = store.fetch(wanted.url, wanted.revision)
    return _git(store, wanted.url, wanted.url.rstrip("/").replace(":", "/"), wanted.revision or "", commit)


def _git(store: GitStore, uri: str, path: str, revision: str, commit: str) -> Resolved:
    name = PurePosixPath(path).name.removesuffix(".git") or "repository"
    tree = store.tree(commit)
    left = sum(entry.mode == 0o160000 for entry in tree.entries())
    notes = (f"{left} submodules are left out",) if left else ()
    source = Source(kind=SourceKind.git, uri=uri, name=name, revision=revision, commit=commit, tree=tree.id, notes=notes)
    return Resolved(source, store, tree)


def _package(wanted: PackageTarget, folder: Path, env: Mapping[str, str]) -> Resolved:
    from remediator.source.package import import_package

    uri = f"pkg:pypi/{wanted.name}@{wanted.version}"
    store = GitStore.open(store_folder(folder, uri))
    imported = import_package(wanted, store, env)
    return _resolved(
        store,
        Source(
            kind=SourceKind.package,
            uri=uri,
            name=wanted.name,
            revision=wanted.version,
            commit=imported.commit,
            tree=store.tree_of(imported.commit),
            version=wanted.version,
            archive_digest=imported.digest,
            released=imported.released,
            notes=imported.notes,
        ),
    )


def _resolved(store: GitStore, source: Source) -> Resolved:
    return Resolved(source, store, store.tree(source.commit))
