"""The base tree inside a bundle, so that a stranger can replay without the source."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from remediator.contracts.tree import Tree, TreeEntry
from remediator.errors import EvidenceError
from remediator.evidence.compress import compress, decompress
from remediator.evidence.gittree import GitEntry, blob_id, tree_id
from remediator.evidence.tarball import LINK, Limits, Member, check_path, encoded, pack, unpack

LIMITS = Limits(members=100_000, bytes=128 * 1024 * 1024)
ARCHIVE = "base.tar.zst"
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_MODES = (0o100644, 0o100755, 0o120000, 0o160000)


class Base(NamedTuple):
    """The unpatched tree: its git ids, and its files unless they were too many.

    `archive` is empty where the tree was left out, `reason` says why. `omitted` are entries known by their id only: submodules, and
    links that leave the tree. The ids of all files together give `tree`, so the archive can be checked against any clone.
    """

    tree: str
    commit: str
    archive: bytes = b""
    omitted: tuple[GitEntry, ...] = ()
    reason: str = ""

    @classmethod
    def of(cls, tree: Tree, *, limits: Limits = LIMITS) -> Base:
        """Pack a tree; do it once for a run and give the result to every bundle.

        Raises EvidenceError where the tree is not what its id says.
        """
        entries = {entry.path: entry for entry in tree.entries()}
        size = sum(entry.size for entry in entries.values())
        if len(entries) > limits.members or size > limits.bytes:
            return cls(tree.id, tree.commit, reason=f"too large: {len(entries)} files, {size} bytes")
        members = list(_members(tree, entries))
        carried = {member.path for member in members}
        omitted = tuple(GitEntry(encoded(path), entry.mode, entry.oid) for path, entry in entries.items() if path not in carried)
        base = cls(tree.id, tree.commit, compress(pack(members)), tuple(sorted(omitted)))
        base.check()
        return base

    @property
    def included(self) -> bool:
        """Return whether the files are here."""
        return bool(self.archive)

    def files(self) -> Iterator[Member]:
        """Yield the files. Raises EvidenceError where they are not here or not what the tree's id says."""
        if not self.included:
            raise EvidenceError(f"the bundle does not carry its base tree: {self.reason}", hint="name the source to replay against")
        yield from self.check()

    def check(self) -> list[Member]:
        """Unpack the archive, compare it with the tree's id, and return its files. Raises EvidenceError."""
        data = decompress(self.archive, origin=ARCHIVE, limit_bytes=2 * LIMITS.bytes)
        members = list(unpack(io.BytesIO(data).read, origin=ARCHIVE, limits=LIMITS))
        self._check(members)
        return members

    def as_json(self) -> dict[str, Any]:
        """Return everything but the archive."""
        omitted = [
            {"path": entry.path.decode("utf-8", "surrogateescape"), "mode": f"{entry.mode:o}", "oid": entry.oid} for entry in self.omitted
        ]
        return {"tree": self.tree, "commit": self.commit, "included": self.included, "reason": self.reason, "omitted": omitted}

    @classmethod
    def from_json(cls, value: Any, archive: bytes) -> Base:
        """Read what `as_json` wrote. Raises EvidenceError."""
        try:
            omitted = tuple(GitEntry(encoded(item["path"]), int(item["mode"], 8), item["oid"]) for item in value["omitted"])
            base = cls(value["tree"], value["commit"], archive, omitted, value["reason"])
            sound = value == base.as_json() and all(_OID.match(entry.oid) and entry.mode in _MODES for entry in omitted)
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceError("base.json: not as bundles have it") from error
        if not sound or not _OID.match(base.tree) or len({len(base.tree), *(len(entry.oid) for entry in omitted)}) != 1:
            raise EvidenceError("base.json: not as bundles have it")
        for entry in omitted:
            check_path(entry.path, "base.json")
        return base

    def _check(self, members: Iterable[Member]) -> None:
        found = [GitEntry(encoded(member.path), member.mode, blob_id(member.data, like=self.tree)) for member in members]
        actual = tree_id([*found, *self.omitted], like=self.tree)
        if actual != self.tree:
            raise EvidenceError(f"{ARCHIVE}: holds the tree {actual}, not {self.tree}")


class _Stream:
    """Reads from an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            if not self._rest:
                # An empty chunk is not the end.
                self._rest = next((chunk for chunk in self._chunks if chunk), b"")
                if not self._rest:
                    break
            parts.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)


def _members(tree: Tree, entries: dict[str, TreeEntry]) -> Iterator[Member]:
    with tarfile.open(fileobj=_Stream(iter(tree.tar())), mode="r|", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for info in archive:
            entry = entries.get(info.name.removeprefix("./"))
            if entry is None or not (info.isreg() or info.issym()):
                continue
            file = archive.extractfile(info) if info.isreg() else None
            yield Member(entry.path, entry.mode if file else LINK, file.read() if file else encoded(info.linkname))
