"""What takes something off a price."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import KeyedHash
from storage import Base


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
