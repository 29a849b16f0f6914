"""A fix has its own mark and embargo, and a flaw's record is kept apart by mark."""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What was out stays out for those who had it; what waits gets its submitter's own mark, the strictest that it ever gave this flaw.
_MARKED = """
    UPDATE fixes SET tlp = COALESCE(
        (SELECT MIN(feed.tlp) FROM feed WHERE feed.fix_id = fixes.id),
        (SELECT CASE MAX(CASE witnesses.tlp WHEN 'clear' THEN 0 WHEN 'green' THEN 1 WHEN 'amber' THEN 2 ELSE 3 END)
            WHEN 0 THEN 'clear' WHEN 1 THEN 'green' WHEN 2 THEN 'amber' ELSE 'red' END
        FROM witnesses WHERE witnesses.flaw_id = fixes.flaw_id AND witnesses.organisation = fixes.organisation))"""
_HELD = """
    UPDATE fixes SET held_until = (
        SELECT MAX(witnesses.embargo_until) FROM witnesses
        WHERE witnesses.flaw_id = fixes.flaw_id AND witnesses.organisation = fixes.organisation AND witnesses.agreed = 0)
    WHERE published_at IS NULL"""
_ASSESSED = "UPDATE assessments SET tlp = COALESCE((SELECT flaws.tlp FROM flaws WHERE flaws.id = assessments.subject), 'red')"
# What was said under which mark cannot be told apart any more: all of it stays under the one that the record had.
_APART = """
    UPDATE flaws SET doc = '{"' || tlp || '":{"at":' || CAST(updated_at AS TEXT) || ',"first":' || CAST(first_seen AS TEXT)
        || ',"said":' || doc || '}}'"""


def upgrade() -> None:
    """Apply."""
    op.add_column("fixes", sa.Column("tlp", sa.String(length=10), nullable=False, server_default="red"))
    op.add_column("fixes", sa.Column("held_until", sa.BigInteger(), nullable=True))
    op.add_column("assessments", sa.Column("tlp", sa.String(length=10), nullable=False, server_default="red"))
    op.add_column("flaws", sa.Column("names", sa.Text(), nullable=False, server_default=""))
    for statement in (_MARKED, _HELD, _ASSESSED, _APART):
        op.get_bind().exec_driver_sql(statement)
    where = sa.text("held_until IS NOT NULL")
    op.create_index("fixes_held", "fixes", ["held_until"], unique=False, postgresql_where=where, sqlite_where=where)
    _name()


def _name() -> None:
    connection = op.get_bind()
    known: dict[str, list[str]] = defaultdict(list)
    found = sa.text("SELECT alias, flaw_id FROM aliases WHERE alias LIKE 'CVE-%' OR alias LIKE 'GHSA-%' ORDER BY alias")
    for alias, flaw_id in connection.execute(found):
        known[flaw_id].append(alias)
    if known:
        rows = [{"flaw": flaw_id, "names": " ".join(names[:50])} for flaw_id, names in known.items()]
        connection.execute(sa.text("UPDATE flaws SET names = :names WHERE id = :flaw"), rows)


def downgrade() -> None:
    """Take back. What was said under a stricter mark than its flaw's is told as one record again, under the strictest."""
    raise NotImplementedError("a record that was kept apart by mark cannot be put together again: go back to a copy of the database")
