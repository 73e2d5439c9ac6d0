"""Tables of the mall: customers, goods, orders, shipments, after-sales tickets, coupons, and what keeps a write single.

Times are aware UTC, money is integer cents of CNY, ids are strings that people can read. What names a person is
encrypted (:class:`privacy.EncryptedText`); where it must be looked up there is a keyed hash (``blind_index``)
beside it. The same models serve SQLite and PostgreSQL.
"""

from __future__ import annotations

import enum
import hashlib
from datetime import UTC, date, datetime

from sqlalchemy import JSON, CheckConstraint, DateTime, Dialect, Enum, ForeignKey, Index, MetaData, false, text
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from mall_adapter.handoff import ComplaintKind, DeskEvent, HandoffReason, HandoffStatus
from mall_adapter.mall import FreightPayer, InvoiceKind, InvoiceStatus, OrderStatus, Reason, TicketKind, TicketStatus
from mall_adapter.policy import Trade
from mall_adapter.proof_limits import Proof
from privacy import EncryptedText, KeyedHash, blind_index


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC ``datetime`` on every database; SQLite keeps no zone, so the zone is given back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def sender_index(sender: str) -> str:
    """The keyed hash under which a sender (``"<channel>:<external id>"``) is stored."""
    # hashed first because a channel's ids differ by case, which a blind index forgives
    return blind_index(hashlib.sha256(sender.encode()).hexdigest(), "channel_account.sender")


def phone_index(phone: str) -> str:
    """The keyed hash by which a customer is found from a full phone number (digits only)."""
    return blind_index(phone, "customer.phone")


def phone_tail_index(order_id: str, phone: str) -> str:
    """The keyed hash of one order's last four phone digits; ``phone`` may be the whole number or only its tail.

    The order's id is part of it, so equal tails on different orders cannot be told from the table.
    """
    return blind_index(f"{order_id}:{''.join(phone.split())[-4:]}", "order.phone_tail")


def typed_order_index(order_id: str) -> str:
    """The keyed hash under which tries at an order are counted: what was typed may be anything."""
    return blind_index(order_id, "wrong_proofs.order")


def address_index(address: str) -> str:
    """The keyed hash under which the address of a caller is counted."""
    return blind_index(address, "wrong_proofs.address")


class Base(AsyncAttrs, DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (read once by SQLAlchemy, never changed)
        datetime: UtcDateTime,
        enum.Enum: Enum(
            enum.Enum, native_enum=False, length=32, values_callable=lambda e: [member.value for member in e]
        ),
        dict[str, str]: JSON,
    }


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(EncryptedText("customer.name"))
    phone: Mapped[str] = mapped_column(EncryptedText("customer.phone"))
    phone_index: Mapped[str] = mapped_column(KeyedHash(), unique=True)
    address: Mapped[str] = mapped_column(EncryptedText("customer.address"))
    region: Mapped[str]  # 华东, 华南, …
    registered_at: Mapped[datetime]
    demo: Mapped[bool] = mapped_column(default=False, server_default=false())  # invented, see demo_mark.py


class Demo(Base):
    """The house was seeded with the demo mall once; it is not seeded again by itself."""

    __tablename__ = "demo"

    id: Mapped[int] = mapped_column(primary_key=True)
    seeded_at: Mapped[datetime]


class ChannelAccount(Base):
    """One account of a channel, bound to a customer; several accounts may belong to the same customer."""

    __tablename__ = "channel_account"

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    role: Mapped[str] = mapped_column(default="customer")  # customer | sales | supplier | operator
    bound_at: Mapped[datetime]

    customer: Mapped[Customer] = relationship()


class Supplier(Base):
    __tablename__ = "supplier"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    trade: Mapped[Trade]
    region: Mapped[str]  # where its warehouse is
    demo: Mapped[bool] = mapped_column(default=False, server_default=false())

    products: Mapped[list[Product]] = relationship(back_populates="supplier")


class Product(Base):
    __tablename__ = "product"

    id: Mapped[str] = mapped_column(primary_key=True)
    supplier_id: Mapped[str] = mapped_column(ForeignKey("supplier.id"), index=True)
    name: Mapped[str]
    brand: Mapped[str]
    category: Mapped[str]
    trade: Mapped[Trade]  # the after-sales rules read it
    fresh: Mapped[bool] = mapped_column(default=False)  # perishable food
    custom_made: Mapped[bool] = mapped_column(default=False)  # made to the customer's order
    attributes: Mapped[dict[str, str]]  # {"净含量": "50 ml", …}, shown to customers as written
    image_path: Mapped[str | None]

    supplier: Mapped[Supplier] = relationship(back_populates="products")
    skus: Mapped[list[Sku]] = relationship(back_populates="product", order_by="Sku.id")


class Sku(Base):
    """One sellable variant and its stock in pieces.

    ``quantity`` lies in the warehouse; ``allocated`` of it belongs to orders that are not shipped yet (pending payment,
    paid, presale); ``reserved`` of it the supplier holds back. Free to sell is ``quantity - allocated - reserved``.
    """

    __tablename__ = "sku"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="price"),
        CheckConstraint("allocated >= 0 AND reserved >= 0", name="held"),
        CheckConstraint("allocated + reserved <= quantity", name="stock"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("product.id"), index=True)
    spec: Mapped[str]  # "黑色 42码"
    price_cents: Mapped[int]
    quantity: Mapped[int]
    allocated: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)

    product: Mapped[Product] = relationship(back_populates="skus")


class Order(Base):
    __tablename__ = "orders"  # "order" is a word of SQL
    __table_args__ = (
        CheckConstraint("total_cents >= 0", name="total"),
        Index(None, "customer_id", "placed_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "ORD" + 5 to 12 digits
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    status: Mapped[OrderStatus]
    placed_at: Mapped[datetime]
    ships_by: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    total_cents: Mapped[int]
    region: Mapped[str]
    # read by nobody who only answers a question, so not decrypted with every order
    recipient_name: Mapped[str] = mapped_column(EncryptedText("order.recipient_name"), deferred=True)
    recipient_phone: Mapped[str] = mapped_column(EncryptedText("order.recipient_phone"), deferred=True)
    recipient_address: Mapped[str] = mapped_column(EncryptedText("order.recipient_address"), deferred=True)
    phone_tail_index: Mapped[str] = mapped_column(KeyedHash())

    lines: Mapped[list[OrderLine]] = relationship(back_populates="order", order_by="OrderLine.id")
    shipments: Mapped[list[Shipment]] = relationship(back_populates="order", order_by="Shipment.id")


class OrderLine(Base):
    """One article of an order; price and names as they were when it was bought."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("unit_price_cents >= 0", name="unit_price"),
        Index(None, "order_id", "id"),  # with the id, or SQLite walks through all lines to have them in order
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "<order id>-1"
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    sku_id: Mapped[str] = mapped_column(ForeignKey("sku.id"))
    product_name: Mapped[str]
    spec: Mapped[str]
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]
    activated_at: Mapped[datetime | None]  # digital goods: when first used (a course's first lesson)

    order: Mapped[Order] = relationship(back_populates="lines")
    sku: Mapped[Sku] = relationship()
    live_ticket: Mapped[TicketLine | None] = relationship(
        primaryjoin="and_(TicketLine.order_line_id == OrderLine.id, TicketLine.live)", uselist=False, viewonly=True
    )


class Shipment(Base):
    __tablename__ = "shipment"

    id: Mapped[str] = mapped_column(primary_key=True)  # "<order id>-S1"
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), index=True)
    carrier: Mapped[str]
    tracking_number: Mapped[str]
    status: Mapped[str]  # created | in_transit | out_for_delivery | delivered | delayed | lost
    promised_by: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]

    order: Mapped[Order] = relationship(back_populates="shipments")
    events: Mapped[list[TrackingEvent]] = relationship(order_by="TrackingEvent.time, TrackingEvent.id")


class TrackingEvent(Base):
    __tablename__ = "tracking_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    shipment_id: Mapped[str] = mapped_column(ForeignKey("shipment.id"), index=True)
    time: Mapped[datetime]
    place: Mapped[str]
    text: Mapped[str]


class Ticket(Base):
    """An after-sales case; the decision is kept as it was when the case was made."""

    __tablename__ = "ticket"
    __table_args__ = (CheckConstraint("refund_cents >= 0", name="refund"),)

    id: Mapped[str] = mapped_column(primary_key=True)  # "RT" + digits
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), index=True)
    kind: Mapped[TicketKind]
    status: Mapped[TicketStatus]
    reason: Mapped[Reason]
    summary: Mapped[str]
    note: Mapped[str] = mapped_column(EncryptedText("ticket.note"), deferred=True)
    rule: Mapped[str]
    freight_payer: Mapped[FreightPayer]
    auto_approve: Mapped[bool]
    handling_days: Mapped[int]
    refund_cents: Mapped[int]
    due_on: Mapped[date]
    created_at: Mapped[datetime]

    order: Mapped[Order] = relationship(viewonly=True)
    lines: Mapped[list[TicketLine]] = relationship(back_populates="ticket", order_by="TicketLine.order_line_id")
    events: Mapped[list[TicketEvent]] = relationship(order_by="TicketEvent.id")


class TicketLine(Base):
    """``live`` until the ticket is rejected or cancelled; the database allows one live ticket for an order line."""

    __tablename__ = "ticket_line"
    __table_args__ = (
        Index(
            "uq_ticket_line_live",
            "order_line_id",
            unique=True,
            sqlite_where=text("live = 1"),  # as SQLAlchemy asks for it there, or no query would use the index
            postgresql_where=text("live"),
        ),
    )

    ticket_id: Mapped[str] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    order_line_id: Mapped[str] = mapped_column(ForeignKey("order_line.id"), primary_key=True)
    live: Mapped[bool] = mapped_column(default=True)

    ticket: Mapped[Ticket] = relationship(back_populates="lines")
    order_line: Mapped[OrderLine] = relationship(viewonly=True)


class TicketEvent(Base):
    __tablename__ = "ticket_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("ticket.id"), index=True)
    time: Mapped[datetime]
    status: Mapped[TicketStatus]
    actor: Mapped[str]  # customer | rule | operator | supplier
    note: Mapped[str] = mapped_column(EncryptedText("ticket_event.note"))


class Coupon(Base):
    """Belongs to a customer, or, granted to somebody who is not bound yet, to that channel account alone."""

    __tablename__ = "coupon"
    __table_args__ = (
        CheckConstraint("off_cents > 0 AND min_spend_cents >= 0", name="amounts"),
        CheckConstraint("(customer_id IS NULL) <> (sender_index IS NULL)", name="holder"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customer.id"), index=True)
    sender_index: Mapped[str | None] = mapped_column(KeyedHash(), index=True)
    title: Mapped[str]
    off_cents: Mapped[int]
    min_spend_cents: Mapped[int]
    granted_at: Mapped[datetime]
    valid_until: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Invoice(Base):
    """The database allows one invoice of an order that was not rejected."""

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint("amount_cents >= 0", name="amount"),
        Index(
            "uq_invoice_live",
            "order_id",
            unique=True,
            sqlite_where=text("status != 'rejected'"),
            postgresql_where=text("status != 'rejected'"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "FP" + digits
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    kind: Mapped[InvoiceKind]
    title: Mapped[str] = mapped_column(EncryptedText("invoice.title"))
    tax_number: Mapped[str | None] = mapped_column(EncryptedText("invoice.tax_number"))
    email: Mapped[str | None] = mapped_column(EncryptedText("invoice.email"))
    amount_cents: Mapped[int]
    status: Mapped[InvoiceStatus]
    created_at: Mapped[datetime]


class OwnershipProof(Base):
    """A sender has shown that an order is theirs: by the last digits of its phone, or by the whole number."""

    __tablename__ = "ownership_proof"

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    whole_phone: Mapped[bool] = mapped_column(default=False)
    proven_at: Mapped[datetime]


class WrongProofs(Base):
    """Wrong tries at one way of proving, of whoever the three columns name; an empty one stands for anybody, or any.

    ``order_index`` is of what was typed, whether there is such an order or not. A row says nothing any more from
    ``forgotten_at`` on, and goes then.
    """

    __tablename__ = "wrong_proofs"

    way: Mapped[Proof] = mapped_column(primary_key=True)
    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    order_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    address_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    tries: Mapped[int] = mapped_column(default=0)
    counted_until: Mapped[datetime]  # then the tries are forgotten
    times_locked: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    forgotten_at: Mapped[datetime] = mapped_column(index=True)


class Handoff(Base):
    """A customer's wish for a person. The database allows one live hand-off for a sender."""

    __tablename__ = "handoff"
    __table_args__ = (
        CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),
        Index(
            "uq_handoff_live",
            "sender_index",
            unique=True,
            sqlite_where=text("status IN ('waiting', 'claimed')"),
            postgresql_where=text("status IN ('waiting', 'claimed')"),
        ),
        Index(None, "sender_index", "id"),
        Index(None, "status", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)  # its order is that of the queue
    sender: Mapped[str] = mapped_column(EncryptedText("handoff.sender"))
    sender_index: Mapped[str] = mapped_column(KeyedHash())
    reason: Mapped[HandoffReason]
    status: Mapped[HandoffStatus]
    requested_at: Mapped[datetime]
    operator: Mapped[str | None] = mapped_column(EncryptedText("handoff.operator"))
    claimed_at: Mapped[datetime | None]
    first_answer_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    resolved: Mapped[bool | None]
    stars: Mapped[int | None]


class Outbox(Base):
    """What the desk has for a customer, written before it is sent; no ``messages`` until the bot has recorded it."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("uq_outbox_message", "sender_index", "message_index", unique=True),
        Index(
            "ix_outbox_waiting",
            "sender_index",
            "position",
            sqlite_where=text("messages IS NULL"),
            postgresql_where=text("messages IS NULL"),
        ),
        Index(None, "handoff_id", "position"),
    )

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1, 2, … for each sender
    handoff_id: Mapped[int] = mapped_column(ForeignKey("handoff.id"))
    message_index: Mapped[str] = mapped_column(KeyedHash())  # keyed hash of the message's id
    message_id: Mapped[str] = mapped_column(EncryptedText("outbox.message_id"))
    event: Mapped[DeskEvent]
    text: Mapped[str] = mapped_column(EncryptedText("outbox.text"))
    written_at: Mapped[datetime]
    messages: Mapped[str | None] = mapped_column(EncryptedText("outbox.messages"))  # JSON


class Misunderstood(Base):
    """The trainers' queue. What the message may have meant is sealed too: it says what the customer spoke about."""

    __tablename__ = "misunderstood"
    __table_args__ = (
        Index(
            "ix_misunderstood_open",
            "id",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_index: Mapped[str] = mapped_column(KeyedHash(), unique=True)  # keyed hash of sender and message id
    conversation: Mapped[str | None] = mapped_column(KeyedHash())  # None for those from before it was kept
    text: Mapped[str] = mapped_column(EncryptedText("misunderstood.text"))
    guesses: Mapped[str] = mapped_column(EncryptedText("misunderstood.guesses"))  # JSON: [[intent, confidence], …]
    noted_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    intent: Mapped[str | None] = mapped_column(EncryptedText("misunderstood.intent"))


class Complaint(Base):
    """What somebody complains of. The database allows one open complaint of a kind in a conversation."""

    __tablename__ = "complaint"
    __table_args__ = (
        Index(
            "uq_complaint_open",
            "conversation",
            "kind",
            unique=True,
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
        Index(
            "ix_complaint_open",
            "id",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation: Mapped[str] = mapped_column(KeyedHash())
    kind: Mapped[ComplaintKind]
    words: Mapped[str] = mapped_column(EncryptedText("complaint.words"))
    message_index: Mapped[str] = mapped_column(KeyedHash())  # keyed hash of the last message that was noted
    order_id: Mapped[str | None]
    enquiry: Mapped[bool]  # the courier is to be asked
    noted_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class ConversationView(Base):
    """An operator looked into a conversation, whether or not they could read it. Written before they are shown it."""

    __tablename__ = "conversation_view"
    __table_args__ = (Index(None, "conversation", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation: Mapped[str] = mapped_column(KeyedHash())
    operator: Mapped[str] = mapped_column(EncryptedText("conversation_view.operator"))
    viewed_at: Mapped[datetime]


class IdempotencyRecord(Base):
    """Written in the transaction of the effect: a key that is here has had its effect, any other has had none."""

    __tablename__ = "idempotency_record"

    key_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)  # keyed hash of the caller's key
    command: Mapped[str]
    request_hash: Mapped[str] = mapped_column(KeyedHash())
    result_id: Mapped[str] = mapped_column(default="")  # empty only inside the transaction that writes the effect
    created_at: Mapped[datetime]
