"""What lies where, and every movement that brought it there."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mall_adapter.models.goods import Sku, Supplier
from storage import Base, Role


class Warehouse(Base):
    __tablename__ = "warehouse"

    id: Mapped[str] = mapped_column(primary_key=True)
    supplier_id: Mapped[str] = mapped_column(ForeignKey("supplier.id"), index=True)
    region: Mapped[str] = mapped_column(ForeignKey("region.code"))
    name: Mapped[str]

    supplier: Mapped[Supplier] = relationship()


class Stock(Base):
    """Pieces of one SKU in one warehouse.

    ``on_hand`` lie there; ``allocated`` of them belong to orders that are not shipped yet; ``held`` of them the
    supplier holds back. Free to sell is ``on_hand - allocated - held``. ``version`` grows with every change of what
    lies there or is held back: whoever has counted is not disturbed by orders.
    """

    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint("allocated >= 0 AND held >= 0", name="held"),
        CheckConstraint("allocated + held <= on_hand", name="on_hand"),
    )

    warehouse_id: Mapped[str] = mapped_column(ForeignKey("warehouse.id"), primary_key=True)
    sku_id: Mapped[str] = mapped_column(ForeignKey("sku.id"), primary_key=True, index=True)
    on_hand: Mapped[int]
    allocated: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)

    warehouse: Mapped[Warehouse] = relationship()
    sku: Mapped[Sku] = relationship()


class MovementKind(StrEnum):
    RECEIVE = "receive"  # + from the supplier
    ALLOCATE = "allocate"  # + to an order
    RELEASE = "release"  # - back from an order
    SHIP = "ship"  # - out of the house, and out of what is allocated
    RETURN = "return"  # + back from a customer
    ADJUST = "adjust"  # ± broken, found
    COUNT = "count"  # ± what a count has shown to be wrong


class StockMovement(Base):
    """Never changed. ``on_hand`` is the sum of all but allocations and releases, ``allocated`` that of allocations,
    releases and what was shipped."""

    __tablename__ = "stock_movement"
    __table_args__ = (
        CheckConstraint("quantity <> 0", name="quantity"),
        ForeignKeyConstraint(["warehouse_id", "sku_id"], ["stock.warehouse_id", "stock.sku_id"]),
        Index(None, "warehouse_id", "sku_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    warehouse_id: Mapped[str]
    sku_id: Mapped[str]
    kind: Mapped[MovementKind]
    quantity: Mapped[int]  # signed
    order_id: Mapped[str | None] = mapped_column(ForeignKey("orders.id"), index=True)
    ticket_id: Mapped[str | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    cause: Mapped[str] = mapped_column(unique=True)  # so that nothing moves twice for one reason
    at: Mapped[datetime]
    role: Mapped[Role]
    principal_id: Mapped[str | None]

    stock: Mapped[Stock] = relationship()
