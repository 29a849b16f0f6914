"""Flaws of the same urgency stand in the queue by age."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MINUTE, _SINCE, _MINUTES = 60_000_000, 1_577_836_800_000_000, 40_000_000
_PAGE = 10_000


def upgrade() -> None:
    """Apply."""
    connection, after = op.get_bind(), ""
    page = sa.text("SELECT id, doc, tlp, rank, first_seen FROM flaws WHERE id > :after ORDER BY id LIMIT :most")
    while rows := connection.execute(page, {"after": after, "most": _PAGE}).all():
        # As its widest circle is told of it: where a flaw stands must not tell that others knew of it before.
        firsts = [int(json.loads(row.doc).get(row.tlp, {}).get("first", row.first_seen)) for row in rows]
        ages = [min(max((first - _SINCE) // _MINUTE, 0), _MINUTES - 1) for first in firsts]
        moved = [{"id": row.id, "rank": row.rank * _MINUTES + age} for row, age in zip(rows, ages, strict=True)]
        connection.execute(sa.text("UPDATE flaws SET rank = :rank WHERE id = :id"), moved)
        after = rows[-1].id


def downgrade() -> None:
    """Take back."""
    op.execute(f"UPDATE flaws SET rank = rank / {_MINUTES}")  # noqa: S608 - a number of ours
