"""What an order cost and why, who sends which of its lines, and which pieces are in which parcel."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "fulfilment",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("supplier_id", sa.String, sa.ForeignKey("supplier.id"), nullable=False),
        sa.Column("warehouse_id", sa.String, sa.ForeignKey("warehouse.id"), nullable=False),
        sa.Column("freight_cents", sa.Integer, nullable=False),
        sa.Column("ships_by", _TIME),
    )
    op.create_index("ix_fulfilment_warehouse_id", "fulfilment", ["warehouse_id"])
    op.create_index("ix_fulfilment_order_id", "fulfilment", ["order_id"])
    op.create_index("ix_fulfilment_supplier_id", "fulfilment", ["supplier_id"])
    with op.batch_alter_table("orders") as batch:
        batch.add_column(sa.Column("pay_by", _TIME))
        batch.add_column(sa.Column("paid_at", _TIME))
        batch.add_column(sa.Column("discount_cents", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("freight_cents", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("coupon_id", sa.String))
        batch.add_column(sa.Column("card_token", sa.String))
        batch.create_foreign_key("fk_orders_coupon_id", "coupon", ["coupon_id"], ["id"])
        batch.create_check_constraint("amounts", "discount_cents >= 0 AND freight_cents >= 0")
    op.create_index("ix_orders_pay_by", "orders", ["pay_by"])
    with op.batch_alter_table("order_line") as batch:
        batch.add_column(sa.Column("discount_cents", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("fulfilment_id", sa.String))
        batch.add_column(sa.Column("ships_by", _TIME))
        batch.create_foreign_key("fk_order_line_fulfilment_id", "fulfilment", ["fulfilment_id"], ["id"])
        batch.create_check_constraint("discount", "discount_cents BETWEEN 0 AND quantity * unit_price_cents")
    op.create_index("ix_order_line_fulfilment_id", "order_line", ["fulfilment_id"])
    with op.batch_alter_table("shipment") as batch:
        batch.add_column(sa.Column("fulfilment_id", sa.String))
        batch.create_foreign_key("fk_shipment_fulfilment_id", "fulfilment", ["fulfilment_id"], ["id"])
    op.create_index("ix_shipment_fulfilment_id", "shipment", ["fulfilment_id"])
    op.create_table(
        "shipment_line",
        sa.Column("shipment_id", sa.String, sa.ForeignKey("shipment.id"), primary_key=True),
        sa.Column("order_line_id", sa.String, sa.ForeignKey("order_line.id"), primary_key=True),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.CheckConstraint("quantity > 0", name="quantity"),
    )
    op.create_index("ix_shipment_line_order_line_id", "shipment_line", ["order_line_id"])
    _tell_who_sends_what()


def _tell_who_sends_what() -> None:
    """Of the orders that there are: a fulfilment for each supplier, and a parcel holds all that its supplier sends."""
    op.execute("UPDATE orders SET paid_at = placed_at WHERE status <> 'pending_payment'")
    op.execute(
        "INSERT INTO fulfilment (id, order_id, supplier_id, warehouse_id, freight_cents, ships_by)"
        " SELECT o.id || '-F' || row_number() OVER (PARTITION BY o.id ORDER BY s.supplier_id),"
        " o.id, s.supplier_id, 'W-' || s.supplier_id, 0, o.ships_by FROM orders o JOIN"
        " (SELECT DISTINCT l.order_id, p.supplier_id FROM order_line l"
        " JOIN sku k ON k.id = l.sku_id JOIN product p ON p.id = k.product_id) s ON s.order_id = o.id"
    )
    op.execute(
        "UPDATE order_line SET fulfilment_id = (SELECT f.id FROM fulfilment f"
        " JOIN sku k ON k.id = order_line.sku_id JOIN product p ON p.id = k.product_id"
        " WHERE f.order_id = order_line.order_id AND f.supplier_id = p.supplier_id)"
    )
    with op.batch_alter_table("order_line") as batch:
        batch.alter_column("fulfilment_id", existing_type=sa.String, nullable=False)
    # a parcel of before held the whole order, whoever sent it
    op.execute(
        "UPDATE shipment SET fulfilment_id = (SELECT min(f.id) FROM fulfilment f WHERE f.order_id = shipment.order_id)"
    )
    op.execute(
        "INSERT INTO shipment_line (shipment_id, order_line_id, quantity)"
        " SELECT s.id, l.id, l.quantity FROM (SELECT min(id) AS id, order_id FROM shipment GROUP BY order_id) s"
        " JOIN order_line l ON l.order_id = s.order_id"
    )


def downgrade() -> None:
    op.drop_table("shipment_line")
    op.drop_index("ix_shipment_fulfilment_id", "shipment")
    with op.batch_alter_table("shipment") as batch:
        batch.drop_constraint("fk_shipment_fulfilment_id", type_="foreignkey")
        batch.drop_column("fulfilment_id")
    op.drop_index("ix_order_line_fulfilment_id", "order_line")
    with op.batch_alter_table("order_line") as batch:
        batch.drop_constraint("discount", type_="check")
        batch.drop_constraint("fk_order_line_fulfilment_id", type_="foreignkey")
        for name in ("discount_cents", "fulfilment_id", "ships_by"):
            batch.drop_column(name)
    op.drop_index("ix_orders_pay_by", "orders")
    with op.batch_alter_table("orders") as batch:
        batch.drop_constraint("amounts", type_="check")
        batch.drop_constraint("fk_orders_coupon_id", type_="foreignkey")
        for name in ("pay_by", "paid_at", "discount_cents", "freight_cents", "coupon_id", "card_token"):
            batch.drop_column(name)
    op.drop_table("fulfilment")
