"""A salesperson talks with a lead from their own chat: who may, what reaches whom, and how it ends.

何军 (C2, web:he) sells, 小王 sits at the desk; ``web:guest``, whom nobody knows, opened his card and asked for a price.
"""

from __future__ import annotations

import asyncio
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import Desk, SqlMall, models
from mall_adapter.cards import Cards
from mall_adapter.errors import InPublic, InvalidTransition, NotFound, NotPermitted
from mall_adapter.handoff import DeskEvent, HandoffReason
from mall_adapter.leads import Leads, Talking, talks
from storage import WRITES, Role
from tests.mall_adapter.offices import WANG, bind
from tests.mall_adapter.stored import store

from .conftest import NOW, Clock
from .test_leads import PRICE, cards, follow, manage, open_card, say

__all__ = ["cards"]

pytestmark = pytest.mark.parametrize("databases", ["sqlite", "postgresql"], indirect=True, scope="session")

GUEST, HE, IDLE = "web:guest", "web:he", timedelta(minutes=30)


@pytest.fixture
async def lead(cards: Cards, engine: AsyncEngine, clock: Clock) -> int:
    """The guest, who is warm."""
    return await warmed(cards, engine, clock, GUEST)


async def warmed(cards: Cards, engine: AsyncEngine, clock: Clock, sender: str) -> int:
    await open_card(cards, sender)
    await say(engine, sender, clock(), PRICE)
    await follow(engine, clock())
    async with AsyncSession(engine) as session:
        found = await session.scalar(select(models.Lead.id).order_by(models.Lead.id.desc()).limit(1))
    assert found is not None
    return found


@pytest.fixture
def leads(engine: AsyncEngine, clock: Clock) -> Leads:
    return Leads(engine, clock)


@pytest.fixture
def desk(engine: AsyncEngine, clock: Clock) -> Desk:
    return Desk(engine, (time.min, time.max), clock)


async def dispatched(desk: Desk) -> list[tuple[str, DeskEvent, str]]:
    """What the bot is told now, and records."""
    found = []
    while taken := await desk.dispatches():
        for one in taken:
            found.append((one.sender, one.event, one.text))
            await desk.delivered(one, [])
    return found


async def writes(engine: AsyncEngine, sender: str, text: str, clock: Clock) -> None:
    said = {"event": "user", "text": text, "timestamp": clock().timestamp(), "parse_data": {}}
    await store(engine, sender, said)


async def records(engine: AsyncEngine, sender: str, name: str, clock: Clock) -> None:
    """The bot has recorded what happened at the desk."""
    event: dict[str, Any] = {"event": "bot", "text": "…", "timestamp": clock().timestamp()}
    await store(engine, sender, event | {"metadata": {"by": "desk", "desk_id": name}, "data": {}})


async def heard(engine: AsyncEngine, clock: Clock) -> list[tuple[str, str, str]]:
    """What whoever talks is told now: where, which response, which words."""
    found = []
    for news in await talks.due(engine, IDLE, clock()):
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            if await talks.told(session, news, clock()):
                words = [(news.sender, response, values.get("words", "")) for _, response, values in news.said]
                found += words
    return found


async def test_what_each_says_reaches_the_other(
    leads: Leads, lead: int, desk: Desk, engine: AsyncEngine, clock: Clock
) -> None:
    await writes(engine, GUEST, "之前说的", clock)
    talk = await leads.take(HE, lead)
    assert talk == await leads.take(HE, lead)  # tapped twice
    assert (talk.who, talk.signed) == (None, "何军")
    for _ in range(2):  # the same message again
        await leads.say(HE, "您好，我是何军", "m1")
    assert await dispatched(desk) == [(GUEST, DeskEvent.PAUSE, "何军"), (GUEST, DeskEvent.SAID, "您好，我是何军")]
    for text in ("有货吗", "/affirm", "多少钱"):
        await writes(engine, GUEST, text, clock)
    said = "utter_notice_lead_says"
    assert await heard(engine, clock) == [(HE, said, "有货吗"), (HE, said, "多少钱")]
    assert await heard(engine, clock) == []
    await writes(engine, GUEST, "好的", clock)
    handoff = await desk.live(GUEST)
    assert handoff is not None
    await leads.give_back(HE)
    assert await leads.give_back(HE) is None
    assert await dispatched(desk) == [(GUEST, DeskEvent.RESUME, "")]
    assert await heard(engine, clock) == [(HE, said, "好的")]
    await records(engine, GUEST, f"desk-{handoff.id}-resume", clock)
    await writes(engine, GUEST, "这是对掌柜说的", clock)
    assert await heard(engine, clock) == []
    with pytest.raises(NotFound):
        await leads.say(HE, "还在吗", "m2")
    assert await leads.take(HE, lead)  # once more, in a hand-off of its own


async def test_of_those_who_tell_the_same_one_counts(
    leads: Leads, lead: int, engine: AsyncEngine, clock: Clock
) -> None:
    await leads.take(HE, lead)
    await writes(engine, GUEST, "在吗", clock)
    names = [one.said[0][0] for _ in range(2) for one in await talks.due(engine, IDLE, clock())]
    assert len(names) == 2 and len(set(names)) == 1  # the bot knows it by its name
    told = await asyncio.gather(*(heard(engine, clock) for _ in range(3)))
    assert sum(map(len, told)) == 1


async def test_nobody_else_takes_it(leads: Leads, lead: int, engine: AsyncEngine, clock: Clock) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Membership(principal_id="P-C1", role=Role.SALES, granted_at=NOW))
    with pytest.raises(NotFound):
        await leads.take("web:zhou", lead)  # sells, too
    for stranger in (GUEST, "web:nobody"):
        for does in (leads.take(stranger, lead), leads.warm(stranger, 3)):
            with pytest.raises(NotPermitted):
                await does
        with pytest.raises(NotFound):
            await leads.say(stranger, "我是何军", "m")
        assert await leads.give_back(stranger) is None
    with pytest.raises(InPublic):
        await leads.take("telegram:1@-5", lead)
    await leads.take(HE, lead)
    with pytest.raises(NotFound):
        await leads.say("web:zhou", "我来插一句", "m")
    await writes(engine, GUEST, "悄悄话", clock)
    assert {sender for sender, _, _ in await heard(engine, clock)} == {HE}


async def test_a_manager_takes_it_and_signs_as_themselves(
    leads: Leads, lead: int, engine: AsyncEngine, desk: Desk
) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Membership(principal_id="P-C1", role=Role.SALES, granted_at=NOW))
    await manage(engine, "P-C2", "P-C1")
    assert [number for number, _ in await leads.warm("web:zhou", 3)] == [lead]
    assert (await leads.take("web:zhou", lead)).signed == "周琳"
    with pytest.raises(InvalidTransition):
        await leads.take(HE, lead)  # one at a time


async def test_one_lead_at_a_time(cards: Cards, leads: Leads, lead: int, engine: AsyncEngine, clock: Clock) -> None:
    clock.advance(minutes=1)
    other = await warmed(cards, engine, clock, "web:zhou")
    assert [who for _, who in await leads.warm(HE, 3)] == ["周琳", None]
    await leads.take(HE, other)
    with pytest.raises(Talking) as caught:
        await leads.take(HE, lead)
    assert caught.value.who == "周琳"


async def test_the_desk_sees_it_and_takes_it(
    leads: Leads, lead: int, desk: Desk, engine: AsyncEngine, clock: Clock
) -> None:
    await leads.take(HE, lead)
    (handoff,) = await desk.open_handoffs()
    assert (handoff.reason, handoff.operator, handoff.in_chat) == (HandoffReason.LEAD, "何军", True)
    with pytest.raises(InvalidTransition):
        await desk.say(WANG, handoff.id, "我插一句", "m")
    await writes(engine, GUEST, "先问何军", clock)
    taken = await desk.claim(WANG, handoff.id)
    assert (taken.operator, taken.in_chat) == ("小王", False)
    await desk.claim(WANG, handoff.id)
    assert [event for _, event, _ in await dispatched(desk)] == [DeskEvent.PAUSE, DeskEvent.PAUSE]
    await records(engine, GUEST, f"desk-{handoff.id}-taken", clock)
    await writes(engine, GUEST, "再问小王", clock)
    assert await heard(engine, clock) == [
        (HE, "utter_notice_lead_says", "先问何军"),
        (HE, "utter_notice_lead_taken", ""),
    ]
    assert await heard(engine, clock) == []
    with pytest.raises(NotFound):
        await leads.say(HE, "我再说一句", "m")
    await desk.say(WANG, handoff.id, "您好", "m")


async def test_who_waits_at_the_desk_is_had_and_whom_the_desk_has_is_not(leads: Leads, lead: int, desk: Desk) -> None:
    waiting = await desk.request(GUEST, HandoffReason.ASKED, "k")
    await leads.take(HE, lead)
    await leads.give_back(HE)
    assert (await desk.handoff(waiting.id)).resolved is True
    again = await desk.request(GUEST, HandoffReason.ASKED, "k2")
    await desk.claim(WANG, again.id)
    with pytest.raises(InvalidTransition):
        await leads.take(HE, lead)


async def test_silence_gives_it_back(leads: Leads, lead: int, desk: Desk, engine: AsyncEngine, clock: Clock) -> None:
    await leads.take(HE, lead)
    (handoff,) = await desk.open_handoffs()
    clock.advance(minutes=29)
    await leads.say(HE, "还在看吗", "m1")
    clock.advance(minutes=29)
    await writes(engine, GUEST, "在看", clock)
    assert len(await heard(engine, clock)) == 1
    clock.advance(minutes=31)
    assert await heard(engine, clock) == []
    assert await dispatched(desk) != [] and await desk.live(GUEST) is None
    await records(engine, GUEST, f"desk-{handoff.id}-resume", clock)
    assert await heard(engine, clock) == [(HE, "utter_notice_lead_timed_out", "")]


@pytest.mark.parametrize("how", ["role", "account", "lead"])
async def test_whoever_may_not_any_more_hears_and_says_nothing(
    leads: Leads, lead: int, desk: Desk, engine: AsyncEngine, clock: Clock, how: str
) -> None:
    await leads.take(HE, lead)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        if how == "role":
            await session.execute(delete(models.Membership).where(models.Membership.role == Role.SALES))
        elif how == "lead":  # they declined to be recorded
            await session.execute(delete(models.Lead))
        else:
            account = await session.get_one(models.ChannelAccount, models.sender_index(HE))
            account.principal_id = None
    await writes(engine, GUEST, "我的电话是…", clock)
    with pytest.raises(NotFound):
        await leads.say(HE, "在吗", "m")
    assert await heard(engine, clock) == [(HE, "utter_notice_lead_cut_off", "")]
    assert await desk.live(GUEST) is None
    assert [event for _, event, _ in await dispatched(desk)] == [DeskEvent.PAUSE, DeskEvent.RESUME]


async def test_whoever_is_bound_meanwhile_is_talked_with_still(
    leads: Leads, lead: int, engine: AsyncEngine, clock: Clock
) -> None:
    await leads.take(HE, lead)
    await bind(SqlMall(engine, clock=clock), GUEST, "C1")
    await follow(engine, clock())
    await writes(engine, GUEST, "绑好了", clock)
    assert await heard(engine, clock) == [(HE, "utter_notice_lead_says", "绑好了")]
    assert (await leads.say(HE, "好的，周琳", "m")).who == "周琳"


async def test_whoever_wrote_nowhere_cannot_be_reached(
    leads: Leads, lead: int, engine: AsyncEngine, clock: Clock
) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        account = await session.get_one(models.ChannelAccount, models.sender_index(GUEST))
        account.heard_at = None
    with pytest.raises(NotFound):
        await leads.take(HE, lead)
    assert await leads.warm(HE, 3) == []
