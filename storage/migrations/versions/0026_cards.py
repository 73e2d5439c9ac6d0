"""Smart cards: what stands on them, who holds one, who came to it through whom, and what was bought after that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_OWN = sa.text("into_id IS NULL")


def upgrade() -> None:
    op.create_table(
        "card",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("principal_id", sa.String, sa.ForeignKey("principal.id"), nullable=False, unique=True),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("title", sa.String),
        sa.Column("greeting", sa.LargeBinary),
        sa.Column("phone", sa.LargeBinary),
        sa.Column("portrait", sa.LargeBinary),
        sa.Column("product_ids", sa.JSON, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("portrait_until", _TIME),
    )
    op.create_table(
        "card_visitor",
        sa.Column("sender_index", sa.String(64), primary_key=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("since", _TIME, nullable=False),
    )
    op.create_index(None, "card_visitor", ["person"])
    op.create_table(
        "card_holder",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("token", sa.String, nullable=False, unique=True),
        sa.Column("card_id", sa.String, sa.ForeignKey("card.id"), nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("parent_id", sa.Integer, sa.ForeignKey("card_holder.id")),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("into_id", sa.Integer, sa.ForeignKey("card_holder.id")),
        sa.Column("crossing_until", _TIME),
        sa.CheckConstraint("(parent_id IS NULL) = (depth = 0)", name="depth"),
    )
    op.create_index(
        "uq_card_holder_person",
        "card_holder",
        ["card_id", "person"],
        unique=True,
        sqlite_where=_OWN,
        postgresql_where=_OWN,
    )
    op.create_index(None, "card_holder", ["person", "id"])
    op.create_index(None, "card_holder", ["parent_id"])
    op.create_index(None, "card_holder", ["into_id"])
    op.create_table(
        "card_forward",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("card_id", sa.String, sa.ForeignKey("card.id"), nullable=False),
        sa.Column("sharer_id", sa.Integer, sa.ForeignKey("card_holder.id"), nullable=False),
        sa.Column("opener_id", sa.Integer, sa.ForeignKey("card_holder.id"), nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.UniqueConstraint("sharer_id", "opener_id"),
        sa.CheckConstraint("sharer_id < opener_id", name="order"),
    )
    op.create_index(None, "card_forward", ["card_id"])
    op.create_index(None, "card_forward", ["opener_id"])
    op.create_table(
        "card_conversion",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), nullable=False, unique=True),
        sa.Column("card_id", sa.String, sa.ForeignKey("card.id"), nullable=False),
        sa.Column("forward_id", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("reversed_bps", sa.Integer, nullable=False),
        sa.CheckConstraint("reversed_bps BETWEEN 0 AND 10000", name="reversed"),
    )
    op.create_index(None, "card_conversion", ["card_id"])


def downgrade() -> None:
    for name in ("card_conversion", "card_forward", "card_holder", "card_visitor", "card"):
        op.drop_table(name)
