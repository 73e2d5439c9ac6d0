"""What the shop says by itself: who wants to hear it, who waits for goods, and what goes to many."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage import Base


class NoticeChoice(Base):
    """What a customer wants to hear beside what concerns their orders, and what they have heard of it."""

    __tablename__ = "notice_choice"

    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    marketing: Mapped[bool | None]  # None: they never said
    changed_at: Mapped[datetime | None]
    told_on: Mapped[date | None]  # in Asia/Shanghai, the last day on which they were sent any
    told: Mapped[int] = mapped_column(default=0)  # on that day


class StockWatch(Base):
    """A customer wants to know when there is any of it again; gone as soon as they are told."""

    __tablename__ = "stock_watch"
    __table_args__ = (UniqueConstraint("customer_id", "sku_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    sku_id: Mapped[str] = mapped_column(ForeignKey("sku.id"), index=True)
    since: Mapped[datetime]


class BroadcastState(StrEnum):
    DRAFT = "draft"
    PROPOSED = "proposed"  # waits for a second operator
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"  # everybody has been taken; the last may still be on their way
    WITHDRAWN = "withdrawn"


class Broadcast(Base):
    """One message to many. Its recipients are taken by their id, a few at a time, from ``position`` on."""

    __tablename__ = "broadcast"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    product_id: Mapped[str | None] = mapped_column(ForeignKey("product.id"))  # the button below leads to it
    coupon: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what each of them gets: a mall_adapter.coupons.Gift
    segment: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[BroadcastState]
    total: Mapped[int]  # as counted when it was proposed
    taken: Mapped[int] = mapped_column(default=0)
    position: Mapped[str] = mapped_column(default="")  # the last customer taken
    due_at: Mapped[datetime | None]  # of the next few
    drafted_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    drafted_at: Mapped[datetime]
    approved_by: Mapped[str | None] = mapped_column(ForeignKey("principal.id"))
    approved_at: Mapped[datetime | None]
