"""Leads: who becomes one, what warms them, and when their salesperson hears of it.

何军 (C2, web:he) sells; 周琳 (C1, web:zhou) and ``web:guest``, whom nobody knows, open his card.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models, people
from mall_adapter.cards import Cards
from mall_adapter.errors import NotPermitted
from mall_adapter.leads import Leads, read_conversations, read_on, sweep
from privacy.tables import conversation_event
from storage import WRITES, EventRow, Role
from storage.outbox import Outbox
from tests.mall_adapter.offices import WANG, bind, own_office
from tests.mall_adapter.stored import store

from .conftest import NOW, Clock

pytestmark = pytest.mark.parametrize("databases", ["sqlite", "postgresql"], indirect=True, scope="session")

PRICE, STOCK, COMPARES = ("ask_price", "price_promo"), ("ask_stock", "product_question"), ("compare_products", None)


@pytest.fixture
async def cards(engine: AsyncEngine, clock: Clock) -> Cards:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Membership(principal_id="P-C2", role=Role.SALES, granted_at=NOW))
        await people.meet(session, "web:guest", NOW)
        await session.execute(update(models.ChannelAccount).values(heard_at=NOW))
        await session.execute(delete(conversation_event))
    return Cards(engine, clock)


async def open_card(cards: Cards, sender: str) -> str:
    token = (await cards.make("web:he")).token
    own = await cards.open(token, sender, {})
    assert own is not None
    return own


async def say(
    engine: AsyncEngine, sender: str, at: datetime, *messages: tuple[str, str | None], goods: str | None = None
) -> None:
    """A turn, as the bot stores it."""
    entities = [{"entity": "product", "value": goods}] if goods else []
    said = [
        {
            "event": "user",
            "text": "…",
            "timestamp": at.timestamp(),
            "parse_data": {"intent": {"name": intent, "confidence": 0.9}, "topic": topic, "entities": entities},
        }
        for intent, topic in messages
    ]
    await store(engine, sender, *said)


async def follow(engine: AsyncEngine, now: datetime, *, stored: bool = False) -> None:
    while await read_on(engine, now):
        pass
    while await read_conversations(engine, now, stored=stored):
        pass


async def stage(engine: AsyncEngine) -> dict[str, str]:
    """Of each lead; somebody whom nobody knows is "account"."""
    async with AsyncSession(engine) as session:
        rows = await session.execute(select(models.Lead.person, models.Lead.stage).order_by(models.Lead.id))
        return {who if who.startswith("customer") else "account": str(now) for who, now in rows}


async def told(engine: AsyncEngine) -> list[tuple[str, Mapping[str, str]]]:
    """Which salesperson, and with which values."""
    async with AsyncSession(engine) as session:
        query = select(Outbox).where(Outbox.kind == "lead_warm").order_by(Outbox.id)
        return [(row.recipient, json.loads(row.payload)["values"]) for row in await session.scalars(query)]


async def asked(engine: AsyncEngine) -> list[tuple[str, str | None]]:
    async with AsyncSession(engine) as session:
        rows = await session.scalars(select(EventRow).where(EventRow.kind == "lead.asked").order_by(EventRow.id))
        return [(row.data["topic"], row.data.get("product_id")) for row in rows]


async def test_from_the_first_look_to_the_order(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    await open_card(cards, "web:zhou")
    await follow(engine, clock())
    assert await stage(engine) == {"customer:C1": "awareness"}
    for message, goods, then in (
        (("ask_product", "product_question"), None, "interest"),
        (COMPARES, None, "consideration"),
        (PRICE, "云跑缓震跑步鞋", "consideration"),
        (STOCK, "云跑缓震跑步鞋", "intent"),
        (("thank", None), None, "intent"),
    ):
        clock.advance(minutes=1)
        await say(engine, "web:zhou", clock(), message, goods=goods)
        await follow(engine, clock())
        assert await stage(engine) == {"customer:C1": then}
    assert await asked(engine) == [
        *(("product_detail", None), ("feature_comparison", None)),
        *(("price_inquiry", "P1"), ("stock", "P1")),
    ]
    heard = await told(engine)
    assert [(who, values["reason"]) for who, values in heard] == [
        *(("C2", "questions"), ("C2", "comparison"), ("C2", "stock"))
    ]
    assert (heard[-1][1]["who"], heard[-1][1]["goods"]) == ("周琳", "云跑缓震跑步鞋")


async def test_once_a_stage_whatever_is_read_again(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    await open_card(cards, "web:guest")
    await say(engine, "web:guest", clock(), PRICE)
    await asyncio.gather(*(follow(engine, clock()) for _ in range(4)))
    await say(engine, "web:guest", clock(), COMPARES)
    await follow(engine, clock())
    assert await asked(engine) == [("price_inquiry", None), ("feature_comparison", None)]
    ((who, values),) = await told(engine)
    assert (who, values["who"], values["who_en"]) == ("C2", "一位朋友", "a friend")


async def test_nobody_who_opened_no_card_is_read(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    await say(engine, "web:zhou", clock(), PRICE)
    await follow(engine, clock(), stored=True)
    assert (await asked(engine), await stage(engine)) == ([], {})


async def test_what_was_stored_before_is_read_by_command(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    await open_card(cards, "web:zhou")
    await say(engine, "web:zhou", clock(), PRICE)
    clock.advance(hours=5)
    await follow(engine, clock())
    assert await asked(engine) == []
    await follow(engine, clock(), stored=True)
    assert await asked(engine) == [("price_inquiry", None)]


async def test_silence_loses_a_lead_and_a_word_brings_them_back(
    cards: Cards, engine: AsyncEngine, clock: Clock
) -> None:
    await open_card(cards, "web:zhou")
    await say(engine, "web:zhou", clock(), PRICE)
    await follow(engine, clock())
    clock.advance(days=31)
    await sweep(engine, clock())
    assert await stage(engine) == {"customer:C1": "lost"}
    await say(engine, "web:zhou", clock(), STOCK)
    await follow(engine, clock(), stored=True)
    assert await stage(engine) == {"customer:C1": "interest"}
    assert len(await told(engine)) == 1  # of an earlier stage nobody hears again


async def test_whoever_is_bound_brings_along_what_they_asked(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    await open_card(cards, "web:guest")
    await say(engine, "web:guest", clock(), PRICE)
    await follow(engine, clock())
    assert await stage(engine) == {"account": "consideration"}
    await bind(SqlMall(engine, clock=clock), "web:guest", "C1")
    await follow(engine, clock())
    assert await stage(engine) == {"customer:C1": "consideration"}


async def test_whoever_declines_is_forgotten(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    for sender in ("web:guest", "web:zhou"):
        await open_card(cards, sender)
        await say(engine, sender, clock(), PRICE)
    await follow(engine, clock())
    await cards.decline("web:guest")
    await follow(engine, clock())
    assert await stage(engine) == {"customer:C1": "consideration"}
    async with AsyncSession(engine) as session:
        assert set(await session.scalars(select(models.LeadQuestion.person))) == {"customer:C1"}


async def test_two_customers_who_are_one_are_one_lead(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        index = models.phone_index("13700001111")
        new: dict[str, Any] = {"name": "周林", "phone": "13700001111", "phone_index": index, "address": "…"}
        session.add(models.Customer(id="C3", region="310000", registered_at=NOW, **new))
    await bind(SqlMall(engine, clock=clock), "web:guest", "C3")
    for sender in ("web:zhou", "web:guest"):
        await open_card(cards, sender)
    await say(engine, "web:guest", clock(), PRICE)
    await follow(engine, clock())
    assert await stage(engine) == {"customer:C1": "awareness", "customer:C3": "consideration"}
    await own_office(engine, clock).merge_customers(WANG, "C1", "C3", "merge")
    await follow(engine, clock())
    assert await stage(engine) == {"customer:C1": "consideration"}


async def test_only_their_own_and_only_who_sells(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    leads = Leads(engine, clock)
    await open_card(cards, "web:guest")
    await follow(engine, clock())
    assert (await leads.shown("web:he")).manager is False
    assert len((await leads.shown("web:he")).cards) == 1
    for stranger in ("web:zhou", "web:guest", "web:nobody"):
        with pytest.raises(NotPermitted):
            await leads.shown(stranger)


async def test_a_manager_sees_their_own_people_and_nobody_elses(
    cards: Cards, engine: AsyncEngine, clock: Clock
) -> None:
    """C1 sells, too, and manages nobody at first; 小王 runs the shop and never sees leads in a chat by that alone."""
    leads = Leads(engine, clock)
    await open_card(cards, "web:guest")
    await follow(engine, clock())
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Membership(principal_id="P-C1", role=Role.SALES, granted_at=NOW))
        account = {"principal_id": "P-wang", "first_seen_at": NOW, "channel": "web"}
        session.add(models.ChannelAccount(sender_index=models.sender_index("web:wang"), sender="web:wang", **account))
    persons = await everybody(engine)
    assert (await leads.shown("web:zhou")).cards == ()
    assert await leads.numbers("web:zhou", persons) == {}
    with pytest.raises(NotPermitted):
        await leads.shown("web:wang")
    for manager, sender in (("P-C1", "web:zhou"), ("P-wang", "web:wang")):
        await manage(engine, "P-C2", manager)
        shown = await leads.shown(sender)
        assert (len(shown.cards), shown.manager) == (1, True)
        assert len(await leads.numbers(sender, persons)) == 1
    assert (await leads.shown("web:zhou")).cards == ()  # not any more
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(update(models.ChannelAccount).values(heard_at=None))
    assert await leads.numbers("web:wang", persons) == {}  # who has never written cannot be talked with


async def everybody(engine: AsyncEngine) -> list[str]:
    async with AsyncSession(engine) as session:
        return list(await session.scalars(select(models.Lead.person)))


async def manage(engine: AsyncEngine, principal_id: str, manager_id: str | None) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        assert await people.appoint(session, principal_id, manager_id, WANG, NOW)
        assert not await people.appoint(session, principal_id, manager_id, WANG, NOW)
        with pytest.raises(ValueError, match="themselves"):
            await people.appoint(session, principal_id, principal_id, WANG, NOW)
