"""Reads what the user named as the target, without touching the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from remediator.errors import GitError, SourceError
from remediator.git_remote import check_url, is_scp_like
from remediator.redact import Redactor, printable

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z][A-Za-z0-9+.-]*::")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_FORMS = "name a folder, an https or ssh address of a git repository, or pypi:NAME==VERSION"


class FolderTarget(NamedTuple):
    """A folder on this machine, as it is now."""

    path: Path


class LocalGitTarget(NamedTuple):
    """A commit of a repository on this machine."""

    path: Path
    revision: str


class RemoteGitTarget(NamedTuple):
    """A commit of a repository on a server; `revision` None is what the server has checked out."""

    url: str
    revision: str | None


class PackageTarget(NamedTuple):
    """A published version of a Python package; the name is normalised."""

    name: str
    version: str


Target = FolderTarget | LocalGitTarget | RemoteGitTarget | PackageTarget


def read_target(text: str, revision: str | None = None) -> Target:
    """Return what a target means. Raises SourceError where it means nothing."""
    if text.startswith(("pypi:", "pkg:")):
        return _package(text, revision)
    plain = re.sub(r"^git\+(?=https://|ssh://)", "", text)
    if _SCHEME.match(plain) or (is_scp_like(plain) and not _exists(plain)):
        return _remote(plain, revision)
    return _local(text, revision)


def rooted(text: str) -> str:
    """Return the target by a name that means the same from every folder. Raises SourceError where it means nothing."""
    match read_target(text):
        case FolderTarget(path):
            return str(path)
        case LocalGitTarget(path, revision):
            return f"{path}@{revision}"
        case _:
            return text


def _package(text: str, revision: str | None) -> PackageTarget:
    shown = printable(text)
    if text.startswith("pkg:") and not text.startswith("pkg:pypi/"):
        raise SourceError(f"{shown!r} is a package of an ecosystem that is not fetched", hint="use pypi:NAME==VERSION")
    if text.startswith("pkg:"):
        name, _, version = text.removeprefix("pkg:pypi/").split("?", 1)[0].split("#", 1)[0].partition("@")
        name, version = unquote(name), unquote(version)
    else:
        name, _, version = text.removeprefix("pypi:").partition("==")
    if not version:
        raise SourceError(f"{shown!r} names no version", hint="use pypi:NAME==VERSION; what is proven is proven for one version")
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise SourceError(f"{shown!r} is no name and version of a package", hint="use pypi:NAME==VERSION")
    if revision:
        raise SourceError(f"{shown!r} has no revisions", hint="leave the revision out; the version says which one")
    return PackageTarget(re.sub(r"[-_.]+", "-", name).lower(), version)


def _remote(text: str, revision: str | None) -> RemoteGitTarget:
    if text.startswith("file://"):
        raise SourceError(f"{printable(text)!r} is a local address", hint=f"use the path itself: {printable(text.removeprefix('file://'))}")
    if text.endswith("@"):
        raise SourceError(
            f"{printable(Redactor()(text))!r} names no revision after its @", hint="leave the @ out, or name a branch, tag or commit"
        )
    url, named = _split_revision(text)
    if named and revision and named != revision:
        raise SourceError(f"{printable(named)!r} and {printable(revision)!r} are named as revision", hint="name one")
    try:
        return RemoteGitTarget(check_url(url), named or revision)
    except GitError as error:
        raise SourceError(error.message, hint=error.hint) from error


def _split_revision(text: str) -> tuple[str, str | None]:
    start = text.find("/", text.find("://") + 3) if "://" in text else text.find(":")
    at = text.rfind("@")
    # An @ that begins a folder's name belongs to the path.
    if start == -1 or at <= start + 1 or text[at - 1] == "/":
        return text, None
    return text[:at], text[at + 1 :]


def _local(text: str, revision: str | None) -> Target:
    path = _path(text)
    if not _exists(text) and "@" in text and _exists(before := text.rpartition("@")[0]):
        named = text.rpartition("@")[2]
        if revision and revision != named:
            raise SourceError(f"{printable(named)!r} and {printable(revision)!r} are named as revision", hint="name one")
        path, revision = _path(before), named
    if not _exists(str(path)) or not text:
        raise SourceError(f"there is no {printable(Redactor()(text))!r}", hint=_FORMS)
    if not path.is_dir():
        raise SourceError(f"{printable(text)!r} is a single file", hint="name the folder that it is in: fixes are proven on whole projects")
    return LocalGitTarget(path.resolve(), revision) if revision else FolderTarget(path.resolve())


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _exists(text: str) -> bool:
    try:
        return bool(text) and _path(text).exists()
    except (OSError, ValueError, RuntimeError):
        # Too long, or holding characters that no path has.
        return False
