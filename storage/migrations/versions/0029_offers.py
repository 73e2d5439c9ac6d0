"""What worried customers are offered, and what may be spent on it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_OPEN = sa.text("state = 'offered'")


def upgrade() -> None:
    op.create_table(
        "offer",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("supplier_id", sa.String, sa.ForeignKey("supplier.id")),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("feeling", sa.String(32), nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("value_cents", sa.Integer, nullable=False),
        sa.Column("min_spend_cents", sa.Integer, nullable=False),
        sa.Column("valid_days", sa.Integer, nullable=False),
        sa.Column("experiment", sa.String, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("why", sa.String, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("charged_on", sa.Date, nullable=False),
        sa.Column("good_until", _TIME, nullable=False),
        sa.Column("settled_at", _TIME),
        sa.Column("coupon_id", sa.String, sa.ForeignKey("coupon.id")),
        sa.UniqueConstraint("order_id", "reason", name="uq_offer_order_id_reason"),
        sa.CheckConstraint("value_cents >= 0 AND min_spend_cents >= 0 AND valid_days >= 0", name="ck_offer_amounts"),
    )
    op.create_index("ix_offer_customer_id_made_at", "offer", ["customer_id", "made_at"])
    op.create_index("ix_offer_open", "offer", ["good_until"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_table(
        "offer_budget",
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("spent_cents", sa.Integer, nullable=False),
        sa.Column("limit_cents", sa.Integer, nullable=False),
        sa.CheckConstraint("spent_cents BETWEEN 0 AND limit_cents", name="ck_offer_budget_spent"),
    )


def downgrade() -> None:
    op.drop_table("offer_budget")
    op.drop_table("offer")
