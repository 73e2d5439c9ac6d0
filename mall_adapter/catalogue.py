"""Goods as the mall sells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from mall_adapter import models, prices
from mall_adapter.errors import NotFound
from mall_adapter.values import Listing, Product, Sku

_FREE = models.Stock.on_hand - models.Stock.allocated - models.Stock.held


async def listings(session: AsyncSession, now: datetime) -> list[Listing]:
    """Every product that is sold in at least one kind, by id, at the prices that count everywhere."""
    product, sku, price, stock = models.Product, models.Sku, models.Price, models.Stock
    # where it is sold, the list price is one of these: a campaign below it is the lower one
    sold = (
        select(price.sku_id, func.min(price.cents).label("cents"))
        .where(prices.COUNTS)
        .group_by(price.sku_id)
        .having(func.max(case((price.kind == models.PriceKind.LIST, 1), else_=0)) == 1)
        .subquery()
    )
    there = select(stock.sku_id, func.sum(_FREE).label("free")).where(_FREE > 0).group_by(stock.sku_id).subquery()
    kinds = (
        select(
            sku.product_id,
            func.min(sold.c.cents).label("cheapest"),
            func.max(sold.c.cents).label("dearest"),
            func.max(func.coalesce(there.c.free, 0)).label("free"),
        )
        .join(sold, sold.c.sku_id == sku.id)
        .join(there, there.c.sku_id == sku.id, isouter=True)
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
    return [Listing(*row) for row in await session.execute(query, prices.then(now))]


async def read_catalogue(engine: AsyncEngine) -> list[Listing]:
    """:func:`listings` of the database behind ``engine``, as they are now."""
    async with AsyncSession(engine) as session:
        return await listings(session, datetime.now(UTC))


async def products(session: AsyncSession, ids: Sequence[str], now: datetime) -> list[Product]:
    """In the order of ``ids``; one that there is not is left out."""
    rows = (
        await session.scalars(
            select(models.Product)
            .where(models.Product.id.in_(ids))
            .options(selectinload(models.Product.skus), joinedload(models.Product.supplier))
        )
    ).all()
    skus = [sku.id for row in rows for sku in row.skus]
    cents = await prices.of_skus(session, skus, now)
    free = select(models.Stock.sku_id, func.sum(_FREE)).where(models.Stock.sku_id.in_(skus), _FREE > 0)
    there = {row[0]: row[1] for row in await session.execute(free.group_by(models.Stock.sku_id))}
    found = {row.id: _to_product(row, cents, there) for row in rows}
    return [found[product_id] for product_id in ids if product_id in found]


async def product(session: AsyncSession, product_id: str, now: datetime) -> Product:
    """Raises NotFound."""
    found = await products(session, [product_id], now)
    if not found:
        raise NotFound(product_id)
    return found[0]


def _to_product(row: models.Product, cents: Mapping[str, int], there: Mapping[str, int]) -> Product:
    """Kinds that have no price are not sold."""
    return Product(
        id=row.id,
        name=row.name,
        brand=row.brand,
        category=row.category,
        supplier=row.supplier.name,
        attributes=row.attributes,
        skus=tuple(Sku(sku.id, sku.spec, cents[sku.id], there.get(sku.id, 0)) for sku in row.skus if sku.id in cents),
    )
