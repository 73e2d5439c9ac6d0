"""No offers, offers again, and goods that are waited for, as customers say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rasa_sdk import Action
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions import malls
from bot.actions.notices import Subscribe, Unsubscribe, WatchStock
from mall_adapter import SqlMall, models
from mall_adapter.notices import KINDS, TOLD_STEPS, Notices
from storage import WRITES, create_engine, migrate
from tests.bot.actions.asking import DOMAIN, MUG, Customer, add_orders
from tests.mall_adapter.goods import add_sku, empty


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/notices.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def session(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncSession]:
    """Ann's mall, in which the mug is sold in two kinds, and the white one is sold out."""
    engine = create_engine(address)
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    monkeypatch.setattr(malls, "_goods", None)
    monkeypatch.setattr(malls._notices, "room", Notices(engine))
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        async with session.begin():
            await empty(session)
            add_orders(session)
            await session.flush()
            add_sku(session, "M-white", "保温杯", "白色 500ml", 9900, 0)
        yield session
    await engine.dispose()


async def say(action: Action, text: str, sender: str = "web:ann", **more: Any) -> Customer:
    customer = Customer("watch_stock", sender)
    await customer.says(text, **more).meets(action)
    return customer


@pytest.mark.parametrize(
    ("sender", "responses", "wants"),
    [
        ("web:ann", ["utter_unsubscribed", "utter_subscribed"], [False, True]),
        ("web:guest", ["utter_unsubscribe_stranger", "utter_subscribe_stranger"], [None, None]),
    ],
)
async def test_no_offers_and_offers_again(
    session: AsyncSession, sender: str, responses: list[str], wants: list[bool | None]
) -> None:
    for action, response, wanted in zip((Unsubscribe(), Subscribe()), responses, wants, strict=True):
        customer = await say(action, "退订", sender)
        assert [message["response"] for message in customer.told] == [response]
        async with session.begin():
            assert await session.scalar(select(models.NoticeChoice.marketing)) is wanted


@pytest.mark.parametrize(
    ("text", "sender", "response", "waits"),
    [
        ("山隅保温杯有货了告诉我", "web:ann", "utter_watched", ["M-white"]),  # of its kinds, the one that is sold out
        ("山隅保温杯白色到货提醒我", "web:ann", "utter_watched", ["M-white"]),
        ("山隅保温杯标准到货提醒我", "web:ann", "utter_watch_in_stock", []),
        ("到货提醒我", "web:ann", "utter_watch_which", []),
        ("山隅保温杯有货了告诉我", "web:guest", None, []),  # asked to bind first
    ],
)
async def test_goods_that_are_waited_for(
    session: AsyncSession, text: str, sender: str, response: str | None, waits: list[str]
) -> None:
    named = {"product": (MUG, MUG)} if MUG in text else {}
    customer = await say(WatchStock(), text, sender, **named)
    assert [message["response"] for message in customer.told] == ([response] if response else [])
    assert customer.slots["missing"] == (None if response else "binding")
    async with session.begin():
        assert list(await session.scalars(select(models.StockWatch.sku_id))) == waits


async def test_goods_that_are_talked_of_are_meant(session: AsyncSession) -> None:
    async with session.begin():
        await session.execute(update(models.Stock).values(on_hand=0, allocated=0))
    customer = Customer("watch_stock")
    customer.slots["focus"] = {"product": {"id": "口红", "turn": 1}}
    await customer.says("到货了叫我").meets(WatchStock())
    assert customer.text().startswith("记下了，花间丝绒口红 标准一到货")


async def test_goods_of_another_mall_are_not_ours_to_watch(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALL_URL", "https://mall.example")
    assert (await say(WatchStock(), "到货提醒我")).told[0]["response"] == "utter_watch_not_here"


# ---- what the shop says by itself


VALUES = {
    "ticket_id": "RT1",
    "order_id": "ORD12345",
    "goods": "水壶×1",
    "yuan": "9.90",
    "carrier": "顺丰",
    "month": "3",
    "day": "4",
    "date": "2026-03-04",
    "product": "水壶",
    "spec": "1 L",
    "title": "满减",
    "text": "新品",
    "who": "安",
    "who_en": "Ann",
    "goods_en": "a kettle",
    "lead": "7",
    "offer_id": "OF1",
    "points": "20",
    "balance": "40",
    "least": "50",
    "days": "30",
    "time": "09:30",
}


@pytest.mark.parametrize("kind", KINDS.kinds)
def test_every_kind_has_words_in_both_languages_and_leads_on(kind: str) -> None:
    responses = {name: each for name, each in DOMAIN["responses"].items() if name.startswith(f"utter_notice_{kind}")}
    assert bool(KINDS.kinds[kind].by) == (f"utter_notice_{kind}" not in responses) and responses  # type: ignore[index]
    for name, variants in responses.items():
        for variant in variants:
            assert variant["text"].format_map(VALUES)
            for button in variant.get("buttons", ()):
                intent = button["payload"].format_map(VALUES).split("{")[0].removeprefix("/")
                assert intent in DOMAIN["intents"]
        if name != "utter_notice_broadcast_plain":
            assert all(variant["buttons"] for variant in variants)
            assert {bool(variant.get("condition")) for variant in variants} == {False, True}


def test_every_step_of_a_ticket_that_is_told_has_words() -> None:
    assert {f"utter_notice_ticket_moved_{step}" for step in TOLD_STEPS} <= DOMAIN["responses"].keys()
