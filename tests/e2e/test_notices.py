"""What the shop says by itself, from what happens in the mall to the conversation, and what the customer does next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlMall, models, notices
from mall_adapter.notices import KINDS
from mall_adapter.values import ParcelStatus, ParcelStep
from storage import WRITES, create_engine
from storage.outbox import Outbox
from tests.e2e.conversation import Chat, Failed, buttons_of, copy_customer, copy_order, phone_of, texts_of
from tests.mall_adapter.offices import OPERATOR, new_key, office
from tests.stack import Stack


class Visitor(Chat):
    """Of the web chat, known by a cookie: what the shop says by itself stands in their conversation."""

    async def say(self, text: str) -> dict[str, Any]:
        if text.startswith("["):
            text = self._buttons[text[1:-1]]
        response = await self._client.post("/api/chat", json={"text": text})
        response.raise_for_status()
        self.transcript.append(f"> {text}")
        return self.hears(response.json())

    async def reached(self, seen: set[str]) -> dict[str, Any]:
        """What came that is not among the ``seen``, waited for a little."""
        for _ in range(200):
            said = (await self._client.get("/api/chat/history")).json()["said"]
            messages = [message for each in said for message in each["messages"]]
            if new := [one for one in messages if one.get("text") and one["text"] not in seen]:
                return self.hears({"messages": new})
            await asyncio.sleep(0.1)
        raise Failed("\n".join([*self.transcript, "nothing came by itself"]))

    async def everything(self) -> str:
        """Their whole conversation, as their page is given it."""
        return (await self._client.get("/api/chat/history")).text


class Member:
    """A visitor with a copy of an order of the demo mall, by which their account is bound."""

    def __init__(self, client: httpx.AsyncClient, engine: AsyncEngine, customer_id: str, order_id: str) -> None:
        self.engine, self.customer_id, self.order_id = engine, customer_id, order_id
        self._chat, self._seen = Visitor(client), set[str]()

    async def says(self, text: str) -> str:
        texts = texts_of(await self._chat.say(text))
        self._seen |= set(texts)
        return "\n".join(texts)

    async def hears(self) -> tuple[str, list[str]]:
        """What came unasked: its words, and the titles of its buttons."""
        answer = await self._chat.reached(self._seen)
        self._seen |= set(texts_of(answer))
        return "\n".join(texts_of(answer)), [one["title"] for one in buttons_of(answer)]

    async def everything(self) -> str:
        return await self._chat.everything()

    async def told(self, kind: str) -> int:
        """How many notices of a kind were ever written down for them."""
        row = Outbox
        async with AsyncSession(self.engine) as session:  # whose it is, is sealed
            return (await session.scalars(select(row.recipient).where(row.kind == kind))).all().count(self.customer_id)


@asynccontextmanager
async def member(stack: Stack, model: str) -> AsyncIterator[Member]:
    engine = create_engine(settings.database_url())
    try:
        async with httpx.AsyncClient(base_url=stack.url, timeout=60, trust_env=False) as client:
            customer_id = await copy_customer(engine, model)
            one = Member(client, engine, customer_id, await copy_order(engine, model, customer_id))
            for words in ("绑定会员账号", await phone_of(engine, customer_id), one.order_id):
                await one.says(words)
            assert "绑定好了" in await one.says("确认")
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


async def _of_one_kind(engine: AsyncEngine) -> tuple[str, str]:
    """Name and id of goods that come in fewest kinds."""
    sku, product = models.Sku, models.Product
    kinds = select(sku.product_id).group_by(sku.product_id).order_by(func.count(), sku.product_id).limit(1)
    async with engine.connect() as connection:
        product_id = (await connection.execute(kinds)).scalar_one()
        return (await connection.execute(select(product.name).where(product.id == product_id))).scalar_one(), product_id


def test_goods_that_are_there_again(stack: Stack) -> None:
    async def talk(one: Member) -> None:
        mall = office(SqlMall(one.engine))
        name, product_id = await _of_one_kind(one.engine)
        skus = (await SqlMall(one.engine).product(product_id)).skus
        levels = [level for sku in skus for level in await mall.stock(OPERATOR, sku.id)]
        for level in levels:
            if free := level.on_hand - level.allocated - level.held:
                await mall.adjust_stock(OPERATOR, level.warehouse_id, level.sku_id, -free, "sold elsewhere", new_key())
        assert "一到货我就在这里告诉您" in await one.says(f"{name}有货了喊我一声")
        await notices.tell_of_stock(one.engine, datetime.now(UTC))
        assert not await one.told("back_in_stock")

        await mall.receive_stock(OPERATOR, levels[0].warehouse_id, levels[0].sku_id, 30, new_key())
        for _ in range(2):
            await notices.tell_of_stock(one.engine, datetime.now(UTC))
        text, buttons = await one.hears()
        assert name in text and "到货啦" in text and "看看" in buttons
        assert name in await one.says("[看看]")
        assert "付款" in await one.says("怎么买")
        assert await one.told("back_in_stock") == 1

    play(stack, "ORD12345", talk)


def test_a_presale_that_moves(stack: Stack) -> None:
    async def talk(one: Member) -> None:
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
        async with AsyncSession(one.engine.execution_options(**WRITES)) as session, session.begin():
            ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=KINDS.coupon_days)
            told = {"title": "茶会券", "off_cents": 800, "min_spend_cents": 0, "granted_at": datetime.now(UTC)}
            session.add(models.Coupon(id=new_key(), customer_id=one.customer_id, valid_until=ends, **told))
        for _ in range(2):
            await notices.tell_of_coupons(one.engine, datetime.now(UTC))
        text, buttons = await one.hears()
        assert "茶会券" in text and "退订" in text and "我的优惠券" in buttons
        assert "茶会券" in await one.says("[我的优惠券]")
        assert await one.told("coupon_expiring") == 1
        assert "不再给您发活动" in await one.says("T")
        assert "最多一条" in await one.says("[恢复通知]")

    play(stack, "ORD12345", talk)
