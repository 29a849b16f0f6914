"""What a scanner says is wrong, and where."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from enum import StrEnum

from remediator.records.record import Record

ADVISORY, DESCRIBED = "advisory", "described"
"""Who is named as the scanner of a finding that came as words."""


class Severity(StrEnum):
    """How bad it is, as the scanner or advisory says."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"
    info = "info"

    @property
    def rank(self) -> int:
        """Return 0 for critical up to 4 for info: smaller is worse."""
        return list(Severity).index(self)


class Location(Record):
    """A region of one file. Lines and columns count from 1; columns count characters; the end is exclusive."""

    path: str
    start_line: int = 1
    start_column: int = 1
    end_line: int = 1
    end_column: int = 1


class TraceStep(Record):
    """One step on the way from where hostile data comes in to where it does harm."""

    location: Location
    message: str = ""


class TextEdit(Record):
    """Replace what stands at `location` by `text`."""

    location: Location
    text: str


class SuggestedFix(Record):
    """A fix that came with the finding: SARIF `fixes`, or a rule's own."""

    description: str = ""
    edits: tuple[TextEdit, ...]


class Finding(Record):
    """One suspected vulnerability. `id` depends on content only, so it survives line moves.

    `key` is what two scans have in common when they see the same flaw; `ordinal` tells apart the equal
    ones in one file. `location` is None for a finding that came as words (an advisory, a description).
    """

    id: str
    key: str
    ordinal: int = 0
    rule_id: str
    scanner: str
    message: str
    severity: Severity = Severity.medium
    cwe: tuple[int, ...] = ()
    location: Location | None = None
    snippet: str = ""
    trace: tuple[TraceStep, ...] = ()
    fixes: tuple[SuggestedFix, ...] = ()
    aliases: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    tool: str = ""
    """The program that found it, where the scanner only brings its report."""
    contract: str = ""
    """What must hold after the fix, in the words of whoever handed the finding in."""

    @classmethod
    def at(
        cls,
        *,
        rule_id: str,
        scanner: str,
        message: str,
        location: Location | None,
        snippet: str,
        ordinal: int = 0,
        severity: Severity = Severity.medium,
        cwe: tuple[int, ...] = (),
        trace: tuple[TraceStep, ...] = (),
        fixes: tuple[SuggestedFix, ...] = (),
        aliases: tuple[str, ...] = (),
        references: tuple[str, ...] = (),
    ) -> Finding:
        """Build a finding with its key and id.

        `snippet` is the source text at `location`; white space in it does not count. `ordinal` is 0 for the first
        finding with the same rule, path and snippet in file order, 1 for the next, and so on.
        """
        path = location.path if location else ""
        # A finding without a snippet is known by its message, else all of a file's would be one.
        body = re.sub(r"\s+", " ", snippet).strip() or message
        key = _short("key", scanner, rule_id, path, body)
        return cls(
            id="f-" + _short("finding", key, str(ordinal))[:12],
            key=key,
            ordinal=ordinal,
            rule_id=rule_id,
            scanner=scanner,
            message=message,
            severity=severity,
            cwe=cwe,
            location=location,
            snippet=snippet,
            trace=trace,
            fixes=fixes,
            aliases=aliases,
            references=references,
        )

    def unseen_by(self, scanners: Collection[str]) -> bool:
        """Return whether none of these scanners can find it again: it came as words, or from another scanner."""
        return self.scanner in (ADVISORY, DESCRIBED) or self.scanner not in scanners

    @property
    def headline(self) -> str:
        """Return the message's first line: what came as words may have many."""
        return next((line.strip() for line in self.message.splitlines() if line.strip()), "")

    @property
    def path(self) -> str:
        """Return the file's path, or an empty string where the finding has no location."""
        return self.location.path if self.location else ""


def _short(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:24]
