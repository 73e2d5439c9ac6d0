"""A salesperson's card as it is made and changed in the chat, and passed on by whoever holds one. Ann is in sales."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rasa_sdk import Action
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions import malls
from bot.actions.cards import MyCard, ShareCard
from mall_adapter import SqlMall, models
from mall_adapter.cards import Cards, Copy
from storage import WRITES, Role, create_engine, migrate
from tests.bot.actions.asking import LIPSTICK, SHOES, Customer, add_orders
from tests.mall_adapter.conftest import NOW
from tests.mall_adapter.goods import empty

ANN, BEN = "web:ann", "web:ben"


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/cards.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def cards(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cards]:
    engine = create_engine(address)
    cards = Cards(engine)
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    monkeypatch.setattr(malls, "_goods", None)
    monkeypatch.setattr(malls._cards, "room", cards)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await empty(session)
        add_orders(session)
        await session.flush()
        session.add(models.Membership(principal_id="P-C1", role=Role.SALES, granted_at=NOW))
    yield cards
    await engine.dispose()


async def say(text: str, sender: str = ANN, action: Action | None = None, **more: Any) -> Customer:
    customer = Customer("my_card", sender)
    await customer.says(text, **more).meets(action or MyCard())
    return customer


async def own(cards: Cards) -> Copy:
    (copy,) = await cards.held(ANN)
    return copy


@pytest.mark.parametrize(
    ("text", "part", "response", "shown"),
    [
        ("做一张我的名片", None, "utter_card_mine", {"name": "安", "phone": None, "title": None}),
        ("头衔改成高级顾问", "title", "utter_card_mine", {"title": "高级顾问"}),
        ("把头衔换成“店长”吧", "title", "utter_card_mine", {"title": "店长"}),
        ("换个头衔", "title", "utter_card_title_which", {"title": None}),
        ("头衔改一下", "title", "utter_card_title_which", {"title": None}),
        ("头衔改成一二三四五六七八九十一二三四五六七八九十一", "title", "utter_card_too_long", {"title": None}),
        ("问候语写成：有事随时找我", "greeting", "utter_card_mine", {"greeting": "有事随时找我"}),
        ("称呼改成小安🌸", "name", "utter_card_mine", {"name": "小安🌸"}),
        ("称呼改成\u202e\u200b", "name", "utter_card_name_which", {"name": "安"}),
        ("称呼改成{name}</b><script>", "name", "utter_card_mine", {"name": "{name}</b><script>"}),
        ("头像换一个", "portrait", "utter_card_portrait", {"portrait": None}),
        ("名片放电话", "phone", "utter_card_phone_which", {"phone": None}),
        ("主推换一下", "products", "utter_card_products_which", {"product_ids": ()}),
    ],
)
async def test_what_stands_on_the_card(
    cards: Cards, text: str, part: str | None, response: str, shown: dict[str, Any]
) -> None:
    named: dict[str, Any] = {"card": (text[:2], part)} if part else {}
    customer = await say(text, **named)
    assert [message["response"] for message in customer.told] == [response]
    face = (await own(cards)).face
    assert {name: getattr(face, name) for name in shown} == shown
    assert await cards.awaits_portrait(ANN) is (part == "portrait")


async def test_a_phone_stands_there_only_while_it_is_wanted(cards: Cards) -> None:
    await say("名片电话改成13800001111", card=("名片电话", "phone"), phone=("13800001111", "13800001111"))
    assert (await own(cards)).face.phone == "13800001111"
    await say("名片不放电话", card=("名片不放电话", "no_phone"))
    assert (await own(cards)).face.phone is None


async def test_goods_that_are_named_or_talked_of(cards: Cards) -> None:
    await say(f"主推换成{SHOES}", card=("主推换", "products"), product=(SHOES, SHOES))
    assert (await own(cards)).face.product_ids == ("跑步鞋",)
    customer = Customer("my_card", ANN)
    customer.slots["focus"] = {"product": {"id": "口红", "turn": 1}}
    await customer.says("主推换成这个", card=("主推换", "products")).meets(MyCard())
    assert (await own(cards)).face.product_ids == ("口红",)
    assert LIPSTICK not in customer.text()  # the picture shows it


@pytest.mark.parametrize("part", [None, "portrait", "products", "phone", "no_phone", "title", "greeting", "name"])
@pytest.mark.parametrize("sender", [BEN, "web:guest"])
async def test_whoever_is_not_in_sales_is_told_so(cards: Cards, sender: str, part: str | None) -> None:
    named: dict[str, Any] = {"card": ("头衔", part)} if part else {}
    customer = await say("头衔改成总经理", sender, **named)
    assert [message["response"] for message in customer.told] == ["utter_card_only_sales"]
    assert await cards.held(sender) == []


async def test_a_card_is_passed_on_by_whoever_holds_it(cards: Cards) -> None:
    assert [one["response"] for one in (await say("转发名片", BEN, ShareCard())).told] == ["utter_card_none"]
    shared = await say("转发名片", ANN, ShareCard())
    copy = await own(cards)
    assert [message["response"] for message in shared.told] == ["utter_card_share_own"]
    assert f"/c/{copy.token}" in shared.text()
    theirs = await cards.open(copy.token, BEN, {})
    assert theirs is not None
    passed_on = await say("转发名片", BEN, ShareCard())
    assert [message["response"] for message in passed_on.told] == ["utter_card_share"]
    assert f"/c/{theirs}" in passed_on.text()
    assert copy.token not in passed_on.text()
    assert passed_on.told[0]["image"].startswith(f"/c/{theirs}.png")
