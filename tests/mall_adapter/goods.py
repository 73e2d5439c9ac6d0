"""Goods for small malls: a SKU with its price, its stock and a ledger that agrees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models
from mall_adapter.policy import Trade
from storage import Role

SINCE = datetime(2024, 1, 1, tzinfo=UTC)


async def empty(session: AsyncSession) -> None:
    """Of everything but the regions, which come with the migrations."""
    for table in reversed(models.Base.metadata.sorted_tables):
        if table.name != "region":
            await session.execute(delete(table))


def add_supplier(session: AsyncSession, supplier_id: str = "S1", name: str = "百货一号", **more: Any) -> None:
    """With a warehouse in Shanghai: W-S1."""
    known = {"trade": Trade.CLOTHING, "region": "310000"} | more
    session.add(models.Supplier(id=supplier_id, name=name, **known))
    session.add(
        models.Warehouse(id=f"W-{supplier_id}", supplier_id=supplier_id, region=known["region"], name=f"{name}仓")
    )


def add_sku(
    session: AsyncSession,
    sku_id: str,
    product_id: str,
    spec: str,
    cents: int,
    on_hand: int,
    *,
    allocated: int = 0,
    held: int = 0,
    warehouse: str = "W-S1",
) -> None:
    """What is allocated belongs to no order that anybody knows."""
    session.add(models.Sku(id=sku_id, product_id=product_id, spec=spec))
    session.add(models.Price(sku_id=sku_id, kind=models.PriceKind.LIST, cents=cents, valid_from=SINCE))
    add_stock(session, sku_id, warehouse, on_hand, allocated=allocated, held=held)


def add_stock(
    session: AsyncSession, sku_id: str, warehouse: str, on_hand: int, *, allocated: int = 0, held: int = 0
) -> None:
    place = {"warehouse_id": warehouse, "sku_id": sku_id}
    session.add(models.Stock(**place, on_hand=on_hand, allocated=allocated, held=held))
    for kind, pieces in ((models.MovementKind.COUNT, on_hand), (models.MovementKind.ALLOCATE, allocated)):
        if pieces:
            cause = f"{kind}:opening:{warehouse}:{sku_id}"
            session.add(
                models.StockMovement(**place, kind=kind, quantity=pieces, cause=cause, at=SINCE, role=Role.SERVICE)
            )


def sent_by(order: models.Order, supplier_id: str = "S1") -> models.Order:
    """The order, all of whose lines this supplier sends."""
    fulfilment = models.Fulfilment(id=f"{order.id}-F1", supplier_id=supplier_id, warehouse_id=f"W-{supplier_id}")
    order.fulfilments = [fulfilment]
    for line in order.lines:
        line.fulfilment = fulfilment
    return order


async def stock_of(engine: AsyncEngine, sku_id: str) -> tuple[int, int]:
    """Pieces in all warehouses, and how many of them belong to orders."""
    query = select(models.Stock.on_hand, models.Stock.allocated).where(models.Stock.sku_id == sku_id)
    async with AsyncSession(engine) as session:
        rows = (await session.execute(query)).all()
    return sum(row.on_hand for row in rows), sum(row.allocated for row in rows)
