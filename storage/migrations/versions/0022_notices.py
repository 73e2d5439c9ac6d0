"""What the shop says by itself: how far it has read its events, who wants to hear what, and what goes to many."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_MANY = sa.text("kind = 'broadcast'")


def upgrade() -> None:
    op.add_column("channel_account", sa.Column("heard_at", _TIME))
    op.execute("UPDATE channel_account SET heard_at = coalesce(bound_at, first_seen_at) WHERE sender IS NOT NULL")
    op.create_table(
        "event_cursor",
        sa.Column("reader", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
    )
    op.create_table(
        "notice_choice",
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), primary_key=True),
        sa.Column("marketing", sa.Boolean),
        sa.Column("changed_at", _TIME),
        sa.Column("told_on", sa.Date),
        sa.Column("told", sa.Integer, nullable=False),
    )
    op.create_table(
        "stock_watch",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("sku_id", sa.String, sa.ForeignKey("sku.id"), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.UniqueConstraint("customer_id", "sku_id", name="uq_stock_watch_customer_id_sku_id"),
    )
    op.create_index("ix_stock_watch_sku_id", "stock_watch", ["sku_id"])
    op.create_table(
        "broadcast",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("product_id", sa.String, sa.ForeignKey("product.id")),
        sa.Column("segment", sa.JSON, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("position", sa.String, nullable=False),
        sa.Column("due_at", _TIME),
        sa.Column("drafted_by", sa.String, sa.ForeignKey("principal.id"), nullable=False),
        sa.Column("drafted_at", _TIME, nullable=False),
        sa.Column("approved_by", sa.String, sa.ForeignKey("principal.id")),
        sa.Column("approved_at", _TIME),
    )
    columns = ["cause", "channel", "state"]
    op.create_index("ix_outbox_broadcast", "outbox", columns, sqlite_where=_MANY, postgresql_where=_MANY)


def downgrade() -> None:
    op.drop_index("ix_outbox_broadcast", "outbox")
    op.drop_table("broadcast")
    op.drop_table("stock_watch")
    op.drop_table("notice_choice")
    op.drop_table("event_cursor")
    op.drop_column("channel_account", "heard_at")
