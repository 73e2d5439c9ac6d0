"""Goods as the mall sells them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from mall_adapter import models
from mall_adapter.errors import NotFound
from mall_adapter.values import Listing, Product, Sku


async def listings(session: AsyncSession) -> list[Listing]:
    """Every product that is sold in at least one kind, by id."""
    product, sku = models.Product, models.Sku
    kinds = (
        select(
            sku.product_id,
            func.min(sku.price_cents).label("cheapest"),
            func.max(sku.price_cents).label("dearest"),
            func.max(sku.quantity - sku.allocated - sku.reserved).label("free"),
        )
        .group_by(sku.product_id)
        .subquery()
    )
    query = (
        select(
            *(product.id, product.name, product.brand, product.category, product.supplier_id, models.Supplier.name),
            *(kinds.c.cheapest, kinds.c.dearest, kinds.c.free > 0, product.image_path, product.attributes),
        )
        .join(models.Supplier)
        .join(kinds, kinds.c.product_id == product.id)
        .order_by(product.id)
    )
    return [Listing(*row) for row in await session.execute(query)]


async def read_catalogue(engine: AsyncEngine) -> list[Listing]:
    """:func:`listings` of the database behind ``engine``."""
    async with AsyncSession(engine) as session:
        return await listings(session)


async def products(session: AsyncSession, ids: Sequence[str]) -> list[Product]:
    """In the order of ``ids``; one that there is not is left out."""
    rows = await session.scalars(
        select(models.Product)
        .where(models.Product.id.in_(ids))
        .options(selectinload(models.Product.skus), joinedload(models.Product.supplier))
    )
    found = {row.id: _to_product(row) for row in rows}
    return [found[product_id] for product_id in ids if product_id in found]


async def product(session: AsyncSession, product_id: str) -> Product:
    """Raises NotFound."""
    found = await products(session, [product_id])
    if not found:
        raise NotFound(product_id)
    return found[0]


def _to_product(row: models.Product) -> Product:
    return Product(
        id=row.id,
        name=row.name,
        brand=row.brand,
        category=row.category,
        supplier=row.supplier.name,
        attributes=row.attributes,
        skus=tuple(
            Sku(sku.id, sku.spec, sku.price_cents, sku.quantity - sku.allocated - sku.reserved) for sku in row.skus
        ),
    )
