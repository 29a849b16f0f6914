"""What the codes mean that a clearinghouse says no with: what it is, and the cheapest way on."""

from __future__ import annotations

VALIDATIONS = {
    "bundle-refused": (
        "The bundle is not whole, not signed by an active key of its submitter, or does not say what was submitted.",
        "remediator replay BUNDLE tells what is wrong with it; submit what a run wrote, unchanged",
    ),
    "bundle-unreadable": (
        "The clearinghouse lost the bundle, or cannot read it.",
        "nothing: its operator is told, and may have it validated again (remediator clearinghouse requeue)",
    ),
    "check-broke": ("The bundle broke its reader; nothing is known about the fix.", "tell the clearinghouse's operator"),
    "could-not-replay": (
        "The proof could not be run again there; nothing is known about the fix.",
        "the differences in the status say why",
    ),
    "infrastructure": (
        "The clearinghouse's sandbox or its network failed; nothing is known about the fix.",
        "nothing: it is tried three times, then by its operator (remediator clearinghouse requeue)",
    ),
    "not-proven": (
        "The replay agreed, but its own evidence is below what is distributed (E3).",
        "give the project tests that run the changed lines, or the case a reproducer, then submit again",
    ),
    "other-recipe": (
        "It came out otherwise, but the project was built in another way than where it was recorded.",
        "have the operator name hints for it ([validator.recipes])",
    ),
    "replay-broke": ("A bug in the replay; nothing is known about the fix.", "tell the clearinghouse's operator"),
    "replay-differs": (
        "Built alike, the proof came out otherwise than the bundle says.",
        "remediator replay BUNDLE --source SOURCE shows where",
    ),
    "replay-rejected": ("The replay rejected the patch.", "remediator replay BUNDLE --source SOURCE shows which check did"),
    "source-not-public": (
        "The source is nowhere where this clearinghouse may fetch it: not published, not on a listed host, or in no branch or tag.",
        "publish the base commit, or have the operator list its host",
    ),
    "submitter-disabled": ("The submitter was shut out while its fix was validated.", "ask the clearinghouse's operator"),
    "took-too-long": (
        "The replay was not done in time; nothing is known about the fix.",
        "have the operator give it more time, or name fewer tests in [validator.recipes]",
    ),
    "unknown-playbook": (
        "The bundle was judged by a playbook that this clearinghouse does not have.",
        "run it with one of the playbooks that the clearinghouse knows",
    ),
    "validator-lost": (
        "Validators died over this fix again and again; nothing is known about it.",
        "nothing: its operator is told, and may have it validated again (remediator clearinghouse requeue)",
    ),
}
REFUSALS = {
    "bad-envelope": ("The envelope is not in the protocol's form.", "mend the envelope"),
    "bad-request": ("The request is not in the protocol's form.", "mend the request; its detail names the field"),
    "bad-signature": ("The signature does not fit the envelope.", "sign the very bytes that are sent"),
    "blob-mismatch": ("The bytes are not those of the digest or size that was told.", "send them again"),
    "blob-missing": ("The fix names a bundle that the clearinghouse does not have.", "put the bundle, then submit again"),
    "clock-skew": ("The envelope's time is more than ten minutes off the clearinghouse's.", "set the clock, sign anew"),
    "forbidden": ("The token's scope does not reach that far, or it is somebody else's right.", "get a token with the scope that is named"),
    "idempotency-key-reused": ("The same key was used for another request before.", "take a fresh key"),
    "internal-error": ("The clearinghouse has a bug.", "send it again later; tell the operator"),
    "key-expired": ("The signing key is past its date.", "register a new key"),
    "key-revoked": ("The signing key was revoked.", "sign with another key"),
    "lease-held": ("Somebody else holds the lease.", "wait, or speak with the contact"),
    "lease-stale": ("The lease ended, or another took it over.", "stop; take a new lease"),
    "method-not-allowed": ("The path does not know this method.", "see `Allow`"),
    "not-found": ("It is not there, or not for you.", "look at the id, and at whose token is used"),
    "opted-out": ("The project's people asked that it be left alone.", "do not scan it"),
    "state-conflict": ("What it is about is in a state in which that cannot be done.", "look at its state first"),
    "timed-out": ("The body came too slowly.", "send it again"),
    "too-many-requests": ("More was asked than is allowed in this time.", "wait"),
    "unauthorised": ("The token is not known, or not any more.", "get a token"),
    "unavailable": ("The clearinghouse cannot answer now.", "send it again later"),
    "unknown-key": ("The signing key is not registered for this organisation.", "have the key registered for your organisation"),
    "wrong-audience": ("The envelope is for another clearinghouse.", "sign for this clearinghouse"),
    "wrong-submitter": ("The envelope is another organisation's than the token.", "token and `submitter` must be one organisation"),
}
