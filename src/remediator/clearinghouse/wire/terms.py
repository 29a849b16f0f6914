"""The protocol's closed lists and limits."""

from __future__ import annotations

from enum import StrEnum

PROTOCOL = "remediator-clearinghouse/1"
PAYLOAD_TYPE = "application/vnd.remediator.clearinghouse.v1+json"

MOST_ENVELOPE_BYTES = 1024 * 1024
MOST_BLOB_BYTES = 64 * 1024 * 1024
MOST_PAGE = 200
MOST_TTL_SECONDS = 7 * 86_400
MOST_LEASES = 500
"""That hold at once, of one organisation."""
MOST_OPT_OUTS = 200
"""That hold at once, of one organisation."""
MOST_REPORTS = 200
"""Of one organisation of one flaw."""
MOST_RECEIPTS = 1000
"""Of one organisation for one fix."""
MOST_RECEIPT_COUNT = 1_000_000
UNNAMED_BLOB_SECONDS = 7 * 86_400
"""How long a blob is kept that no fix names."""
CLOCK_SKEW_SECONDS = 600
"""How far a signer's clock may be from the server's."""


class Verb(StrEnum):
    """What a submitter can ask. Each is one signed envelope to `POST /v1/<verb>`."""

    lease = "lease"
    renew = "renew"
    release = "release"
    claim_check = "claim-check"
    submit_finding = "submit-finding"
    assess = "assess"
    submit_fix = "submit-fix"
    supersede = "supersede"
    revoke = "revoke"
    opt_out = "opt-out"
    lift = "lift"
    receipt = "receipt"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0 (FIRST): who may be told once no embargo holds."""

    clear = "clear"
    green = "green"
    amber = "amber"
    red = "red"


class Tier(StrEnum):
    """What an organisation is to the clearinghouse. `operator` runs critical infrastructure, `member` any vetted organisation."""

    operator = "operator"
    member = "member"
    public = "public"

    def may_see(self, tlp: Tlp) -> bool:
        """Return whether what is marked so is meant for this tier. `red` is for the submitters alone."""
        seen = {Tier.public: {Tlp.clear}, Tier.member: {Tlp.clear, Tlp.green}, Tier.operator: {Tlp.clear, Tlp.green, Tlp.amber}}
        return tlp in seen[self]


class Scope(StrEnum):
    """What an API token may do."""

    submit = "submit"
    assess = "assess"
    pull = "pull"
    admin = "admin"


class FixState(StrEnum):
    """How far a submitted fix has come. Only `verified` is distributed."""

    received = "received"
    validating = "validating"
    verified = "verified"
    rejected = "rejected"
    inconclusive = "inconclusive"
    infra_error = "infra_error"
    superseded = "superseded"
    revoked = "revoked"


class Opinion(StrEnum):
    """What an assessor says. `inconclusive` is neither of the others."""

    correct = "correct"
    incorrect = "incorrect"
    inconclusive = "inconclusive"


class Problem(StrEnum):
    """Why a request was refused: the `code` of a problem+json answer. Closed: a client may switch on it."""

    bad_request = "bad-request"
    bad_envelope = "bad-envelope"
    bad_signature = "bad-signature"
    unknown_key = "unknown-key"
    key_revoked = "key-revoked"
    key_expired = "key-expired"
    wrong_audience = "wrong-audience"
    wrong_submitter = "wrong-submitter"
    clock_skew = "clock-skew"
    key_reused = "idempotency-key-reused"
    unauthorised = "unauthorised"
    forbidden = "forbidden"
    not_found = "not-found"
    method_not_allowed = "method-not-allowed"
    lease_held = "lease-held"
    lease_stale = "lease-stale"
    opted_out = "opted-out"
    blob_missing = "blob-missing"
    blob_mismatch = "blob-mismatch"
    state_conflict = "state-conflict"
    too_large = "too-large"
    too_many = "too-many-requests"
    timed_out = "timed-out"
    unavailable = "unavailable"
    internal = "internal-error"

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return _STATUS[self]


_STATUS = {
    Problem.bad_request: 400,
    Problem.bad_envelope: 400,
    Problem.bad_signature: 403,
    Problem.unknown_key: 403,
    Problem.key_revoked: 403,
    Problem.key_expired: 403,
    Problem.wrong_audience: 403,
    Problem.wrong_submitter: 403,
    Problem.clock_skew: 403,
    Problem.key_reused: 409,
    Problem.unauthorised: 401,
    Problem.forbidden: 403,
    Problem.not_found: 404,
    Problem.method_not_allowed: 405,
    Problem.lease_held: 409,
    Problem.lease_stale: 409,
    Problem.opted_out: 409,
    Problem.blob_missing: 409,
    Problem.blob_mismatch: 400,
    Problem.state_conflict: 409,
    Problem.too_large: 413,
    Problem.too_many: 429,
    Problem.timed_out: 408,
    Problem.unavailable: 503,
    Problem.internal: 500,
}
