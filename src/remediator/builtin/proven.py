"""What every sink asks of a submission before it lets it out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from remediator.artefacts import read_regular
from remediator.errors import EvidenceError
from remediator.evidence.container import LIMITS, pack_files, read_files, unpack_files
from remediator.evidence.examine import Bundle, examine
from remediator.evidence.keys import TrustedKeys
from remediator.records.patch import Patch
from remediator.records.submission import Submission
from remediator.records.verdict import Verdict


class Proven(NamedTuple):
    """A bundle that was read and checked, and its one-file form."""

    bundle: Bundle
    patch: Patch
    verdict: Verdict
    archive: bytes


def proven_bundle(submission: Submission) -> Proven:
    """Return the submission's bundle.

    Raises EvidenceError where the patch is not proven to the level that was required, or the bundle is damaged or about something else.
    """
    if not submission.verdict.sufficient:
        raise EvidenceError(f"{submission.patch.id} is not proven to {submission.verdict.required.name}: it is not handed over")
    path = Path(submission.bundle_path)
    if path.is_dir():
        files = read_files(path)
        archive = pack_files(files)
    else:
        archive = _archive(path)
        files = unpack_files(archive, path.name)
    bundle = examine(files, TrustedKeys())
    if bundle.digest != submission.bundle_digest:
        raise EvidenceError(f"{path} is the bundle {bundle.digest}, not {submission.bundle_digest}")
    patch, verdict = bundle.patch, bundle.verdict
    if patch is None or verdict is None or (patch.id, verdict.level) != (submission.patch.id, submission.verdict.level):
        raise EvidenceError(f"{path} proves something else than {submission.patch.id} at {submission.verdict.level}")
    return Proven(bundle, patch, verdict, archive)


def _archive(path: Path) -> bytes:
    try:
        return read_regular(path, limit_bytes=LIMITS.bytes)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror}", hint="the bundle is gone; run the case again") from error
