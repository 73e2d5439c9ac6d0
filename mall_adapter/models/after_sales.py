"""After-sales cases and what happened to them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mall_adapter.values import FreightPayer, Reason, TicketKind, TicketStatus
from privacy import EncryptedText
from storage import Base

if TYPE_CHECKING:
    from mall_adapter.models.orders import Order
    from mall_adapter.models.orders import OrderLine


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

    order: Mapped[Order] = relationship()
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
    order_line: Mapped[OrderLine] = relationship()


class TicketEvent(Base):
    __tablename__ = "ticket_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("ticket.id"), index=True)
    time: Mapped[datetime]
    status: Mapped[TicketStatus]
    actor: Mapped[str]  # customer | rule | operator | supplier
    note: Mapped[str] = mapped_column(EncryptedText("ticket_event.note"))
