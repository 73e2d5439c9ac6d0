"""The back office's lists are read in the order of their times, by what a ticket or an order waits for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_LISTS = (
    ("ix_ticket_created_at_id", "ticket", ["created_at", "id"]),
    ("ix_ticket_status_created_at_id", "ticket", ["status", "created_at", "id"]),
    ("ix_orders_placed_at_id", "orders", ["placed_at", "id"]),
    ("ix_orders_status_placed_at_id", "orders", ["status", "placed_at", "id"]),
)


def upgrade() -> None:
    for name, table, columns in _LISTS:
        op.create_index(name, table, columns)
    on_its_way = sa.text("delivered_at IS NULL")
    op.create_index(
        "ix_shipment_on_its_way", "shipment", ["promised_by"], sqlite_where=on_its_way, postgresql_where=on_its_way
    )


def downgrade() -> None:
    op.drop_index("ix_shipment_on_its_way", "shipment")
    for name, table, _ in reversed(_LISTS):
        op.drop_index(name, table)
