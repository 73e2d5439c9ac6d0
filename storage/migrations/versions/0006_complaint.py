"""What customers complain of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_OPEN = sa.text("settled_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "complaint",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False),
        sa.Column("message_index", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String),
        sa.Column("enquiry", sa.Boolean, nullable=False),
        sa.Column("noted_at", _TIME, nullable=False),
        sa.Column("settled_at", _TIME),
    )
    op.create_index(
        "uq_complaint_open",
        "complaint",
        ["conversation", "kind"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("ix_complaint_open", "complaint", ["id"], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    op.drop_table("complaint")
