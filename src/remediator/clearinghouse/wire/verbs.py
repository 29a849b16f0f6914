"""The bodies of the verbs: what each asks. Texts are hostile, so each has a size."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from remediator.clearinghouse.wire.terms import MOST_RECEIPT_COUNT, MOST_TTL_SECONDS, PROTOCOL, Opinion, Tlp, Verb
from remediator.records.record import Record


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path lies within the repository")
    return path


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{16,120}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Claim = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Project = Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
"""A repository or package without its version: a purl such as `pkg:pypi/pyanyapi`, or a git URL. See `wire.identity.project`."""
Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{2,99}$")]
Short = Annotated[str, StringConstraints(max_length=500)]
Long = Annotated[str, StringConstraints(max_length=20_000)]
Path = Annotated[str, StringConstraints(max_length=4_096), AfterValidator(_inside)]
Link = Annotated[str, StringConstraints(max_length=1000, pattern=r"^https?://[^\s\x00-\x20<>\"\\^`{|}]+$")]


class Request(Record):
    """What is signed: a verb with its body, by whom, for which clearinghouse, and who may be told when.

    `key` is the idempotency key: the same key from the same submitter is done once, and answered the same; with another body it is refused.
    `audience` is the key id of the clearinghouse's ledger key, so that what was signed for one is worth nothing at another.
    """

    protocol: str = PROTOCOL
    verb: Verb
    key: Key
    audience: str = Field(max_length=100)
    submitter: Id
    at: AwareDatetime
    tlp: Tlp = Tlp.amber
    embargo_until: AwareDatetime | None = None
    body: dict[str, Any]


class LeaseBody(Record):
    """Ask that nobody else scans a project for a while. `commits` is a range such as `v1..v2`, `scope` CWEs or paths; empty is all."""

    project: Project
    commits: Short = ""
    scope: tuple[Short, ...] = Field(default=(), max_length=50)
    ttl_seconds: int = Field(default=3600, ge=1, le=MOST_TTL_SECONDS)
    contact: Short = ""


class RenewBody(Record):
    """Keep a lease. The fencing token shows that it is still yours; one that was taken over since is refused as stale."""

    lease_id: Id
    fencing: int = Field(ge=1)
    ttl_seconds: int = Field(default=3600, ge=1, le=MOST_TTL_SECONDS)


class ReleaseBody(Record):
    """Give a lease back before its time."""

    lease_id: Id
    fencing: int = Field(ge=1)


class ClaimCheckBody(Record):
    """Ask whether a flaw is known already, without telling it: HMAC-SHA256 of its fingerprints under the epoch's key."""

    epoch: int = Field(ge=0, lt=2**31)
    claims: tuple[Claim, ...] = Field(min_length=1, max_length=100)


class FlawBody(Record):
    """What identifies and describes a flaw, without line numbers, so that it survives line moves."""

    project: Project
    version: Short = ""
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")] = ""
    path: Path = ""
    cwe: tuple[Annotated[int, Field(ge=1, le=99_999)], ...] = Field(default=(), max_length=20)
    snippet: Long = ""
    aliases: tuple[Alias, ...] = Field(default=(), max_length=50)
    severity: Annotated[str, StringConstraints(pattern=r"^(critical|high|medium|low|info)$")] = "medium"
    title: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    details: Long = ""
    references: tuple[Link, ...] = Field(default=(), max_length=50)
    line: int = Field(default=0, ge=0)
    automatable: bool | None = None
    technical_impact_total: bool | None = None


class FindingBody(Record):
    """Report a flaw."""

    flaw: FlawBody
    scanner: Short
    rule_id: Short = ""
    lease_id: Id | None = None
    fencing: int | None = Field(default=None, ge=1)


class AssessBody(Record):
    """Say of a flaw or a fix whether it is right. `tests_passed` None is: no test was run."""

    subject: Id
    opinion: Opinion
    reason: Long = ""
    tests_passed: bool | None = None
    evidence: Digest | None = None


class FixBody(Record):
    """Hand over a fix with its proof. The bundle was put under its digest before (`PUT /v1/blobs/<digest>`).

    `submission_id` is content-derived, so that whoever submits twice submits once. `claimed_level` is what the submitter says, and is not
    believed. `fixed_version` is the release that carries the fix, where there is one.
    """

    flaw: FlawBody
    submission_id: Id
    patch_id: Id
    bundle: Digest
    bundle_bytes: int = Field(ge=1)
    claimed_level: int = Field(ge=0, le=5)
    fixed_version: Short = ""
    lease_id: Id | None = None
    fencing: int | None = Field(default=None, ge=1)


class SupersedeBody(Record):
    """Replace one's own fix by another of one's own for the same flaw."""

    fix_id: Id
    by: Id
    reason: Short


class RevokeBody(Record):
    """Take a fix back: it was bypassed, or breaks something."""

    fix_id: Id
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class OptOutBody(Record):
    """A maintainer's wish: nobody scans this project on the clearinghouse's behalf. `until` None is until it is withdrawn."""

    project: Project
    contact: Short
    reason: Short = ""
    until: AwareDatetime | None = None
    withdraw: bool = False


class LiftBody(Record):
    """Agree to end a flaw's embargo before its date. It ends when every organisation that witnessed the flaw under embargo agreed."""

    flaw_id: Id
    reason: Short = ""


class ReceiptBody(Record):
    """What became of a fix at an operator, redacted: no host, no path, no name."""

    fix_id: Id
    outcome: Annotated[str, StringConstraints(pattern=r"^(applied|rolled-back|not-applicable|failed)$")]
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,60}$")] = ""
    count: int = Field(default=1, ge=1, le=MOST_RECEIPT_COUNT)


BODIES: dict[Verb, type[Record]] = {
    Verb.lease: LeaseBody,
    Verb.renew: RenewBody,
    Verb.release: ReleaseBody,
    Verb.claim_check: ClaimCheckBody,
    Verb.submit_finding: FindingBody,
    Verb.assess: AssessBody,
    Verb.submit_fix: FixBody,
    Verb.supersede: SupersedeBody,
    Verb.revoke: RevokeBody,
    Verb.opt_out: OptOutBody,
    Verb.lift: LiftBody,
    Verb.receipt: ReceiptBody,
}
