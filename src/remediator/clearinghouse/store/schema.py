"""The tables. Times are microseconds since 1970, UTC; documents are JSON texts of the wire's records; 0 and 1 are booleans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

metadata = MetaData()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    """Return a time as it is stored."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(stored: int) -> datetime:
    """Return a stored time."""
    return _EPOCH + timedelta(microseconds=stored)


def utc_text(at: datetime) -> str:
    """Return a time as answers write it: in UTC, with `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


organisations = Table(
    "organisations",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("name", String(300), nullable=False),
    Column("tier", String(20), nullable=False),
    Column("contact", String(500), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled", Integer, nullable=False),
    Column("served_at", BigInteger, nullable=False),
    Column("blob_bytes", BigInteger, nullable=False),
)
tokens = Table(
    "tokens",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("organisation", String(100), nullable=False, index=True),
    Column("hash", String(64), nullable=False),
    Column("scopes", String(100), nullable=False),
    Column("label", String(300), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
keys = Table(
    "keys",
    metadata,
    Column("keyid", String(100), primary_key=True),
    Column("organisation", String(100), nullable=False, index=True),
    Column("line", String(200), nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("not_after", BigInteger),
    Column("revoked_at", BigInteger),
    Column("reason", String(500), nullable=False),
    Column("replaces", String(100), nullable=False),
)
sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("organisation", String(100), nullable=False),
    Column("person", String(300), nullable=False),
    Column("scopes", String(100), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
requests = Table(
    "requests",
    metadata,
    Column("organisation", String(100), primary_key=True),
    Column("key", String(120), primary_key=True),
    Column("digest", String(71), nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
flaws = Table(
    "flaws",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("project", String(500), nullable=False, index=True),
    Column("doc", Text, nullable=False),
    Column("names", Text, nullable=False),
    Column("tlp", String(10), nullable=False),
    Column("embargo_until", BigInteger),
    Column("embargoed", Integer, nullable=False),
    Column("lifted_at", BigInteger),
    Column("first_seen", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("merged_into", String(100), nullable=False),
    Column("rank", BigInteger, nullable=False),
    Index("flaws_by_rank", "merged_into", "embargoed", "tlp", "rank", "id"),
    Index("flaws_by_time", "merged_into", "embargoed", "tlp", "updated_at", "id"),
    Index("flaws_by_embargo", "embargoed", "embargo_until"),
)
prints = Table(
    "prints",
    metadata,
    Column("print", String(64), primary_key=True),
    Column("flaw_id", String(100), nullable=False, index=True),
)
aliases = Table(
    "aliases",
    metadata,
    Column("alias", String(100), primary_key=True),
    Column("flaw_id", String(100), primary_key=True, index=True),
)
witnesses = Table(
    "witnesses",
    metadata,
    Column("finding_id", String(100), primary_key=True),
    Column("flaw_id", String(100), nullable=False, index=True),
    Column("organisation", String(100), nullable=False),
    Column("scanner", String(500), nullable=False),
    Column("rule_id", String(500), nullable=False),
    Column("doc", Text, nullable=False),
    Column("tlp", String(10), nullable=False),
    Column("embargo_until", BigInteger),
    Column("agreed", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("witnesses_by_organisation", "organisation", "flaw_id"),
)
fixes = Table(
    "fixes",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("flaw_id", String(100), nullable=False, index=True),
    Column("organisation", String(100), nullable=False),
    Column("submission_id", String(100), nullable=False, index=True),
    Column("patch_id", String(100), nullable=False),
    Column("bundle", String(71), nullable=False, index=True),
    Column("bundle_bytes", BigInteger, nullable=False),
    Column("flaw_doc", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("claimed_level", Integer, nullable=False),
    Column("level", Integer),
    Column("lines_changed", Integer, nullable=False),
    Column("fixed_version", String(500), nullable=False),
    Column("tlp", String(10), nullable=False),
    Column("held_until", BigInteger),
    Column("superseded_by", String(100), nullable=False),
    Column("revoked_reason", String(2000), nullable=False),
    Column("submitted_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("published_at", BigInteger),
    Column("patch", Text),
    Column("validation", Text),
    Index("fixes_by_organisation", "organisation", "state", "updated_at", "id"),
    Index("fixes_by_tlp", "tlp", "state", "updated_at", "id"),
    Index("fixes_by_state", "state", "updated_at", "id"),
    Index("fixes_held", "held_until", postgresql_where=text("held_until IS NOT NULL"), sqlite_where=text("held_until IS NOT NULL")),
)
receipts = Table(
    "receipts",
    metadata,
    Column("organisation", String(100), primary_key=True),
    Column("key", String(120), primary_key=True),
    Column("fix_id", String(100), nullable=False),
    Column("outcome", String(30), nullable=False),
    Column("reason", String(60), nullable=False),
    Column("count", Integer, nullable=False),
    Column("times", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("receipts_by_fix", "fix_id", "organisation"),
)
assessments = Table(
    "assessments",
    metadata,
    Column("subject", String(100), primary_key=True),
    Column("organisation", String(100), primary_key=True),
    Column("doc", Text, nullable=False),
    Column("tlp", String(10), nullable=False),
    Column("at", BigInteger, nullable=False),
)
leases = Table(
    "leases",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("project", String(500), nullable=False),
    Column("organisation", String(100), nullable=False),
    Column("contact", String(500), nullable=False),
    Column("commits", String(500), nullable=False),
    Column("scope", Text, nullable=False),
    Column("fencing", BigInteger, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("released_at", BigInteger),
    Index("leases_by_project", "project", "expires_at"),
    Index("leases_by_organisation", "organisation", "expires_at"),
)
fences = Table("fences", metadata, Column("project", String(500), primary_key=True), Column("last", BigInteger, nullable=False))
opt_outs = Table(
    "opt_outs",
    metadata,
    Column("project", String(500), primary_key=True),
    Column("organisation", String(100), nullable=False, index=True),
    Column("contact", String(500), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("until", BigInteger),
    Column("at", BigInteger, nullable=False),
)
overruled = Table(
    "overruled",
    metadata,
    Column("project", String(500), primary_key=True),
    Column("organisation", String(100), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
epochs = Table(
    "epochs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, nullable=False),
    Column("until", BigInteger, nullable=False),
)
claims = Table(
    "claims",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("claim", String(64), primary_key=True),
    Column("flaw_id", String(100), nullable=False),
)
jobs = Table(
    "jobs",
    metadata,
    Column("fix_id", String(100), primary_key=True),
    Column("organisation", String(100), nullable=False),
    Column("state", String(10), nullable=False),
    Column("validator", String(300), nullable=False),
    Column("fencing", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Index("jobs_by_turn", "state", "organisation", "not_before", "fix_id"),
)
feed = Table(
    "feed",
    metadata,
    Column("cursor", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("fix_id", String(100), nullable=False),
    Column("flaw_id", String(100), nullable=False),
    Column("organisation", String(100), nullable=False),
    Column("project", String(500), nullable=False),
    Column("aliases", Text, nullable=False),
    Column("tlp", String(10), nullable=False),
    Column("level", Integer),
    Column("ledger_index", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("feed_by_tlp", "tlp", "cursor"),
    Index("feed_by_organisation", "organisation", "cursor"),
)
blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("organisation", String(100), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("blobs_by_time", "at", "digest", "organisation"),
)
discarded = Table("discarded", metadata, Column("digest", String(71), primary_key=True))
ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(40), nullable=False),
    Column("object_id", String(100), nullable=False, index=True),
    Column("commitment", String(64), nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)
ledger_nodes = Table(
    "ledger_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
