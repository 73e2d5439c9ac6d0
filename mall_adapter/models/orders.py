"""Orders, their lines and their parcels."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mall_adapter.values import OrderStatus, ParcelStatus
from privacy.columns import EncryptedText, KeyedHash, blind_index
from storage import Base

if TYPE_CHECKING:
    from mall_adapter.models.people import Customer
    from mall_adapter.models.stock import Warehouse
    from mall_adapter.models.goods import Sku, Supplier
    from mall_adapter.models.after_sales import TicketLine


def phone_tail_index(order_id: str, phone: str) -> str:
    """The keyed hash of one order's last four phone digits; ``phone`` may be the whole number or only its tail.

    The order's id is part of it, so equal tails on different orders cannot be told from the table.
    """
    return blind_index(f"{order_id}:{''.join(phone.split())[-4:]}", "order.phone_tail")


class Order(Base):
    __tablename__ = "orders"  # "order" is a word of SQL
    __table_args__ = (
        CheckConstraint("total_cents >= 0", name="total"),
        CheckConstraint("discount_cents >= 0 AND freight_cents >= 0", name="amounts"),
        CheckConstraint("refunded_cents BETWEEN 0 AND total_cents", name="refunded"),
        Index(None, "customer_id", "placed_at"),
        Index(None, "placed_at", "id"),
        Index(None, "status", "placed_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "ORD" + 5 to 12 digits
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    status: Mapped[OrderStatus]
    placed_at: Mapped[datetime]
    ships_by: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    pay_by: Mapped[datetime | None] = mapped_column(index=True)  # till then its pieces wait for the payment
    paid_at: Mapped[datetime | None]
    total_cents: Mapped[int]  # what was or is to be paid: its lines, less the discount, with the freight
    discount_cents: Mapped[int] = mapped_column(default=0)  # shared by the lines
    freight_cents: Mapped[int] = mapped_column(default=0)
    refunded_cents: Mapped[int] = mapped_column(default=0, server_default="0")  # of the total
    coupon_id: Mapped[str | None] = mapped_column(ForeignKey("coupon.id"))
    card_token: Mapped[str | None]  # of the smart card that brought the customer
    region: Mapped[str] = mapped_column(ForeignKey("region.code"))  # where it goes
    # read by nobody who only answers a question, so not decrypted with every order
    recipient_name: Mapped[str] = mapped_column(EncryptedText("order.recipient_name"), deferred=True)
    recipient_phone: Mapped[str] = mapped_column(EncryptedText("order.recipient_phone"), deferred=True)
    recipient_address: Mapped[str] = mapped_column(EncryptedText("order.recipient_address"), deferred=True)
    phone_tail_index: Mapped[str] = mapped_column(KeyedHash())

    customer: Mapped[Customer] = relationship()
    lines: Mapped[list[OrderLine]] = relationship(back_populates="order", order_by="OrderLine.id")
    fulfilments: Mapped[list[Fulfilment]] = relationship(back_populates="order", order_by="Fulfilment.id")
    shipments: Mapped[list[Shipment]] = relationship(back_populates="order", order_by="Shipment.id")


class OrderLine(Base):
    """One article of an order; price and names as they were when it was bought."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("unit_price_cents >= 0", name="unit_price"),
        CheckConstraint("discount_cents BETWEEN 0 AND quantity * unit_price_cents", name="discount"),
        CheckConstraint("released BETWEEN 0 AND quantity", name="released"),
        CheckConstraint("in_tickets BETWEEN 0 AND quantity", name="in_tickets"),
        CheckConstraint("refunded_cents BETWEEN 0 AND quantity * unit_price_cents - discount_cents", name="refunded"),
        Index(None, "order_id", "id"),  # with the id, or SQLite walks through all lines to have them in order
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "<order id>-1"
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    sku_id: Mapped[str] = mapped_column(ForeignKey("sku.id"))
    product_name: Mapped[str]
    spec: Mapped[str]
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]
    discount_cents: Mapped[int] = mapped_column(default=0)  # its share of the order's; paid is what is left
    released: Mapped[int] = mapped_column(default=0)  # pieces that will never leave: cancelled, or paid back before
    in_tickets: Mapped[int] = mapped_column(default=0, server_default="0")  # pieces in live after-sales cases
    refunded_cents: Mapped[int] = mapped_column(default=0, server_default="0")
    fulfilment_id: Mapped[str] = mapped_column(ForeignKey("fulfilment.id"), index=True)
    ships_by: Mapped[datetime | None]  # of what is sold before it is there, or made to order
    activated_at: Mapped[datetime | None]  # digital goods: when first used (a course's first lesson)

    order: Mapped[Order] = relationship(back_populates="lines")
    sku: Mapped[Sku] = relationship()
    fulfilment: Mapped[Fulfilment] = relationship()
    live_tickets: Mapped[list[TicketLine]] = relationship(
        primaryjoin="and_(TicketLine.order_line_id == OrderLine.id, TicketLine.live)",
        order_by="TicketLine.ticket_id",
        viewonly=True,
    )

    @property
    def paid_cents(self) -> int:
        return self.quantity * self.unit_price_cents - self.discount_cents


class Fulfilment(Base):
    """What one supplier has to send of an order, from one warehouse."""

    __tablename__ = "fulfilment"

    id: Mapped[str] = mapped_column(primary_key=True)  # "<order id>-F1"
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), index=True)
    supplier_id: Mapped[str] = mapped_column(ForeignKey("supplier.id"), index=True)
    warehouse_id: Mapped[str] = mapped_column(ForeignKey("warehouse.id"), index=True)
    freight_cents: Mapped[int] = mapped_column(default=0)  # its part of the order's
    ships_by: Mapped[datetime | None]

    order: Mapped[Order] = relationship(back_populates="fulfilments")
    supplier: Mapped[Supplier] = relationship()
    warehouse: Mapped[Warehouse] = relationship()


class Shipment(Base):
    __tablename__ = "shipment"
    __table_args__ = (
        Index(
            "ix_shipment_on_its_way",
            "promised_by",
            sqlite_where=text("delivered_at IS NULL"),
            postgresql_where=text("delivered_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "<order id>-S1"
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), index=True)
    fulfilment_id: Mapped[str | None] = mapped_column(ForeignKey("fulfilment.id"), index=True)
    carrier: Mapped[str]
    tracking_number: Mapped[str]
    status: Mapped[str]  # a ParcelStatus
    promised_by: Mapped[datetime | None]  # when it was sent; what a late parcel gives a right to counts from it
    expected_by: Mapped[datetime | None]  # as the carrier told when it was delayed
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]

    order: Mapped[Order] = relationship(back_populates="shipments")
    lines: Mapped[list[ShipmentLine]] = relationship(order_by="ShipmentLine.order_line_id")
    events: Mapped[list[TrackingEvent]] = relationship(order_by="TrackingEvent.time, TrackingEvent.id")


class ShipmentLine(Base):
    """So many pieces of a line are in the parcel."""

    __tablename__ = "shipment_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    shipment_id: Mapped[str] = mapped_column(ForeignKey("shipment.id"), primary_key=True)
    order_line_id: Mapped[str] = mapped_column(ForeignKey("order_line.id"), primary_key=True, index=True)
    quantity: Mapped[int]

    order_line: Mapped[OrderLine] = relationship()


class TrackingEvent(Base):
    __tablename__ = "tracking_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    shipment_id: Mapped[str] = mapped_column(ForeignKey("shipment.id"), index=True)
    time: Mapped[datetime]  # when it happened
    place: Mapped[str]
    text: Mapped[str]
    status: Mapped[ParcelStatus | None]  # None: words only
    recorded_at: Mapped[datetime | None]  # when the house heard of it
