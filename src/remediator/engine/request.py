"""What may be asked of the engine, and what it answers."""

from __future__ import annotations

import posixpath
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import field_validator, model_validator

from remediator.contracts import Engine, Tree
from remediator.errors import UsageError
from remediator.records.advisory import Advisory
from remediator.records.case import Case
from remediator.records.finding import Finding, Severity
from remediator.records.patch import ReasonCode
from remediator.records.recipe import Baseline
from remediator.records.record import Record
from remediator.records.reproducer import Reproducer
from remediator.records.scan import ScanReport
from remediator.records.source import Source
from remediator.records.spend import Spend
from remediator.records.verdict import EvidenceLevel


class FixRequest(Record):
    """One run's order. `only` holds finding ids, rule ids, `CWE-n` or `path:line`.

    `supplied` are findings to work on whether or not a scanner sees them; `advisories` are such findings too, refused where they are about
    another package than the target. All other fields narrow or override settings.

    `paths` are relative to the target; `./a/../b/` is the same as `b`.
    """

    target: str
    revision: str | None = None
    playbook: str | None = None
    supplied: tuple[Finding, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    only: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    severity: Severity | None = None
    rules: tuple[str, ...] = ()
    sarif: tuple[Path, ...] = ()
    resume: bool = False
    sandbox: str | None = None
    required: EvidenceLevel | None = None
    minutes: float | None = None
    reproducer: Reproducer | None = None
    """A test that shows the flaw, for every case of this run."""
    model: str | None = None
    """The operator's name for a model: the agent is asked where nothing else fixes, with this one."""
    candidates: int | None = None
    usd: Decimal | None = None
    """The most that the whole run may spend."""
    strict: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_old_fields(cls, value: Any) -> Any:
        # A journal of an earlier release holds a field that was never used.
        return {key: item for key, item in value.items() if key != "findings"} if isinstance(value, dict) else value

    @property
    def handed_in(self) -> tuple[Finding, ...]:
        """Return every finding that came with the request."""
        return (*self.supplied, *(advisory.finding for advisory in self.advisories))

    @field_validator("paths")
    @classmethod
    def _plain(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(posixpath.normpath(path) for path in paths)

    def check_paths(self, tree: Tree) -> None:
        """Raise UsageError naming the first of `paths` at which the target has neither file nor folder."""
        for given in self.paths:
            if not any(_is_within(entry.path, given) for entry in tree.entries()):
                raise UsageError(f"--path {given}: the target has no such file or folder", hint="paths are relative to the target")

    def wants(self, finding: Finding) -> bool:
        """Return whether a finding is within what was asked for.

        What was handed in is wanted whatever the filters say, unless `only` names some of it: then only that. Whoever hands findings in
        and selects nothing else wants no others.
        """
        given = {item.id: item for item in self.handed_in}
        if finding.id in given:
            named = {item.id for item in given.values() if any(_matches(word, item) for word in self.only)}
            return not named or finding.id in named
        if given and not (self.only or self.paths or self.severity):
            return bool(self.sarif) and finding.scanner == "sarif"
        return self._selects(finding)

    def _selects(self, finding: Finding) -> bool:
        if self.severity and finding.severity.rank > self.severity.rank:
            return False
        if self.paths and not self.has_in_view(finding.path):
            return False
        return not self.only or any(_matches(word, finding) for word in self.only)

    def has_in_view(self, path: str) -> bool:
        """Return whether a file is within `paths`."""
        return not self.paths or any(_is_within(path, given) for given in self.paths)


class RunReport(Record):
    """What came of a run."""

    run_id: str
    target: str
    source: Source | None = None
    scan: ScanReport | None = None
    cases: tuple[Case, ...] = ()
    baseline: Baseline | None = None
    engine: Engine | None = None
    left_out: int = 0
    could_not_check: tuple[str, ...] = ()
    interrupted: bool = False
    resumed: bool = False
    seconds: float = 0.0

    @property
    def spend(self) -> Spend:
        """Return what all cases cost."""
        return sum((case.spend for case in self.cases), Spend())

    @property
    def usd_per_fix(self) -> Decimal | None:
        """Return what a verified fix cost, the failures included; None where there is none, or not all of the cost is known."""
        fixed, spend = sum(case.fixed for case in self.cases), self.spend
        return spend.usd / fixed if fixed and not spend.unpriced_tokens else None

    @property
    def budget_hit(self) -> bool:
        """Return whether a case ended because money or time was used up."""
        return any(case.closed is ReasonCode.budget for case in self.cases)


def _is_within(path: str, given: str) -> bool:
    return given == "." or path == given or path.startswith(given + "/")


def _matches(word: str, finding: Finding) -> bool:
    if word.upper().startswith("CWE-") and word[4:].isdigit():
        return int(word[4:]) in finding.cwe
    if finding.id.startswith(word) or word in (finding.rule_id, *finding.aliases):
        return True
    if finding.location is None:
        return False
    word = word.removeprefix("./")
    path, _, line = word.rpartition(":")
    if path and line.isdigit():
        return finding.path == path and finding.location.start_line <= int(line) <= finding.location.end_line
    return finding.path == word
