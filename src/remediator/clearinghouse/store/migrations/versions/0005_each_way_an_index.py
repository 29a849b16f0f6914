"""Each way in which a row may be seen has its index, so that the rows that may not be seen cost nothing."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for name, column in (("flaws_by_rank", "rank"), ("flaws_by_time", "updated_at")):
        op.drop_index(name, table_name="flaws")
        op.create_index(name, "flaws", ["merged_into", "embargoed", "tlp", column, "id"], unique=False)
    op.drop_index(op.f("ix_fixes_organisation"), table_name="fixes")
    op.create_index("fixes_by_organisation", "fixes", ["organisation", "state", "updated_at", "id"], unique=False)
    op.create_index("fixes_by_tlp", "fixes", ["tlp", "state", "updated_at", "id"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index("fixes_by_tlp", table_name="fixes")
    op.drop_index("fixes_by_organisation", table_name="fixes")
    op.create_index(op.f("ix_fixes_organisation"), "fixes", ["organisation"], unique=False)
    for name, column in (("flaws_by_rank", "rank"), ("flaws_by_time", "updated_at")):
        op.drop_index(name, table_name="flaws")
        op.create_index(name, "flaws", ["merged_into", column, "id"], unique=False)
