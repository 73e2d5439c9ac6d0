"""Finding products by what customers call them."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import Listing, Product, Sku, SqlMall, models, read_catalogue
from mall_adapter.database import WRITES


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("那款跑鞋多少钱", ["云跑缓震跑步鞋"]),
        ("跑步鞋", ["云跑缓震跑步鞋"]),
        ("41步", []),
        ("云跑的短袖有货吗", ["云跑速干短袖", "云跑缓震跑步鞋"]),
        ("我昨天在朋友家看到她用的丝绒口红,颜色很好看,你们这里有没有卖的", ["花间丝绒口红"]),
        ("月饼还有吗", ["月满双黄莲蓉月饼"]),
        ("速干t恤", ["云跑速干短袖"]),
        ("花间丝绒口红", ["花间丝绒口红"]),
        ("花问丝绒口红", ["花间丝绒口红"]),
        ("缓镇跑步鞋多少钱", ["云跑缓震跑步鞋"]),
        ("双黄莲容月饼", ["月满双黄莲蓉月饼"]),
        ("飞机票多少钱", []),
        ("多少钱", []),
        ("😀", []),
        ("%", []),
        ("", []),
    ],
)
async def test_find_products(mall: SqlMall, text: str, names: list[str]) -> None:
    assert [product.name for product in await mall.find_products(text)] == names


async def test_a_product_comes_with_price_and_free_stock(mall: SqlMall) -> None:
    await mall.place_order("C1", {"P1-1": 2}, "k1")
    assert await mall.find_products("跑步鞋", limit=1) == [
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
    async with engine.execution_options(**WRITES).begin() as connection:
        red = {"id": "P1-2", "product_id": "P1", "spec": "红色 42码", "price_cents": 41900, "quantity": 0}
        await connection.execute(insert(models.Sku).values(red))
        await connection.execute(delete(models.Sku).where(models.Sku.id == "P4-1"))  # sold in no kind
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
