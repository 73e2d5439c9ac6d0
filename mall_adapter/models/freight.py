"""What sending costs the customer."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from storage import Base


class FreightUnit(StrEnum):
    GRAM = "gram"
    PIECE = "piece"


class FreightTemplate(Base):
    """Of a supplier, for a region or everywhere; the smallest region that holds the address counts.

    ``first_cents`` for up to ``first_units``, and ``further_cents`` for every ``further_units`` begun beyond. Nothing
    from ``free_from_cents`` of goods in the whole order on. Without a template sending costs nothing.
    """

    __tablename__ = "freight_template"
    __table_args__ = (
        CheckConstraint("first_units > 0 AND further_units > 0", name="units"),
        CheckConstraint("first_cents >= 0 AND further_cents >= 0 AND free_from_cents >= 0", name="amounts"),
        Index(None, "supplier_id", "region", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    supplier_id: Mapped[str] = mapped_column(ForeignKey("supplier.id"))
    region: Mapped[str | None] = mapped_column(ForeignKey("region.code"))  # None: everywhere
    unit: Mapped[FreightUnit]
    first_units: Mapped[int]
    first_cents: Mapped[int]
    further_units: Mapped[int]
    further_cents: Mapped[int]
    free_from_cents: Mapped[int | None]
