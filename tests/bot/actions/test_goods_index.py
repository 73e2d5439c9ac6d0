"""Finding products by what customers call them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions.goods_index import GoodsIndex
from mall_adapter import SqlMall
from mall_adapter.values import Listing
from storage import WRITES, create_engine, migrate
from tests.mall_adapter.conftest import Clock, add_small_mall
from tests.mall_adapter.goods import empty


@pytest.fixture
async def goods(house: Path) -> AsyncIterator[GoodsIndex]:
    address = f"sqlite+aiosqlite:///{house}/goods_index.db"
    await migrate(address)
    engine = create_engine(address)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await empty(session)
        add_small_mall(session)
    yield GoodsIndex(SqlMall(engine, clock=Clock()))
    await engine.dispose()


async def test_the_list_is_read_once_however_many_look(goods: GoodsIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = goods.mall.catalogue, 0

    async def counted() -> Sequence[Listing]:
        nonlocal reads
        reads += 1
        return await read()

    monkeypatch.setattr(goods.mall, "catalogue", counted)
    await asyncio.gather(goods.find("跑步鞋"), goods.listings(), *(goods.find("月饼") for _ in range(8)))
    assert reads == 1
    listed = [(not one.in_stock, one.price_min_cents) for one in (await goods.listings()).values()]
    assert listed == sorted(listed) and len(listed) > 2


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
async def test_find(goods: GoodsIndex, text: str, names: list[str]) -> None:
    assert [product.name for product in await goods.find(text)] == names
