"""After-sales cases and what happened to them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mall_adapter.values import FreightPayer, Reason, TicketKind, TicketStatus
from privacy.columns import EncryptedText
from storage import Base

if TYPE_CHECKING:
    from mall_adapter.models.orders import Order
    from mall_adapter.models.orders import OrderLine


class Ticket(Base):
    """An after-sales case; the decision is kept as it was when the case was made.

    ``refund_cents`` is promised: what was paid for its pieces, and ``freight_cents`` of the freight. Fewer pieces that
    come back lower it. ``refunded_cents`` has been paid back.
    """

    __tablename__ = "ticket"
    __table_args__ = (
        CheckConstraint("refund_cents >= 0", name="refund"),
        CheckConstraint("freight_cents >= 0 AND refunded_cents >= 0", name="amounts"),
        Index(None, "created_at", "id"),
        Index(None, "status", "created_at", "id"),
    )

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
    freight_cents: Mapped[int] = mapped_column(default=0, server_default="0")
    refunded_cents: Mapped[int] = mapped_column(default=0, server_default="0")
    due_on: Mapped[date]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]  # the money went back, or the new goods went out

    order: Mapped[Order] = relationship()
    lines: Mapped[list[TicketLine]] = relationship(back_populates="ticket", order_by="TicketLine.order_line_id")
    events: Mapped[list[TicketEvent]] = relationship(order_by="TicketEvent.id")


class TicketLine(Base):
    """So many pieces of an order's line are in the case.

    ``live`` until it is rejected, cancelled or exchanged; then its pieces may have another one. What a line has in live
    cases is counted in ``order_line.in_tickets``, which the database keeps within what was bought.
    """

    __tablename__ = "ticket_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("received BETWEEN 0 AND quantity", name="received"),
        CheckConstraint("sellable BETWEEN 0 AND quantity", name="sellable"),
        CheckConstraint("refunded_cents BETWEEN 0 AND paid_cents", name="refunded"),
    )

    ticket_id: Mapped[str] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    order_line_id: Mapped[str] = mapped_column(ForeignKey("order_line.id"), primary_key=True, index=True)
    quantity: Mapped[int]
    received: Mapped[int | None]  # of them came back; None: nobody has counted
    sellable: Mapped[int] = mapped_column(default=0, server_default="0")  # of these, into stock once it is settled
    paid_cents: Mapped[int]  # for the pieces that count: those that came back, else all
    refunded_cents: Mapped[int] = mapped_column(default=0, server_default="0")
    live: Mapped[bool] = mapped_column(default=True)

    ticket: Mapped[Ticket] = relationship(back_populates="lines")
    order_line: Mapped[OrderLine] = relationship()

    @property
    def pieces(self) -> int:
        """Those that count."""
        return self.quantity if self.received is None else self.received


class TicketEvent(Base):
    __tablename__ = "ticket_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("ticket.id"), index=True)
    time: Mapped[datetime]
    status: Mapped[TicketStatus]
    actor: Mapped[str]  # customer | rule | operator | supplier
    note: Mapped[str] = mapped_column(EncryptedText("ticket_event.note"))
