"""Goods as the mall sells them."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models, read_catalogue
from mall_adapter.values import Listing, Product, Sku
from storage import WRITES
from tests.mall_adapter.goods import add_sku
from tests.mall_adapter.offices import place_order


async def test_a_product_comes_with_price_and_free_stock(mall: SqlMall) -> None:
    await place_order(mall, "C1", {"P1-1": 2}, "k1")
    assert await mall.products(["P1"]) == [
        Product(
            id="P1",
            name="云跑缓震跑步鞋",
            brand="云跑",
            category="跑步鞋",
            supplier="百货一号",
            attributes={"鞋面": "透气网布"},
            skus=(Sku("P1-1", "黑色 42码", 39900, 8),),
        )
    ]


async def test_the_whole_catalogue(engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        add_sku(session, "P1-2", "P1", "红色 42码", 41900, 0)
        await session.execute(delete(models.Price).where(models.Price.sku_id == "P4-1"))  # sold in no kind
    shoes, _, cakes = await read_catalogue(engine)
    assert shoes == Listing(
        *("P1", "云跑缓震跑步鞋", "云跑", "跑步鞋", "S1", "百货一号"),
        price_min_cents=39900,
        price_max_cents=41900,
        in_stock=True,
        image=None,
        attributes={"鞋面": "透气网布"},
    )
    assert (cakes.id, cakes.in_stock) == ("P3", False)
