"""After-sales by quantity, and what was paid back of every line and order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.add_column(sa.Column("refunded_cents", sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint("refunded", "refunded_cents BETWEEN 0 AND total_cents")
    with op.batch_alter_table("order_line") as batch:
        batch.add_column(sa.Column("in_tickets", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("refunded_cents", sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint("in_tickets", "in_tickets BETWEEN 0 AND quantity")
        batch.create_check_constraint(
            "refunded", "refunded_cents BETWEEN 0 AND quantity * unit_price_cents - discount_cents"
        )
    with op.batch_alter_table("ticket") as batch:
        batch.add_column(sa.Column("freight_cents", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("refunded_cents", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("settled_at", _TIME))
        batch.create_check_constraint("amounts", "freight_cents >= 0 AND refunded_cents >= 0")
    op.drop_index("uq_ticket_line_live", "ticket_line")
    with op.batch_alter_table("ticket_line") as batch:
        batch.add_column(sa.Column("quantity", sa.Integer))
        batch.add_column(sa.Column("received", sa.Integer))
        batch.add_column(sa.Column("sellable", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("paid_cents", sa.Integer))
        batch.add_column(sa.Column("refunded_cents", sa.Integer, nullable=False, server_default="0"))
    op.execute(
        "UPDATE ticket_line SET"
        " quantity = (SELECT l.quantity FROM order_line l WHERE l.id = order_line_id),"
        " paid_cents = (SELECT l.quantity * l.unit_price_cents - l.discount_cents"
        " FROM order_line l WHERE l.id = order_line_id)"
    )
    with op.batch_alter_table("ticket_line") as batch:
        batch.alter_column("quantity", existing_type=sa.Integer, nullable=False)
        batch.alter_column("paid_cents", existing_type=sa.Integer, nullable=False)
        batch.create_check_constraint("quantity", "quantity > 0")
        batch.create_check_constraint("received", "received BETWEEN 0 AND quantity")
        batch.create_check_constraint("sellable", "sellable BETWEEN 0 AND quantity")
        batch.create_check_constraint("refunded", "refunded_cents BETWEEN 0 AND paid_cents")
    op.create_index("ix_ticket_line_order_line_id", "ticket_line", ["order_line_id"])
    _count_what_there_is()


def _count_what_there_is() -> None:
    """Pieces in cases and money that went back, of what the last release knew: a case was about a whole line."""
    # what was exchanged is the customer's again, and may have another case
    op.execute(
        "UPDATE ticket_line SET live = false WHERE ticket_id IN"
        " (SELECT id FROM ticket WHERE kind = 'exchange' AND status IN ('exchanged', 'closed'))"
    )
    op.execute(
        "UPDATE order_line SET in_tickets = quantity WHERE id IN (SELECT order_line_id FROM ticket_line WHERE live)"
    )
    op.execute(
        "UPDATE ticket SET settled_at = (SELECT max(e.time) FROM ticket_event e"
        " WHERE e.ticket_id = ticket.id AND e.status IN ('refunded', 'exchanged'))"
        " WHERE status IN ('refunded', 'exchanged', 'closed')"
    )
    # a discount was not taken off what was promised: no more goes back than was paid
    op.execute(
        "UPDATE ticket SET refund_cents = p.paid"
        " FROM (SELECT ticket_id, sum(paid_cents) AS paid FROM ticket_line GROUP BY ticket_id) p"
        " WHERE p.ticket_id = ticket.id AND kind <> 'exchange' AND refund_cents > p.paid"
        " AND status NOT IN ('refunded', 'closed')"
    )
    op.execute(
        "UPDATE ticket SET refunded_cents = CASE WHEN refund_cents < p.paid THEN refund_cents ELSE p.paid END"
        " FROM (SELECT ticket_id, sum(paid_cents) AS paid FROM ticket_line GROUP BY ticket_id) p"
        " WHERE p.ticket_id = ticket.id AND kind <> 'exchange' AND status IN ('refunded', 'closed')"
    )
    _share_what_went_back()
    op.execute(
        "UPDATE orders SET refunded_cents = (SELECT coalesce(sum(l.refunded_cents), 0) FROM order_line l"
        " WHERE l.order_id = orders.id) WHERE id IN (SELECT order_id FROM ticket WHERE refunded_cents > 0)"
    )
    # an order that was cancelled was paid back as a whole
    op.execute(
        "UPDATE order_line SET refunded_cents = quantity * unit_price_cents - discount_cents WHERE order_id IN"
        " (SELECT id FROM orders WHERE status = 'cancelled' AND paid_at IS NOT NULL)"
    )
    op.execute("UPDATE orders SET refunded_cents = total_cents WHERE status = 'cancelled' AND paid_at IS NOT NULL")


def _share_what_went_back() -> None:
    """By line, in the order of its lines; whole lines, wherever all of it went back."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT t.id, t.refunded_cents, l.order_line_id, l.paid_cents FROM ticket t"
            " JOIN ticket_line l ON l.ticket_id = t.id WHERE t.refunded_cents > 0 ORDER BY t.id, l.order_line_id"
        )
    ).all()
    left: dict[str, int] = {}
    shares = []
    for ticket_id, refunded, line_id, paid in rows:
        cents = min(left.setdefault(ticket_id, refunded), paid)
        left[ticket_id] -= cents
        shares.append({"ticket": ticket_id, "line": line_id, "cents": cents})
    if shares:
        connection.execute(sa.text("UPDATE order_line SET refunded_cents = :cents WHERE id = :line"), shares)
        connection.execute(
            sa.text(
                "UPDATE ticket_line SET refunded_cents = :cents WHERE ticket_id = :ticket AND order_line_id = :line"
            ),
            shares,
        )


def downgrade() -> None:
    _keep_one_case_of_a_line()
    op.drop_index("ix_ticket_line_order_line_id", "ticket_line")
    with op.batch_alter_table("ticket_line") as batch:
        for name in ("quantity", "received", "sellable", "refunded"):
            batch.drop_constraint(name, type_="check")
        for name in ("quantity", "received", "sellable", "paid_cents", "refunded_cents"):
            batch.drop_column(name)
    op.create_index(
        "uq_ticket_line_live",
        "ticket_line",
        ["order_line_id"],
        unique=True,
        sqlite_where=sa.text("live = 1"),
        postgresql_where=sa.text("live"),
    )
    with op.batch_alter_table("ticket") as batch:
        batch.drop_constraint("amounts", type_="check")
        for name in ("freight_cents", "refunded_cents", "settled_at"):
            batch.drop_column(name)
    with op.batch_alter_table("order_line") as batch:
        for name in ("in_tickets", "refunded"):
            batch.drop_constraint(name, type_="check")
        for name in ("in_tickets", "refunded_cents"):
            batch.drop_column(name)
    with op.batch_alter_table("orders") as batch:
        batch.drop_constraint("refunded", type_="check")
        batch.drop_column("refunded_cents")


def _keep_one_case_of_a_line() -> None:
    """The last release takes a line as a whole, and one that was exchanged for settled: of several live cases of a
    line the newest stays so, and of a line without one the exchange is."""
    op.execute(
        "UPDATE ticket_line SET live = (ticket_id, order_line_id) IN"
        " (SELECT ticket_id, order_line_id FROM (SELECT l.ticket_id, l.order_line_id, row_number() OVER"
        " (PARTITION BY l.order_line_id ORDER BY l.live DESC, t.created_at DESC, t.id DESC) AS place"
        " FROM ticket_line l JOIN ticket t ON t.id = l.ticket_id"
        " WHERE l.live OR (t.kind = 'exchange' AND t.status IN ('exchanged', 'closed'))) ranked WHERE place = 1)"
    )
