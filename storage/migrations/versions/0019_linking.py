"""One-time codes that bind another account, and customers who were found to be one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "binding_code",
        sa.Column("code_index", sa.String(64), primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("good_until", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
    )
    op.create_index(None, "binding_code", ["good_until"])
    live = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_binding_code_live",
        "binding_code",
        ["customer_id"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_table(
        "customer_merger",
        sa.Column("gone_id", sa.String, sa.ForeignKey("customer.id"), primary_key=True),
        sa.Column("kept_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("merged_at", _TIME, nullable=False),
    )
    op.create_index(None, "customer_merger", ["kept_id"])


def downgrade() -> None:
    """Who was merged stays so; only the ids and phones of before lead nowhere."""
    op.execute("DELETE FROM wrong_proofs WHERE way = 'code'")
    op.drop_table("customer_merger")
    op.drop_table("binding_code")
