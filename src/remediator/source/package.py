"""A package's published source archive: found through the index's simple API, checked by its digest, unpacked by ourselves.

Never through pip: it would run the archive's own build script on this machine.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from remediator.errors import SourceError
from remediator.git import GitStore
from remediator.redact import printable
from remediator.source.archive import open_archive
from remediator.source.index import Index, fail
from remediator.source.target import PackageTarget

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

_LARGEST = 512 * 1024 * 1024
# What we prefer where a version has several, and all that we can unpack.
_ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip", ".tar")
_UNTOLD = datetime(2000, 1, 1, tzinfo=UTC)


class ImportedPackage(NamedTuple):
    """A published version as a commit of our store."""

    commit: str
    digest: str
    released: datetime | None
    notes: tuple[str, ...]


def import_package(wanted: PackageTarget, store: GitStore, env: Mapping[str, str]) -> ImportedPackage:
    """Keep a version's published source archive in the store. Raises SourceError where there is none, or it cannot be trusted."""
    with Index(env) as index, tempfile.TemporaryFile(dir=store.folder) as file:
        found = _source_archive(wanted, index.versions(wanted.name))
        digest = found.digests.get("sha256", "").lower()
        if not digest:
            raise SourceError(f"the index gives no sha256 for {printable(found.filename)}", hint="use an index that does")
        _download(index, found, digest, file)
        archive = open_archive(file, found.filename)
        released = found.upload_time.astimezone(UTC) if found.upload_time else None
        commit = store.import_files(archive.files(), message=f"{wanted.name} {wanted.version}", when=released or _UNTOLD)
    notes = [f"unpacked from {printable(found.filename)}", *_yanked(found), *archive.notes]
    if released is None:
        notes.append("the index does not say when this version was released")
    return ImportedPackage(commit, f"sha256:{digest}", released, tuple(notes))


def _yanked(found: DistributionPackage) -> list[str]:
    if not found.is_yanked:
        return []
    why = printable(found.yanked_reason or "")[:200]
    return [f"this version was yanked{f': {why}' if why else ''}"]


def _source_archive(wanted: PackageTarget, files: list[DistributionPackage]) -> DistributionPackage:
    same = [file for file in files if _same_version(file.version, wanted.version)]
    sources = [file for file in same if file.package_type == "sdist"]
    known = [file for file in sources if file.filename.lower().endswith(_ENDINGS)]
    if known:
        return min(known, key=lambda file: (_rank(file.filename), file.filename))
    name = f"{wanted.name} {wanted.version}"
    if sources:
        raise SourceError(
            f"the source archive of {name} is of a kind that we do not unpack: {printable(sources[0].filename)}", hint=_INSTEAD
        )
    if same:
        kinds = ", ".join(sorted({file.package_type or "other" for file in same}))
        raise SourceError(f"{name} was published without a source archive (there is: {kinds})", hint=_INSTEAD)
    raise SourceError(f"{wanted.name} has no version {wanted.version}", hint=_near(files))


_INSTEAD = "name its git repository with the version's tag instead: https://host/path@TAG"


def _near(files: list[DistributionPackage]) -> str:
    versions = {file.version for file in files if file.version and file.package_type == "sdist"}
    if not versions:
        return "it has no version with a source archive; name its git repository instead"
    latest = sorted(versions, key=_order)[-8:]
    return f"versions with a source archive, latest last: {printable(', '.join(latest))}"


def _order(version: str) -> tuple[int, Any]:
    from packaging.version import InvalidVersion, Version

    try:
        return (1, Version(version))
    except InvalidVersion:
        return (0, version)


def _rank(filename: str) -> int:
    return next(rank for rank, ending in enumerate(_ENDINGS) if filename.lower().endswith(ending))


def _same_version(one: str | None, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    if one is None:
        return False
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _download(index: Index, found: DistributionPackage, digest: str, file: IO[bytes]) -> None:
    name = printable(found.filename)
    if found.size is not None and found.size > _LARGEST:
        raise SourceError(f"{name} has {found.size} bytes, more than {_LARGEST}", hint=_INSTEAD)
    actual = hashlib.sha256()
    size = 0
    for chunk in index.content(found.url, name):
        size += len(chunk)
        if size > _LARGEST:
            raise SourceError(f"{name} has more than {_LARGEST} bytes", hint=_INSTEAD)
        actual.update(chunk)
        file.write(chunk)
    if actual.hexdigest() != digest:
        raise fail(
            f"{name} is not what the index says: its sha256 is {actual.hexdigest()}, not {printable(digest[:80])}",
            "do not use it; try again",
        )
    file.seek(0)
