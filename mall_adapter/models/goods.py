"""Suppliers and their goods."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mall_adapter.facts import Trade
from storage import Base


class Supplier(Base):
    __tablename__ = "supplier"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    trade: Mapped[Trade]
    region: Mapped[str] = mapped_column(ForeignKey("region.code"))
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
    presale_days: Mapped[int] = mapped_column(default=0, server_default="0")  # ships so many days after the order
    made_days: Mapped[int] = mapped_column(default=0, server_default="0")  # made to order; 0: as the promises say
    attributes: Mapped[dict[str, str]]  # {"净含量": "50 ml", …}, shown to customers as written
    image_path: Mapped[str | None]

    supplier: Mapped[Supplier] = relationship(back_populates="products")
    skus: Mapped[list[Sku]] = relationship(back_populates="product", order_by="Sku.id")


class Sku(Base):
    """One sellable variant."""

    __tablename__ = "sku"
    __table_args__ = (CheckConstraint("weight_g >= 0", name="weight"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("product.id"), index=True)
    spec: Mapped[str]  # "黑色 42码"
    weight_g: Mapped[int] = mapped_column(default=0, server_default="0")  # packed; 0: not known

    product: Mapped[Product] = relationship(back_populates="skus")
