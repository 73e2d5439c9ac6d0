"""Whoever comes in by a card is welcomed by its name, and what a salesperson sends may be their portrait."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from PIL import Image
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.cards import router
from connectors.inbound import Media
from connectors.pages import Pages
from connectors.web.visitor import Visitors
from connectors.words import WORDS
from mall_adapter import models
from mall_adapter.cards import Cards
from mall_adapter.values import Listing
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import WRITES, EventRow, Role
from tests.connectors.channels.paper import House, Paper, house
from tests.connectors.fake_rasa import FakeRasa

RECEIPTS = WORDS.receipts
CHEN = "paper:chen"


@pytest.fixture
async def cards(engine: AsyncEngine) -> AsyncIterator[Cards]:
    """小陈 (paper:chen) is in sales."""
    now = datetime.now(UTC)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        index = models.sender_index(CHEN)
        account = {"sender": CHEN, "channel": "paper", "conversation": conversation_of(current_ring(), CHEN)}
        times = {"first_seen_at": now, "bound_at": now}
        session.add(models.Principal(id="P-chen", name="小陈", created_at=now))
        session.add(models.Membership(principal_id="P-chen", role=Role.SALES, granted_at=now))
        session.add(models.ChannelAccount(sender_index=index, principal_id="P-chen", **account, **times))
    yield Cards(engine)
    async with engine.execution_options(**WRITES).begin() as connection:
        tables = (models.CardForward, models.CardHolder, models.CardVisitor, models.Card)
        for table in (*tables, models.ChannelAccount, models.Membership, models.Principal, EventRow):
            await connection.execute(delete(table))


@pytest.fixture
async def shop(engine: AsyncEngine, rasa: FakeRasa, tmp_path: Path) -> AsyncIterator[House]:
    async with house(engine, rasa.url, tmp_path, Paper()) as shop:
        yield shop


@pytest.mark.parametrize("event", ["joined", "scene"])
async def test_whoever_comes_by_a_card_is_noted_and_welcomed(
    cards: Cards, shop: House, engine: AsyncEngine, event: str
) -> None:
    token = (await cards.make(CHEN)).token
    bubbles = await shop.say("ann", "m1", event=event, data={"scene": token})
    assert RECEIPTS.came_by_card.format(name="小陈") in "".join(bubble.text for bubble in bubbles)
    async with AsyncSession(engine) as session:
        (told,) = await session.scalars(select(EventRow.data).where(EventRow.kind == "card.forwarded"))
    assert (told["channel"], told["depth"], told["new_person"]) == ("paper", 1, True)
    (held,) = await cards.held("paper:ann")
    assert held.token != token


async def test_a_scene_that_is_no_card_is_welcomed_as_ever(cards: Cards, shop: House) -> None:
    (bubble,) = await shop.say("ann", "m1", event="joined", data={"scene": "门店3"})
    assert bubble.text == RECEIPTS.welcome


async def test_a_picture_becomes_the_portrait_that_was_asked_for(cards: Cards, shop: House) -> None:
    drawn = BytesIO()
    Image.new("RGB", (900, 600), "red").save(drawn, "PNG")
    shop.channel.contents.update(face=drawn.getvalue(), broken=b"no picture")
    (before,) = await shop.say("chen", "m1", media=[Media(kind="picture", handle="face")])
    assert before.text == RECEIPTS.media["picture"]
    await cards.want_portrait(CHEN)
    (broken,) = await shop.say("chen", "m2", media=[Media(kind="picture", handle="broken")])
    assert broken.text == RECEIPTS.media["picture"]
    (taken,) = await shop.say("chen", "m3", media=[Media(kind="picture", handle="face")])
    assert taken.text == RECEIPTS.portrait
    portrait = (await cards.make(CHEN)).face.portrait
    assert portrait is not None
    picture = Image.open(BytesIO(portrait))
    assert (picture.format, picture.size) == ("JPEG", (480, 480))


@pytest.mark.parametrize(
    ("agent", "first"),
    [
        ("Mobile Safari/537.36", "/"),
        ("Mobile Safari/537.36 Telegram-Android/11", "telegram"),
        ("MicroMessenger/8", "/"),
    ],
)
async def test_the_page_leads_into_the_chat_of_the_visitors_channel(
    cards: Cards, engine: AsyncEngine, agent: str, first: str
) -> None:
    async def no_goods() -> list[Listing]:
        return []

    app, token = FastAPI(), (await cards.make(CHEN)).token
    visitors = Visitors([b"k" * 32], secure=False)
    app.include_router(router(cards, no_goods, visitors, {"telegram": Paper()}, Pages(engine)))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://house") as client:
        page = (await client.get(f"/c/{token}", headers={"User-Agent": agent})).text
        links = re.findall('class="chat" href="([^"]+)"', page)
        assert [link.rpartition("/")[2] or "/" for link in links[:1]] == [first]
        assert len(links) == 2
        went = await client.get(f"/c/{token}/telegram")
        assert (went.status_code, went.headers["Location"]) == (302, f"https://paper.example/{token}")
        assert (await client.get(f"/c/{token}/wechat")).status_code == 404
