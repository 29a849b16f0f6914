"""The fields of the JSON documents, by document: what `--json FIELD,…` may name."""

from __future__ import annotations

RUN = (
    "schema_version",
    "run_id",
    "target",
    "source",
    "findings",
    "left_out",
    "cases",
    "scanners",
    "unchecked",
    "uncovered",
    "could_not_check",
    "interrupted",
    "budget_hit",
    "spend",
    "usd_per_fix",
    "resumed",
    "seconds",
    "exit_code",
)
CASE = (
    "id",
    "run_id",
    "state",
    "fixed",
    "fix_class",
    "level",
    "reason",
    "detail",
    "finding",
    "patches",
    "declined",
    "verdicts",
    "receipts",
    "reproducer",
    "acceptance",
    "unreproduced",
    "bundle_path",
    "bundle_digest",
    "spend",
)
RUN_SUMMARY = ("run_id", "target", "started", "finished", "outcome", "configuration")
VERDICT = ("schema_version", "verdict", "sufficient", "bundle_path", "bundle_digest", "exit_code")
WHY = ("case", "place", "reason", "detail", "meaning", "tried", "unblock", "preparation")
REPLAY = (
    "schema_version",
    "case_id",
    "patch_id",
    "bundle_digest",
    "signature",
    "outcome",
    "recorded",
    "replayed",
    "differences",
    "notes",
    "recorded_digest",
    "replayed_digest",
    "same_recipe",
    "review",
    "wants_review",
    "exit_code",
)
APPLIED = ("repository", "branch", "previous", "base", "commits", "files")
CALL = ("scope", "model", "asked", "tries", "spend", "said", "reply")
MODEL = ("name", "component", "model", "base_url", "price", "key")
MODEL_TEST = ("name", "model", "answer", "stop", "seconds", "input_tokens", "output_tokens", "usd")
COST = ("name", "spend", "cases", "fixes", "usd_per_fix")
SUBMIT = ("place", "verb", "subject", "delivery", "id", "state", "level", "reason", "detail", "problem")
LEASE = ("id", "project", "commits", "scope", "organisation", "contact", "fencing", "granted_at", "expires_at", "released_at")
ANSWER = ("verb", "id", "state", "duplicate", "ledger_index")
CONFORMANCE = ("number", "text", "outcome", "reason")
SUBSCRIPTION = ("name", "url", "trust", "token", "cursor", "ledger_size", "fixes", "pulled_at")
PULL = ("name", "new", "withdrawn", "fixes", "ledger_size", "cursor")
MATCH = (
    "fix_id",
    "component",
    "version",
    "match",
    "why",
    "state",
    "project",
    "aliases",
    "severity",
    "level",
    "shown_by",
    "fixed_version",
    "due_days",
    "due_on",
    "forensics",
    "timeline",
    "sentence",
    "assumed",
    "patch_file",
    "vex",
)
ORGANISATION = ("id", "name", "tier", "contact", "disabled")
TOKEN = ("id", "organisation", "scopes", "label", "created_at", "expires_at", "revoked_at")
STATS = ("name", "count")
REQUEUED = ("id",)
OPT_OUT = ("project", "organisation", "contact", "reason", "until")
SUBMITTER_KEY = ("keyid", "organisation", "added_at", "not_after", "revoked_at", "reason")
AIRGAP = ("kind", "sequence", "created_at", "expires_at", "carrier", "ledger", "ledger_size", "fixes", "outcomes")
FEED = ("feed", "as_of", "age_days", "stale", "entries")
