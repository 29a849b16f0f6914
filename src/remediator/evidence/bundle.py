"""Evidence bundles: what was found, what was tried and what came out of every check, signed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from remediator.artefacts import private_folder
from remediator.errors import EvidenceError
from remediator.evidence import attest
from remediator.evidence.container import ENDING, check_limits, read_files, write_archive, write_folder
from remediator.evidence.content import Attempt, BundleContent, files_of
from remediator.evidence.examine import Bundle, examine
from remediator.evidence.keys import SigningKey, TrustedKeys
from remediator.evidence.statement import statement_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\Z")
__all__ = ["Attempt", "Bundle", "BundleContent", "BundleRef", "read", "write"]


class BundleRef(NamedTuple):
    """Where a bundle lies: its folder, its one-file form, and the digest of its contents (of MANIFEST.json, which lists all others)."""

    path: Path
    archive: Path
    digest: str


def write(folder: Path, content: BundleContent, key: SigningKey) -> BundleRef:
    """Write a bundle below the folder, as `<case>-<digest>/` and `<case>-<digest>.tar.zst`, and return where it lies.

    Writing the same content again finds what is there. What is written has passed the reader's own checks. Raises StateError where the
    disk is full or a log is gone, EvidenceError where the content contradicts itself.
    """
    files = files_of(content)
    signed = attest.sign(statement_of(files, content.at.isoformat() if content.at else ""), key)
    sealed = dict(sorted({**files, attest.FILE: signed}.items()))
    check_limits(sealed)
    digest = examine(sealed, TrustedKeys([key.public])).digest
    name = f"{content.case_id}-{digest[7:19]}"
    if not _NAME.match(name):
        raise EvidenceError(f"{content.case_id!r} is no case id", hint="letters, digits, dots and dashes")
    ref = BundleRef(folder / name, folder / (name + ENDING), digest)
    private_folder(folder)
    there = _there(ref, key)
    if there is None or not ref.archive.is_file():
        write_archive(ref.archive, there or sealed)
    if there is None:
        write_folder(ref.path, sealed)
    return ref


def read(path: Path, trusted: TrustedKeys | None = None, *, digest: str = "") -> Bundle:
    """Read a bundle, folder or `.tar.zst`, and check every byte of it: digests, signature, and that its parts agree.

    With `digest`, the contents must be exactly those: an older bundle of the same case, genuine as it may be, is refused. Raises
    EvidenceError naming the file at fault. An intact signature by a key that is not trusted is no error: look at `signature`.
    """
    found = examine(read_files(path), trusted or TrustedKeys())
    if digest and found.digest != digest:
        raise EvidenceError(f"{path}: is the bundle {found.digest}, not {digest}", hint="it may be an older one of the same case")
    return found


def _there(ref: BundleRef, key: SigningKey) -> dict[str, bytes] | None:
    """Return the files of a whole, undamaged bundle of this content that is there already."""
    if not ref.path.is_dir():
        return None
    files = read_files(ref.path)
    if examine(files, TrustedKeys([key.public])).digest != ref.digest:
        raise EvidenceError(f"{ref.path} holds another bundle than its name says", hint="move it away and run again")
    return files
