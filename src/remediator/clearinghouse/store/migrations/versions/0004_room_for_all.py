"""What one organisation may take up, and whose opt-outs were overruled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("organisations", sa.Column("blob_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE organisations SET blob_bytes = COALESCE((SELECT SUM(bytes) FROM blobs WHERE blobs.organisation = organisations.id), 0)"
    )
    op.add_column("receipts", sa.Column("times", sa.Integer(), nullable=False, server_default="1"))
    op.drop_index(op.f("ix_receipts_fix_id"), table_name="receipts")
    op.create_index("receipts_by_fix", "receipts", ["fix_id", "organisation"], unique=False)
    op.create_index("leases_by_organisation", "leases", ["organisation", "expires_at"], unique=False)
    op.create_index("blobs_by_time", "blobs", ["at", "digest", "organisation"], unique=False)
    op.create_index(op.f("ix_opt_outs_organisation"), "opt_outs", ["organisation"], unique=False)
    op.create_table("discarded", sa.Column("digest", sa.String(length=71), nullable=False), sa.PrimaryKeyConstraint("digest"))
    op.create_table(
        "overruled",
        sa.Column("project", sa.String(length=500), nullable=False),
        sa.Column("organisation", sa.String(length=100), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "organisation"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("overruled")
    op.drop_table("discarded")
    op.drop_index(op.f("ix_opt_outs_organisation"), table_name="opt_outs")
    op.drop_index("blobs_by_time", table_name="blobs")
    op.drop_index("leases_by_organisation", table_name="leases")
    op.drop_index("receipts_by_fix", table_name="receipts")
    op.create_index(op.f("ix_receipts_fix_id"), "receipts", ["fix_id"], unique=False)
    op.drop_column("receipts", "times")
    op.drop_column("organisations", "blob_bytes")
