"""What goods cost, where and when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mall_adapter.models.goods import Sku
from mall_adapter.values import PriceKind
from storage import Base


class Price(Base):
    """What one piece costs from ``valid_from`` until before ``valid_until``; a region's price counts before that of
    the region around it. Past prices stay."""

    __tablename__ = "price"
    __table_args__ = (
        CheckConstraint("cents >= 0", name="cents"),
        CheckConstraint("valid_until > valid_from", name="validity"),
        Index(None, "sku_id", "valid_from"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sku_id: Mapped[str] = mapped_column(ForeignKey("sku.id"))
    region: Mapped[str | None] = mapped_column(ForeignKey("region.code"))  # None: everywhere
    kind: Mapped[PriceKind]
    cents: Mapped[int]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    sku: Mapped[Sku] = relationship()
