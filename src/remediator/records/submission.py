"""What is handed over, and what the receiver said."""

from __future__ import annotations

from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.record import Record, digest_of
from remediator.records.source import Source
from remediator.records.verdict import Verdict


class Submission(Record):
    """A verified fix on its way out. `id` depends on source, patch and verdict level: handing it over twice is handing it over once."""

    id: str
    case_id: str
    source: Source
    finding: Finding
    patch: Patch
    verdict: Verdict
    bundle_digest: str
    bundle_path: str

    @staticmethod
    def identify(source: Source, finding: Finding, patch: Patch, verdict: Verdict) -> str:
        """Return the content-derived id."""
        parts = (source.uri, source.commit, finding.id, patch.id, str(verdict.level))
        return "s-" + digest_of("\0".join(parts).encode("utf-8", "surrogateescape"))[7:31]


class Receipt(Record):
    """A sink's answer. `duplicate` says that this submission was already there, `delivered` that the receiver has it.

    One that is not delivered is kept by the sink, and `detail` says why, and what brings it on its way.
    """

    submission_id: str
    sink: str
    location: str = ""
    duplicate: bool = False
    delivered: bool = True
    detail: str = ""
