"""What a lead says to a salesperson reaches the salesperson's own chat, once, whoever is away meanwhile.

何军 (C1, paper:he) sells; ``paper:li``, whom nobody knows, is his lead.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.leads import LeadTalks
from mall_adapter import DeskRules, Leads, leads, models, people
from mall_adapter.actors import SHELL
from mall_adapter.leads import LeadStage
from storage import WRITES, Role
from tests.connectors.fake_rasa import FakeRasa
from tests.mall_adapter.stored import store

from .paper import house as open_house

PERSON = "account:li"


async def leads_of(engine: AsyncEngine) -> Leads:
    """The lead's talk has begun."""
    now = datetime.now(UTC)
    people_of = (models.ChannelAccount, models.Membership, models.Principal, models.Customer)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for table in (models.Lead, models.CardVisitor, *people_of):
            await session.execute(delete(table))
        told = {"name": "何军", "phone": "1", "address": "上海", "region": "310000", "registered_at": now}
        session.add(models.Customer(id="C1", phone_index=models.phone_index("1"), **told))
        await session.flush()
        await people.bind(session, "paper:he", "C1", SHELL, now)
        await people.meet(session, "paper:li", now)
        session.add(models.Membership(principal_id="P-C1", role=Role.SALES, granted_at=now))
        session.add(models.CardVisitor(sender_index=models.sender_index("paper:li"), person=PERSON, since=now))
        lead = {"stage": LeadStage.INTENT, "since": now, "last_at": now}
        session.add(models.Lead(id=1, person=PERSON, principal_id="P-C1", **lead))
    seller = Leads(engine)
    await seller.take("paper:he", 1)
    return seller


async def writes(engine: AsyncEngine, text: str) -> None:
    said: dict[str, Any] = {"event": "user", "text": text, "timestamp": datetime.now(UTC).timestamp(), "parse_data": {}}
    await store(engine, "paper:li", said)


async def test_it_is_told_once_by_the_bot_and_shown_by_the_channel(
    engine: AsyncEngine, rasa: FakeRasa, tmp_path: Path
) -> None:
    seller = await leads_of(engine)
    rasa.said[leads.talks.SAID] = [{"text": "一位朋友：有货吗"}]
    async with open_house(engine, rasa.url, tmp_path, patience=0.3) as shop:
        relay = LeadTalks(engine, shop.bot, shop.worker.onward, shop.delivery.soon, DeskRules.load())
        await writes(engine, "有货吗")
        rasa.failures = [500]
        await relay.pass_on()  # the bot is away: it is told later
        assert shop.channel.texts("he") == []
        await asyncio.gather(relay.pass_on(), relay.pass_on())  # two gateways
        assert await shop.channel.until("he", 1) == ["一位朋友：有货吗"]
        await relay.pass_on()
        assert shop.channel.texts("he") == ["一位朋友：有货吗"]
        assert shop.channel.texts("li") == []
        await seller.give_back("paper:he")
        await relay.pass_on()
    told = [(each["sender"], each["text"], each["values"]["words"]) for each in rasa.notices]
    assert set(told) == {("paper:he", leads.talks.SAID, "有货吗")}
    async with AsyncSession(engine) as session:
        (talk,) = (await session.scalars(select(models.LeadTalk))).all()
    assert talk.ending == "given_back"
