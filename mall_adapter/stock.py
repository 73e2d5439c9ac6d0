"""What lies in the warehouses, and what of it belongs to orders.

SKUs are taken always in the same order, so that two orders cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.errors import OutOfStock


async def allocate(session: AsyncSession, items: Mapping[str, int]) -> None:
    free = models.Sku.quantity - models.Sku.allocated - models.Sku.reserved
    for sku_id, pieces in sorted(items.items()):
        taken = await session.scalar(
            update(models.Sku)
            .where(models.Sku.id == sku_id, free >= pieces)
            .values(allocated=models.Sku.allocated + pieces)
            .returning(models.Sku.id)
        )
        if taken is None:
            raise OutOfStock(sku_id)


async def release(session: AsyncSession, kept: Iterable[tuple[models.OrderLine, int]]) -> None:
    """Gives back so many allocated pieces of these lines, which will not be shipped."""
    for sku_id, pieces in _pieces(kept):
        await session.execute(
            update(models.Sku).where(models.Sku.id == sku_id).values(allocated=models.Sku.allocated - pieces)
        )


async def ship(session: AsyncSession, sent: Iterable[tuple[models.OrderLine, int]]) -> None:
    """So many allocated pieces of these lines leave the warehouse."""
    for sku_id, pieces in _pieces(sent):
        await session.execute(
            update(models.Sku)
            .where(models.Sku.id == sku_id)
            .values(quantity=models.Sku.quantity - pieces, allocated=models.Sku.allocated - pieces)
        )


def _pieces(lines: Iterable[tuple[models.OrderLine, int]]) -> list[tuple[str, int]]:
    """Pieces by SKU, in the order in which SKUs are locked."""
    pieces: Counter[str] = Counter()
    for line, count in lines:
        pieces[line.sku_id] += count
    return sorted(pieces.items())
