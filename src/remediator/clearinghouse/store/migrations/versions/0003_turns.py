"""Organisations take turns in the validators' queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("organisations", sa.Column("served_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("organisation", sa.String(length=100), nullable=False, server_default=""))
    op.execute("UPDATE jobs SET organisation = COALESCE((SELECT fixes.organisation FROM fixes WHERE fixes.id = jobs.fix_id), '')")
    op.drop_index("jobs_by_state", table_name="jobs")
    op.create_index("jobs_by_turn", "jobs", ["state", "organisation", "not_before", "fix_id"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index("jobs_by_turn", table_name="jobs")
    op.create_index("jobs_by_state", "jobs", ["state", "queued_at"], unique=False)
    op.drop_column("jobs", "organisation")
    op.drop_column("organisations", "served_at")
