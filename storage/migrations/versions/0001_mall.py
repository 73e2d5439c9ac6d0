"""The mall: customers, goods, orders, shipments, after-sales tickets, coupons."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_HASH = sa.String(64)
_ENCRYPTED = sa.LargeBinary


# names of keys and constraints come from the naming convention of mall_adapter.models.Base
def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", _ENCRYPTED, nullable=False),
        sa.Column("phone", _ENCRYPTED, nullable=False),
        sa.Column("phone_index", _HASH, nullable=False, unique=True),
        sa.Column("address", _ENCRYPTED, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("registered_at", _TIME, nullable=False),
    )
    op.create_table(
        "idempotency_record",
        sa.Column("key_index", _HASH, primary_key=True),
        sa.Column("command", sa.String, nullable=False),
        sa.Column("request_hash", _HASH, nullable=False),
        sa.Column("result_id", sa.String, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_table(
        "supplier",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("trade", sa.String(32), nullable=False),
        sa.Column("region", sa.String, nullable=False),
    )
    op.create_table(
        "channel_account",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("bound_at", _TIME, nullable=False),
    )
    op.create_table(
        "coupon",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id")),
        sa.Column("sender_index", _HASH),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("off_cents", sa.Integer, nullable=False),
        sa.Column("min_spend_cents", sa.Integer, nullable=False),
        sa.Column("granted_at", _TIME, nullable=False),
        sa.Column("valid_until", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
        sa.CheckConstraint("(customer_id IS NULL) <> (sender_index IS NULL)", name="holder"),
        sa.CheckConstraint("off_cents > 0 AND min_spend_cents >= 0", name="amounts"),
    )
    op.create_index(None, "coupon", ["customer_id"])
    op.create_index(None, "coupon", ["sender_index"])
    op.create_table(
        "orders",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("placed_at", _TIME, nullable=False),
        sa.Column("ships_by", _TIME),
        sa.Column("delivered_at", _TIME),
        sa.Column("total_cents", sa.Integer, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("recipient_name", _ENCRYPTED, nullable=False),
        sa.Column("recipient_phone", _ENCRYPTED, nullable=False),
        sa.Column("recipient_address", _ENCRYPTED, nullable=False),
        sa.Column("phone_tail_index", _HASH, nullable=False),
        sa.CheckConstraint("total_cents >= 0", name="total"),
    )
    op.create_index(None, "orders", ["customer_id", "placed_at"])
    op.create_table(
        "product",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("supplier_id", sa.String, sa.ForeignKey("supplier.id"), nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("brand", sa.String, nullable=False),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("trade", sa.String(32), nullable=False),
        sa.Column("fresh", sa.Boolean, nullable=False),
        sa.Column("custom_made", sa.Boolean, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("image_path", sa.String),
    )
    op.create_index(None, "product", ["supplier_id"])
    op.create_table(
        "ownership_attempt",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("wrong_tries", sa.Integer, nullable=False),
        sa.Column("locked_until", _TIME),
        sa.Column("proven_at", _TIME),
    )
    op.create_table(
        "shipment",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("carrier", sa.String, nullable=False),
        sa.Column("tracking_number", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("promised_by", _TIME),
        sa.Column("shipped_at", _TIME),
        sa.Column("delivered_at", _TIME),
    )
    op.create_index(None, "shipment", ["order_id"])
    op.create_table(
        "sku",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("product_id", sa.String, sa.ForeignKey("product.id"), nullable=False),
        sa.Column("spec", sa.String, nullable=False),
        sa.Column("price_cents", sa.Integer, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("allocated", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.CheckConstraint("allocated + reserved <= quantity", name="stock"),
        sa.CheckConstraint("allocated >= 0 AND reserved >= 0", name="held"),
        sa.CheckConstraint("price_cents >= 0", name="price"),
    )
    op.create_index(None, "sku", ["product_id"])
    op.create_table(
        "ticket",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("summary", sa.String, nullable=False),
        sa.Column("note", _ENCRYPTED, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("freight_payer", sa.String(32), nullable=False),
        sa.Column("auto_approve", sa.Boolean, nullable=False),
        sa.Column("handling_days", sa.Integer, nullable=False),
        sa.Column("refund_cents", sa.Integer, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("refund_cents >= 0", name="refund"),
    )
    op.create_index(None, "ticket", ["order_id"])
    op.create_table(
        "order_line",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("sku_id", sa.String, sa.ForeignKey("sku.id"), nullable=False),
        sa.Column("product_name", sa.String, nullable=False),
        sa.Column("spec", sa.String, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price_cents", sa.Integer, nullable=False),
        sa.Column("activated_at", _TIME),
        sa.CheckConstraint("quantity > 0", name="quantity"),
        sa.CheckConstraint("unit_price_cents >= 0", name="unit_price"),
    )
    op.create_index(None, "order_line", ["order_id", "id"])
    op.create_table(
        "ticket_event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("ticket_id", sa.String, sa.ForeignKey("ticket.id"), nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("note", _ENCRYPTED, nullable=False),
    )
    op.create_index(None, "ticket_event", ["ticket_id"])
    op.create_table(
        "tracking_event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("shipment_id", sa.String, sa.ForeignKey("shipment.id"), nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("place", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
    )
    op.create_index(None, "tracking_event", ["shipment_id"])
    op.create_table(
        "ticket_line",
        sa.Column("ticket_id", sa.String, sa.ForeignKey("ticket.id"), primary_key=True),
        sa.Column("order_line_id", sa.String, sa.ForeignKey("order_line.id"), primary_key=True),
        sa.Column("live", sa.Boolean, nullable=False),
    )
    op.create_index(
        "uq_ticket_line_live",
        "ticket_line",
        ["order_line_id"],
        unique=True,
        sqlite_where=sa.text("live = 1"),
        postgresql_where=sa.text("live"),
    )


def downgrade() -> None:
    for table in (
        "ticket_line",
        "tracking_event",
        "ticket_event",
        "order_line",
        "ticket",
        "sku",
        "shipment",
        "ownership_attempt",
        "product",
        "orders",
        "coupon",
        "channel_account",
        "supplier",
        "idempotency_record",
        "customer",
    ):
        op.drop_table(table)
