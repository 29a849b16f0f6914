"""What the clearinghouse answers: the same records on the wire, in the store and on the page."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from remediator.clearinghouse.wire.terms import FixState, Opinion, Tier, Tlp
from remediator.records.record import Record


class Answer(Record):
    """The answer to a verb. `id` is what was made or found, `duplicate` that it was there before, `ledger_index` its ledger entry."""

    verb: str
    id: str
    state: str
    duplicate: bool = False
    ledger_index: int | None = None
    detail: dict[str, Any] = {}


class ProblemDetail(Record):
    """RFC 9457 problem details. `code` is one of `Problem`, `hint` says how to mend it."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str = ""
    hint: str = ""
    retry_after_seconds: int | None = None


class Lease(Record):
    """Who scans a project until when. `fencing` grows with every grant on a project: an older one is stale."""

    id: str
    project: str
    commits: str = ""
    scope: tuple[str, ...] = ()
    organisation: str
    contact: str = ""
    fencing: int
    granted_at: AwareDatetime
    expires_at: AwareDatetime
    released_at: AwareDatetime | None = None


class Witness(Record):
    """An organisation that reported a flaw."""

    organisation: str
    finding_id: str
    scanner: str
    rule_id: str = ""
    at: AwareDatetime


class Priority(Record):
    """Where a flaw stands in the queue. Unknown is None, never "no". `timeline` is the BOD 26-04 row's, `sentence` says why."""

    timeline: str
    due_days: int | None = None
    forensics: bool = False
    row: int | None = None
    kev: bool | None = None
    exposed: bool | None = None
    automatable: bool | None = None
    technical_impact_total: bool | None = None
    epss: float | None = None
    epss_date: str = ""
    assumed: tuple[str, ...] = ()
    sentence: str = ""


class Flaw(Record):
    """One flaw: everything that its witnesses have in common."""

    id: str
    project: str
    version: str = ""
    commit: str = ""
    path: str = ""
    line: int = 0
    cwe: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    severity: str = "medium"
    title: str
    details: str = ""
    references: tuple[str, ...] = ()
    tlp: Tlp = Tlp.amber
    embargo_until: AwareDatetime | None = None
    embargoed: bool = False
    lifted_at: AwareDatetime | None = None
    witnesses: tuple[Witness, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    fixes: tuple[str, ...] = ()
    """Ids, the best first: by level reached, then size of the diff, then time."""
    first_seen: AwareDatetime
    updated_at: AwareDatetime
    opted_out: bool = False
    automatable: bool | None = None
    technical_impact_total: bool | None = None
    priority: Priority | None = None


class Assessment(Record):
    """What an assessor said. `tests_passed` None is: no test was run."""

    organisation: str
    subject: str
    opinion: Opinion
    reason: str = ""
    tests_passed: bool | None = None
    evidence: str | None = None
    at: AwareDatetime


class Validation(Record):
    """What the clearinghouse itself found out about a fix. `replayed` None is: no replay was run."""

    outcome: str = ""
    reason: str = ""
    level: int | None = None
    replayed: bool | None = None
    replayed_digest: str = ""
    shown_by: str = ""
    """What showed that the flaw is gone: `scanner`, or the submitter's `reproducer` where no scanner here sees the flaw; "" is: nothing."""
    differences: tuple[str, ...] = ()
    checks: tuple[dict[str, Any], ...] = ()
    """Of the replayed verdict: name, level, status, reason, summary."""
    validator: str = ""
    finished_at: AwareDatetime | None = None
    attempts: int = 0


class Fix(Record):
    """A submitted fix and how far it has come. `level` is what the clearinghouse reached itself; `claimed_level` is hearsay."""

    id: str
    flaw_id: str
    submission_id: str
    patch_id: str
    bundle: str
    bundle_bytes: int
    organisation: str
    state: FixState
    claimed_level: int
    level: int | None = None
    lines_changed: int = 0
    fixed_version: str = ""
    tlp: Tlp = Tlp.amber
    superseded_by: str = ""
    revoked_reason: str = ""
    submitted_at: AwareDatetime
    updated_at: AwareDatetime
    validation: Validation | None = None
    outcomes: dict[str, int] = {}
    """Receipts by outcome."""


class Published(Record):
    """What is distributed about one fix: everything that exports, subscribers and matching need. No submitter is named."""

    fix: Fix
    flaw: Flaw
    patch: str
    """The unified diff."""
    published_at: AwareDatetime


class FeedEntry(Record):
    """One line of the feed, in the order of release. `kind`: published, superseded, revoked."""

    cursor: int
    kind: str
    fix_id: str
    flaw_id: str
    project: str
    at: AwareDatetime
    ledger_index: int
    level: int | None = None
    aliases: tuple[str, ...] = ()
    withdrawn: bool = False


class FeedPage(Record):
    """A page of the feed. `next` is the cursor to go on with; `more` says that something is there already."""

    entries: tuple[FeedEntry, ...]
    next: int
    more: bool
    head: SignedHead


class TreeHead(Record):
    """The ledger at one size: RFC 9162 tree head over SHA-256."""

    ledger: str
    """The key id of the ledger key."""
    size: int = Field(ge=0)
    root: str
    """Hex."""
    at: AwareDatetime


class SignedHead(Record):
    """A tree head and the ed25519 signature over DSSE PAE(PAYLOAD_TYPE, canonical JSON of `head`), base64."""

    head: TreeHead
    keyid: str
    signature: str


class LedgerEntry(Record):
    """One entry: what happened to what, without telling it. `commitment` is SHA-256(nonce || canonical JSON of the object), hex.

    The nonce goes to whoever may see the object, in an `Opening`: without it an embargoed one cannot be guessed.
    """

    index: int
    kind: str
    commitment: str
    at: AwareDatetime


class Opening(Record):
    """What opens a ledger entry for whoever may see its object: `object` is the canonical JSON text that was committed to."""

    index: int
    kind: str
    nonce: str
    object: str
    at: AwareDatetime


class Organisation(Record):
    """Who takes part."""

    id: str
    name: str
    tier: Tier
    contact: str = ""
    created_at: AwareDatetime
    disabled: bool = False


class OptOut(Record):
    """A project whose maintainer wants no scans. `until` None is until it is withdrawn.

    Nobody was asked for a proof of being the maintainer: `organisation` says who spoke, to itself and to admins.
    """

    project: str
    contact: str
    reason: str = ""
    until: AwareDatetime | None = None
    organisation: str = ""


Flaw.model_rebuild()
FeedPage.model_rebuild()
