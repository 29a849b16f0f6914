"""What a scan looked at, what it could not look at, and what it found."""

from __future__ import annotations

from remediator.records.finding import Finding
from remediator.records.record import Record


class Covered(Record):
    """Files that a scanner read to the end with rules that apply to them."""

    scanner: str
    paths: tuple[str, ...]


class Unchecked(Record):
    """A file (or, with an empty path, the whole tree) that a scanner should have read and could not.

    `reason` is one of: parse-error, timeout, too-large, unreadable, scanner-error, binary, link, cannot-rerun.
    """

    scanner: str
    path: str
    reason: str
    detail: str = ""


CANNOT_RERUN = "cannot-rerun"
"""The reason of a scanner that only brings a report which was made before: it broke nothing, and says nothing of a patched tree."""

ScanItem = Finding | Covered | Unchecked
"""What a Scanner yields."""


class ScanReport(Record):
    """The sum of what all scanners of a run yielded on one tree."""

    tree: str
    findings: tuple[Finding, ...] = ()
    covered: tuple[str, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    uncovered: dict[str, int] = {}
    """File ending to number of files that no scanner covers."""
    scanners: dict[str, str] = {}
    """Scanner name to a version or digest of what ran, rules included."""
    supplied: tuple[Finding, ...] = ()
    """What was handed in with the request: no scanner of this run need have seen it, so no re-scan is compared with it."""

    @property
    def known(self) -> tuple[Finding, ...]:
        """Return every finding there is: what was handed in, then what was found besides. What is both is told as found."""
        found = {finding.id: finding for finding in self.findings}
        given = {finding.id: _as_found(finding, found.get(finding.id)) for finding in self.supplied}
        return tuple({**given, **{key: item for key, item in found.items() if key not in given}}.values())

    @property
    def complete(self) -> bool:
        """Return whether every file that a scanner claims was read to the end."""
        return not self.unchecked

    @property
    def not_rerun(self) -> frozenset[str]:
        """Return the scanners that, by their nature, could not be run on this tree."""
        return frozenset(item.scanner for item in self.unchecked if item.reason == CANNOT_RERUN)

    def unread_for(self, scanner: str) -> tuple[Unchecked, ...]:
        """Return what puts this report's silence about a finding of `scanner` in doubt.

        That is all that was not read, but for what another scanner would have had to read that cannot be run again by its nature.
        """
        return tuple(item for item in self.unchecked if item.reason != CANNOT_RERUN or item.scanner == scanner)


def _as_found(given: Finding, found: Finding | None) -> Finding:
    return found.model_copy(update={"contract": given.contract}) if found else given
