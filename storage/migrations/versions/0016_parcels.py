"""What happens to parcels in the real world: steps of carriers, delays, and pieces that never leave the shop."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("order_line") as batch:
        batch.add_column(sa.Column("released", sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint("released", "released BETWEEN 0 AND quantity")
    op.add_column("shipment", sa.Column("expected_by", sa.DateTime(timezone=True)))
    op.add_column("tracking_event", sa.Column("status", sa.String(32)))
    op.add_column("tracking_event", sa.Column("recorded_at", sa.DateTime(timezone=True)))
    _tell_what_never_left()


def _tell_what_never_left() -> None:
    """What was cancelled, or paid back before its order was sent: it is in no parcel."""
    op.execute(
        "UPDATE order_line SET released = quantity"
        " WHERE order_id IN (SELECT id FROM orders WHERE status = 'cancelled') OR id IN"
        " (SELECT l.order_line_id FROM ticket_line l JOIN ticket t ON t.id = l.ticket_id"
        " JOIN orders o ON o.id = t.order_id WHERE t.kind = 'refund' AND t.status IN ('refunded', 'closed')"
        " AND (o.status IN ('pending_payment', 'paid', 'presale')"
        " OR EXISTS (SELECT 1 FROM ticket_event e JOIN shipment s ON s.order_id = t.order_id"
        " WHERE e.ticket_id = t.id AND e.status = 'refunded' AND e.time < s.shipped_at)))"
    )
    op.execute("DELETE FROM shipment_line WHERE order_line_id IN (SELECT id FROM order_line WHERE released > 0)")


def downgrade() -> None:
    op.drop_column("tracking_event", "recorded_at")
    op.drop_column("tracking_event", "status")
    op.drop_column("shipment", "expected_by")
    with op.batch_alter_table("order_line") as batch:
        batch.drop_constraint("released", type_="check")
        batch.drop_column("released")
