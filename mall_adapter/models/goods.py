"""Suppliers, their goods, and what is in stock."""

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
