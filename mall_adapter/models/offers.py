"""What worried customers are offered, and what may be spent on it."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from mall_adapter.values import Feeling, OfferKind, OfferState
from storage import Base

_OPEN = text("state = 'offered'")


class Offer(Base):
    """One for each order and reason, whatever became of it: also one that was withheld by the experiment, or refused.

    ``value_cents`` counts in the budgets of ``charged_on`` while it is offered, and for good once it is accepted.
    """

    __tablename__ = "offer"
    __table_args__ = (
        UniqueConstraint("order_id", "reason", name="uq_offer_order_id_reason"),
        CheckConstraint("value_cents >= 0 AND min_spend_cents >= 0 AND valid_days >= 0", name="amounts"),
        CheckConstraint("points >= 0", name="points"),
        Index("ix_offer_customer_id_made_at", "customer_id", "made_at"),
        Index("ix_offer_open", "good_until", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "OF" + digits
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    supplier_id: Mapped[str | None] = mapped_column(ForeignKey("supplier.id"))
    reason: Mapped[str]  # a Standing, or "presale_moved"
    feeling: Mapped[Feeling]
    rule: Mapped[str]
    kind: Mapped[OfferKind]
    value_cents: Mapped[int]
    min_spend_cents: Mapped[int]
    valid_days: Mapped[int]
    points: Mapped[int] = mapped_column(default=0)  # of energy, as it was told
    experiment: Mapped[str]
    variant: Mapped[str]
    state: Mapped[OfferState]
    why: Mapped[str]  # of one that was refused: the score, and what it is made of
    made_at: Mapped[datetime]
    charged_on: Mapped[date]
    good_until: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    coupon_id: Mapped[str | None] = mapped_column(ForeignKey("coupon.id"))


class OfferBudget(Base):
    """What is spent, or offered, of one budget: "day:2026-11-30", "points:2026-11-30", "customer:C1:2026-11",
    "supplier:S1:2026-11"."""

    __tablename__ = "offer_budget"
    __table_args__ = (CheckConstraint("spent_cents BETWEEN 0 AND limit_cents", name="spent"),)

    scope: Mapped[str] = mapped_column(primary_key=True)
    spent_cents: Mapped[int]
    limit_cents: Mapped[int]
