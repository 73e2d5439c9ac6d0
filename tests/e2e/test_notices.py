"""What the shop says by itself, from what happens in the mall to the conversation, and what the customer does next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from mall_adapter import SqlMall, models, notices
from mall_adapter.notices import KINDS
from mall_adapter.values import ParcelStatus, ParcelStep
from storage import create_engine
from storage.outbox import Outbox
from tests.e2e.conversation import Chat, Desk, api_sender, buttons_of, copy_customer, copy_order, texts_of
from tests.mall_adapter.offices import OPERATOR, bind, new_key, office
from tests.stack import Stack


class Member:
    """Somebody with a copy of an order of the demo mall, whose account is bound."""

    def __init__(self, client: httpx.AsyncClient, engine: AsyncEngine, customer_id: str, order_id: str) -> None:
        self.engine, self.customer_id, self.order_id = engine, customer_id, order_id
        self.chat = Chat(client)
        self._news = Desk(client, self.chat, engine)

    async def says(self, text: str) -> str:
        return "\n".join(texts_of(await self.chat.say(text)))

    async def hears(self) -> tuple[str, list[str]]:
        """What came unasked: its words, and the titles of its buttons."""
        answer = await self._news.reaches()
        return "\n".join(texts_of(answer)), [one["title"] for one in buttons_of(answer)]

    async def told(self, kind: str) -> int:
        """How many notices of a kind were ever written down for them."""
        row = Outbox
        theirs = select(func.count()).where(row.recipient == self.customer_id, row.kind == kind)
        async with self.engine.connect() as connection:
            return await connection.scalar(theirs) or 0


@asynccontextmanager
async def member(stack: Stack, model: str) -> AsyncIterator[Member]:
    engine = create_engine(settings.database_url())
    async with httpx.AsyncClient(base_url=stack.url, timeout=60, trust_env=False) as client:
        customer_id = await copy_customer(engine, model)
        one = Member(client, engine, customer_id, await copy_order(engine, model, customer_id))
        await bind(SqlMall(engine), api_sender(one.chat.name), customer_id)
        try:
            yield one
        finally:
            await engine.dispose()


def play(stack: Stack, model: str, talk: Callable[[Member], Awaitable[None]]) -> None:
    async def played() -> None:
        async with member(stack, model) as one:
            await talk(one)

    asyncio.run(played())


@pytest.fixture(autouse=True)
def never_night(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it in the stack."""
    monkeypatch.setattr(type(KINDS.quiet), "ends", lambda *_: None)


async def _sold_by_one_kind(engine: AsyncEngine) -> tuple[str, str]:
    """Name and only SKU of goods that nobody else waits for."""
    sku, product = models.Sku, models.Product
    alone = select(sku.product_id).group_by(sku.product_id).having(func.count() == 1)
    found = select(product.name, sku.id).join(sku).where(product.id.in_(alone)).order_by(product.id).limit(1)
    async with engine.connect() as connection:
        name, sku_id = (await connection.execute(found)).one()
    return name, sku_id


def test_goods_that_are_there_again(stack: Stack) -> None:
    async def talk(one: Member) -> None:
        mall = office(SqlMall(one.engine))
        name, sku_id = await _sold_by_one_kind(one.engine)
        levels = await mall.stock(OPERATOR, sku_id)
        for level in levels:
            free = level.on_hand - level.allocated - level.held
            if free:
                await mall.adjust_stock(OPERATOR, level.warehouse_id, sku_id, -free, "sold elsewhere", new_key())
        assert "一到货我就在这里告诉您" in await one.says(f"{name}有货了喊我一声")
        await notices.tell_of_stock(one.engine, datetime.now(UTC))
        assert not await one.told("back_in_stock")

        await mall.receive_stock(OPERATOR, levels[0].warehouse_id, sku_id, 30, new_key())
        for _ in range(2):
            await notices.tell_of_stock(one.engine, datetime.now(UTC))
        text, buttons = await one.hears()
        assert name in text and "到货啦" in text and "看看" in buttons
        assert name in await one.says("[看看]")
        assert "下单" in await one.says("怎么买")
        assert await one.told("back_in_stock") == 1

    play(stack, "ORD12345", talk)


def test_a_presale_that_moves(stack: Stack) -> None:
    async def talk(one: Member) -> None:
        await one.says("你好")
        line, sku = models.OrderLine, models.Sku
        async with one.engine.connect() as connection:
            of_order = select(sku.product_id).join(line, line.sku_id == sku.id).where(line.order_id == one.order_id)
            product_id = (await connection.execute(of_order)).scalar_one()
        later = datetime.now(UTC) + timedelta(days=16)
        moved = await office(SqlMall(one.engine)).presale_moved(OPERATOR, product_id, later, new_key())
        assert one.order_id in moved
        text, buttons = await one.hears()
        here = later.astimezone(settings.SHANGHAI)
        assert one.order_id in text and f"{here.month} 月 {here.day} 日" in text and "查看订单" in buttons
        assert f"{here.month}月{here.day}日" in await one.says("[查看订单]")
        assert "取消" in await one.says("等不了这么久 能取消吗")

    play(stack, "ORD12349", talk)


def test_a_parcel_that_is_late(stack: Stack) -> None:
    async def talk(one: Member) -> None:
        await one.says("你好")
        now = datetime.now(UTC)
        async with one.engine.connect() as connection:
            of_order = select(models.Shipment.id).where(models.Shipment.order_id == one.order_id)
            shipment_id = (await connection.execute(of_order)).scalar_one()
        step = ParcelStep(ParcelStatus.DELAYED, now, expected_by=now + timedelta(days=2))
        await office(SqlMall(one.engine)).parcel_moved(OPERATOR, shipment_id, step, new_key())
        text, buttons = await one.hears()
        assert one.order_id in text and "耽搁" in text and "查看物流" in buttons
        assert "加湿器" in await one.says("[查看物流]")
        assert await one.told("parcel_delayed") == 1

    play(stack, "ORD12348", talk)


def test_a_coupon_that_is_about_to_end_and_no_more_offers(stack: Stack) -> None:
    async def talk(one: Member) -> None:
        await one.says("你好")
        sender = api_sender(one.chat.name)
        await SqlMall(one.engine).grant_coupon(sender, "茶会券", 800, 0, KINDS.coupon_days, new_key())
        for _ in range(2):
            await notices.tell_of_coupons(one.engine, datetime.now(UTC))
        text, buttons = await one.hears()
        assert "茶会券" in text and "退订" in text and "我的优惠券" in buttons
        assert "茶会券" in await one.says("[我的优惠券]")
        assert await one.told("coupon_expiring") == 1
        assert "不再给您发活动" in await one.says("T")
        assert "最多一条" in await one.says("[恢复通知]")

    play(stack, "ORD12345", talk)
