"""What was sent in a conversation is needed as long as somebody is at work on what it was about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import Desk, SqlMall, evidence, models
from mall_adapter.handoff import ComplaintKind, HandoffReason
from mall_adapter.values import Reason, TicketKind, TicketRequest, TicketStatus
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import WRITES
from tests.mall_adapter.offices import new_key

from .conftest import NOW, Clock

REQUEST = TicketRequest("ORD10001", TicketKind.RETURN, Reason.DISLIKE, opened=False, note="")


@pytest.fixture
def shop(engine: AsyncEngine, clock: Clock) -> SqlMall:
    """The small mall on our own tables, which alone know conversations."""
    return SqlMall(engine, clock=clock)


async def needed(engine: AsyncEngine) -> set[str]:
    async with AsyncSession(engine) as session:
        return {str(each) for each in await session.scalars(evidence.needed())}


def of(*senders: str) -> set[str]:
    return {conversation_of(current_ring(), each) for each in senders}


async def meet(engine: AsyncEngine, sender: str) -> None:
    told = {"sender_index": models.sender_index(sender), "sender": sender, "channel": "web", "first_seen_at": NOW}
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.ChannelAccount(**told, conversation=conversation_of(current_ring(), sender)))


async def test_while_a_ticket_is_open_it_is_the_customers_and_of_who_proved_the_order(
    engine: AsyncEngine, shop: SqlMall
) -> None:
    await meet(engine, "web:guest")
    await shop.prove_ownership("web:guest", "ORD10001", "5678", new_key())
    assert await needed(engine) == set()
    ticket = await shop.create_ticket("web:zhou", REQUEST, new_key())
    assert await needed(engine) == of("web:zhou", "web:guest")
    await shop.cancel_ticket("web:zhou", ticket.id, new_key())
    assert await needed(engine) == set()


async def test_of_a_ticket_until_nobody_waits_any_more(engine: AsyncEngine, shop: SqlMall) -> None:
    await shop.create_ticket("web:zhou", REQUEST, new_key())
    open_ones = set()
    for status in TicketStatus:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await session.execute(update(models.Ticket).values(status=status))
        if await needed(engine) == of("web:zhou"):
            open_ones.add(status)
    assert open_ones == {TicketStatus.OPEN, TicketStatus.APPROVED, TicketStatus.GOODS_RECEIVED}


async def hand_off(desk: Desk) -> Callable[[], Awaitable[object]]:
    await desk.request("web:he", HandoffReason.ASKED, new_key())
    return lambda: desk.withdraw("web:he", new_key())


async def complain(desk: Desk) -> Callable[[], Awaitable[object]]:
    await desk.note_complaint("web:he", ComplaintKind.FAKE, "假货", new_key())
    actor = await desk.operator("小王", "dashboard")
    [complaint] = await desk.complaints()
    return lambda: desk.settle_complaint(actor, complaint.id)


@pytest.mark.parametrize("begins", [hand_off, complain])
async def test_until_a_person_has_dealt_with_it(
    engine: AsyncEngine, begins: Callable[[Desk], Awaitable[Callable[[], Awaitable[object]]]]
) -> None:
    ends = await begins(Desk(engine, settings.desk_hours(), clock=lambda: NOW))
    assert await needed(engine) == of("web:he")
    await ends()
    assert await needed(engine) == set()
