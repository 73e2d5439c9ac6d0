"""What the demo mall brought carries a mark, so that it is never taken for the shop's own."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import models


async def is_demo(engine: AsyncEngine) -> bool:
    """Whether goods of the demo are in the mall."""
    async with engine.connect() as connection:
        return await connection.scalar(select(models.Supplier.id).where(models.Supplier.demo).limit(1)) is not None


async def was_demo(engine: AsyncEngine) -> bool:
    """Whether it ever was the demo mall."""
    async with engine.connect() as connection:
        return await connection.scalar(select(models.Demo.id).limit(1)) is not None
