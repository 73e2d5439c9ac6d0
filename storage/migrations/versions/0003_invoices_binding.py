"""Invoices, and the wrong proofs of those who wanted to bind an account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_LIVE = sa.text("status != 'rejected'")


def upgrade() -> None:
    op.create_table(
        "invoice",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("title", sa.LargeBinary, nullable=False),
        sa.Column("tax_number", sa.LargeBinary),
        sa.Column("email", sa.LargeBinary),
        sa.Column("amount_cents", sa.Integer, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("amount_cents >= 0", name="amount"),
    )
    op.create_index("uq_invoice_live", "invoice", ["order_id"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)
    op.create_table(
        "binding_attempt",
        sa.Column("sender_index", sa.String(64), primary_key=True),
        sa.Column("wrong_tries", sa.Integer, nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("locked_until", _TIME),
    )


def downgrade() -> None:
    op.drop_table("binding_attempt")
    op.drop_table("invoice")
