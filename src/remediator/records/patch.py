"""What a fixer proposes, or why it does not."""

from __future__ import annotations

from enum import StrEnum

from remediator.records.record import Record, digest_of


class ReasonCode(StrEnum):
    """Why a case ended as it did. A closed list, and a contract."""

    fixed = "fixed"
    needs_model = "needs-model"
    no_safe_transform = "no-safe-transform"
    blocked_by_parent = "blocked-by-parent"
    no_upstream_fix = "no-upstream-fix"
    ambiguous_intent = "ambiguous-intent"
    needs_design = "needs-design"
    verify_failed = "verify-failed"
    below_required = "below-required"
    budget = "budget"
    duplicate = "duplicate"
    leased_elsewhere = "leased-elsewhere"
    waived = "waived"
    embargoed = "embargoed"
    stale = "stale"
    out_of_scope = "out-of-scope"
    could_not_check = "could-not-check"


class Patch(Record):
    """A unified diff (git format, UTF-8, paths with a/ and b/) against the base tree.

    `behaviour` says in one or two sentences what the change may alter for callers. `id` depends on the diff only.
    """

    id: str
    finding_id: str
    fixer: str
    title: str
    diff: str
    behaviour: str = ""
    transform: str = ""

    @property
    def size(self) -> int:
        """Return how many lines the diff adds and takes away."""
        lines = self.diff.split("\n")
        return sum(line[:1] in ("+", "-") and not line.startswith(("+++ ", "--- ")) for line in lines)

    @classmethod
    def of(
        cls,
        *,
        finding_id: str,
        fixer: str,
        title: str,
        diff: str,
        behaviour: str = "",
        transform: str = "",
    ) -> Patch:
        """Build a patch with its content-derived id."""
        return cls(
            id="p-" + digest_of(diff.encode("utf-8", "surrogateescape"))[7:19],
            finding_id=finding_id,
            fixer=fixer,
            title=title,
            diff=diff,
            behaviour=behaviour,
            transform=transform,
        )


class Declined(Record):
    """A fixer's honest no."""

    finding_id: str
    fixer: str
    reason: ReasonCode
    detail: str = ""
