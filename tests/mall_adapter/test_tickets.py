"""After-sales tickets: one for a line, and only the steps that the state machine knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.errors import InvalidTransition, NotAllowed, NotFound, OwnershipRequired, TicketExists
from mall_adapter.policy import Trade
from mall_adapter.tickets import hold, since_delivery
from mall_adapter.values import FreightPayer, Reason, TicketKind, TicketRequest, TicketStatus
from storage import WRITES, IdempotencyConflict
from tests.mall_adapter.offices import advance_ticket, new_key

from .conftest import NOW, Clock

RETURN_SHOES = TicketRequest("ORD10001", TicketKind.RETURN, Reason.DISLIKE, opened=False, note="颜色不喜欢")
FAULTY = TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY)


async def test_seven_days_without_reason(mall: SqlMall) -> None:
    decision = await mall.assess("web:zhou", RETURN_SHOES)
    assert await mall.tickets_of("web:zhou") == []  # asking writes nothing

    ticket = await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    assert ticket.decision == decision
    assert (decision.auto_approve, decision.freight_payer, decision.refund_cents) == (
        True,
        FreightPayer.CUSTOMER,
        39900,
    )
    assert ticket.id.startswith("RT260311")
    assert (ticket.status, ticket.line_ids, ticket.summary) == (
        TicketStatus.APPROVED,
        ("ORD10001-1",),
        "云跑缓震跑步鞋 黑色 42码",
    )
    assert [(event.status, event.actor) for event in ticket.history] == [
        (TicketStatus.OPEN, "customer"),
        (TicketStatus.APPROVED, "rule"),
    ]
    assert ticket.due_on == date(2026, 3, 16)  # three working days after a Wednesday
    assert ticket.created_at == NOW
    assert await mall.ticket("web:zhou", ticket.id) == ticket
    assert await mall.tickets_of("web:zhou") == [ticket]
    assert (await mall.order("web:zhou", "ORD10001")).lines[0].open_ticket_id == ticket.id


async def test_what_the_rules_leave_to_a_person_stays_open(mall: SqlMall, engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        (await session.get_one(models.OrderLine, "ORD10001-1")).unit_price_cents = 900_000
    ticket = await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    assert not ticket.decision.auto_approve
    assert [(event.status, event.actor) for event in ticket.history] == [(TicketStatus.OPEN, "customer")]
    approved = await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "请保持吊牌完整", "k2")
    assert (approved.status, approved.history[-1].note) == (TicketStatus.APPROVED, "请保持吊牌完整")


async def test_the_same_key_makes_one_ticket(mall: SqlMall) -> None:
    ticket = await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    assert await mall.create_ticket("web:zhou", RETURN_SHOES, "k1") == ticket
    with pytest.raises(IdempotencyConflict):
        await mall.create_ticket("web:zhou", FAULTY, "k1")
    with pytest.raises(OwnershipRequired):  # a key of somebody else's is another key
        await mall.create_ticket("web:guest", RETURN_SHOES, "k1")


async def test_another_key_finds_the_ticket_that_exists(mall: SqlMall) -> None:
    ticket = await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    for attempt in (mall.create_ticket("web:zhou", FAULTY, "k2"), mall.assess("web:zhou", FAULTY)):
        with pytest.raises(TicketExists) as exists:
            await attempt
        assert exists.value.ticket == ticket


async def test_lines_are_ticketed_one_by_one(mall: SqlMall) -> None:
    def faulty(*line_ids: str) -> TicketRequest:
        return TicketRequest("ORD10002", TicketKind.RETURN, Reason.QUALITY, line_ids=line_ids)

    shoes = await mall.create_ticket("web:zhou", faulty("ORD10002-1"), "k1")
    assert (shoes.summary, shoes.decision.refund_cents) == ("云跑缓震跑步鞋 黑色 42码 ×2", 79800)
    with pytest.raises(TicketExists):
        await mall.assess("web:zhou", faulty())  # every line, so also the shoes
    lipstick = await mall.create_ticket("web:zhou", faulty("ORD10002-2"), "k2")
    assert [ticket.id for ticket in await mall.tickets_of("web:zhou", limit=1)] in ([shoes.id], [lipstick.id])
    assert {ticket.id for ticket in await mall.tickets_of("web:zhou")} == {shoes.id, lipstick.id}
    with pytest.raises(NotFound):
        await mall.assess("web:zhou", faulty("ORD10001-1"))


async def test_what_the_rules_refuse_makes_no_ticket(mall: SqlMall) -> None:
    old = TicketRequest("ORD10004", TicketKind.RETURN, Reason.DISLIKE, opened=False)
    decision = await mall.assess("web:zhou", old)
    with pytest.raises(NotAllowed) as refused:
        await mall.create_ticket("web:zhou", old, "k1")
    assert refused.value.decision == decision
    assert not decision.allowed
    assert await mall.tickets_of("web:zhou") == []
    await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")  # the key is still free


async def test_a_missing_fact_is_asked_for(mall: SqlMall) -> None:
    lipstick = TicketRequest("ORD10002", TicketKind.RETURN, Reason.DISLIKE, line_ids=("ORD10002-2",))
    assert (await mall.assess("web:zhou", lipstick)).missing_facts == ("opened",)
    with pytest.raises(NotAllowed):
        await mall.create_ticket("web:zhou", lipstick, "k1")


async def test_what_the_mall_knows_of_a_course_needs_no_question(mall: SqlMall, engine: AsyncEngine) -> None:
    request = TicketRequest("ORD10002", TicketKind.RETURN, Reason.DISLIKE, line_ids=("ORD10002-2",), opened=False)
    assert (await mall.assess("web:zhou", request)).allowed
    async with AsyncSession(engine) as session, session.begin():
        (await session.get_one(models.OrderLine, "ORD10002-2")).activated_at = NOW
    assert not (await mall.assess("web:zhou", request)).allowed


@pytest.mark.parametrize("delivered", ["00:05", "23:55"])
@pytest.mark.parametrize(
    ("asked", "allowed", "rule"),
    [
        ("2026-03-08 23:59", True, "seven_days_no_reason"),
        ("2026-03-09 00:00", False, "no_reason_too_late"),
    ],
)
async def test_seven_days_begin_the_day_after_delivery_and_end_at_midnight(
    mall: SqlMall, engine: AsyncEngine, clock: Clock, delivered: str, asked: str, allowed: bool, rule: str
) -> None:
    async with AsyncSession(engine) as session, session.begin():
        order = await session.get_one(models.Order, "ORD10001")
        order.delivered_at = datetime.fromisoformat(f"2026-03-01 {delivered}+08:00")
    clock.now = datetime.fromisoformat(f"{asked}+08:00").astimezone(UTC)
    decision = await mall.assess("web:zhou", RETURN_SHOES)
    assert (decision.allowed, decision.rule) == (allowed, rule)


@pytest.mark.parametrize(
    ("delivered", "now", "days", "hours"),
    [
        ("2026-03-01T00:05+08:00", "2026-03-01T23:35+08:00", 0, 23.5),
        ("2026-03-01T23:45+08:00", "2026-03-02T00:00+08:00", 1, 0.25),
        ("2026-03-01T15:30+00:00", "2026-03-01T16:00+00:00", 1, 0.5),  # midnight in Shanghai, one day in Greenwich
        ("2026-03-02T00:05+08:00", "2026-03-01T23:35+08:00", 0, 0),  # a courier's clock that is ahead
    ],
)
def test_days_are_those_of_the_shop(delivered: str, now: str, days: int, hours: float) -> None:
    assert since_delivery(datetime.fromisoformat(delivered), datetime.fromisoformat(now)) == (days, hours)


async def test_the_rules_tell_their_limits(mall: SqlMall) -> None:
    assert (await mall.terms())["no_reason_days"] == 7


async def test_somebody_elses_ticket_does_not_exist(mall: SqlMall) -> None:
    ticket = await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    for attempt in (
        mall.ticket("web:he", ticket.id),
        mall.ticket("web:zhou", "RT1"),
        mall.cancel_ticket("web:he", ticket.id, "k2"),
        advance_ticket(mall, "RT1", TicketStatus.APPROVED, "operator", "", "k3"),
    ):
        with pytest.raises(NotFound):
            await attempt
    await mall.prove_ownership("web:he", "ORD10001", "5678", new_key())
    assert await mall.ticket("web:he", ticket.id) == ticket


async def test_a_cancelled_ticket_frees_its_line(mall: SqlMall, clock: Clock) -> None:
    ticket = await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    clock.advance(hours=1)
    cancelled = await mall.cancel_ticket("web:zhou", ticket.id, "k2")
    assert await mall.cancel_ticket("web:zhou", ticket.id, "k2") == cancelled
    assert (cancelled.status, cancelled.history[-1].actor) == (TicketStatus.CANCELLED, "customer")
    assert cancelled.history[-1].time == clock.now
    with pytest.raises(InvalidTransition):
        await mall.cancel_ticket("web:zhou", ticket.id, "k3")
    assert (await mall.order("web:zhou", "ORD10001")).lines[0].open_ticket_id is None
    assert (await mall.create_ticket("web:zhou", RETURN_SHOES, "k4")).id != ticket.id
    assert await mall.create_ticket("web:zhou", RETURN_SHOES, "k1") == ticket  # the old key gives the first answer


async def test_the_database_itself_refuses_more_pieces_than_were_bought(mall: SqlMall, engine: AsyncEngine) -> None:
    await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    for line_id, pieces in (("ORD10001-1", 1), ("ORD10002-1", 3), ("ORD10002-1", -1)):
        async with AsyncSession(engine) as session:
            with pytest.raises(IntegrityError):
                await hold(session, {line_id: pieces})


STEPS = {
    (TicketKind.RETURN, FreightPayer.SHOP): """
        open -> approved rejected cancelled
        approved -> goods_received cancelled
        goods_received -> refunded rejected
        refunded -> closed
    """,
    (TicketKind.RETURN, FreightPayer.NOBODY): """
        open -> approved rejected cancelled
        approved -> refunded cancelled
        refunded -> closed
    """,
    (TicketKind.EXCHANGE, FreightPayer.SHOP): """
        open -> approved rejected cancelled
        approved -> goods_received cancelled
        goods_received -> exchanged rejected
        exchanged -> closed
    """,
    (TicketKind.EXCHANGE, FreightPayer.NOBODY): """
        open -> approved rejected cancelled
        approved -> exchanged cancelled
        exchanged -> closed
    """,
    (TicketKind.REFUND, FreightPayer.NOBODY): """
        open -> approved rejected cancelled
        approved -> refunded cancelled
        refunded -> closed
    """,
}


@pytest.mark.parametrize(("kind", "freight_payer"), STEPS)
async def test_there_are_no_other_steps(
    mall: SqlMall, engine: AsyncEngine, kind: TicketKind, freight_payer: FreightPayer
) -> None:
    lines = (line.split(" -> ") for line in STEPS[kind, freight_payer].strip().splitlines())
    allowed = {(start.strip(), end) for start, ends in lines for end in ends.split()}
    ticket = await mall.create_ticket("web:zhou", replace(FAULTY, kind=kind), "k1")
    possible = set()
    for start, end in product(TicketStatus, TicketStatus):
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.execute(
                update(models.Ticket).values(
                    status=start, freight_payer=freight_payer, refunded_cents=0, settled_at=None
                )
            )
            await connection.execute(update(models.TicketLine).values(live=True, refunded_cents=0))
            shoes = models.OrderLine.id == "ORD10001-1"
            await connection.execute(update(models.OrderLine).where(shoes).values(in_tickets=1, refunded_cents=0))
            await connection.execute(update(models.Order).values(refunded_cents=0))
        try:
            moved = await advance_ticket(mall, ticket.id, end, "operator", "已查收", f"{start} to {end}")
        except InvalidTransition:
            assert (await mall.ticket("web:zhou", ticket.id)).status is start
        else:
            possible.add((start.value, end.value))
            assert (moved.status, moved.history[-1].status) == (end, end)
            assert (moved.history[-1].actor, moved.history[-1].note) == ("operator", "已查收")
            line = (await mall.order("web:zhou", "ORD10001")).lines[0]
            assert line.open_ticket_id == (None if end in {"rejected", "cancelled", "exchanged"} else ticket.id)
    assert possible == allowed


async def test_a_return_walks_to_its_end(mall: SqlMall) -> None:
    ticket = await mall.create_ticket("web:zhou", RETURN_SHOES, "k1")
    for status in (TicketStatus.GOODS_RECEIVED, TicketStatus.REFUNDED, TicketStatus.CLOSED):
        ticket = await advance_ticket(mall, ticket.id, status, "operator", "", f"to {status}")
        assert await advance_ticket(mall, ticket.id, status, "operator", "", f"to {status}") == ticket
    assert [event.status for event in ticket.history] == [
        TicketStatus.OPEN,
        TicketStatus.APPROVED,
        TicketStatus.GOODS_RECEIVED,
        TicketStatus.REFUNDED,
        TicketStatus.CLOSED,
    ]
    with pytest.raises(TicketExists):  # goods go back once
        await mall.create_ticket("web:zhou", RETURN_SHOES, "k2")


@pytest.mark.parametrize(
    ("sender", "order_id", "trade_of_shoes", "reason", "rule"),
    [
        ("web:he", "ORD20001", Trade.CLOTHING, Reason.QUALITY, "fresh_fault_refund"),  # mooncakes
        ("web:zhou", "ORD10001", Trade.CLOTHING, Reason.MISSING_ITEM, "missing_item_refund"),
        ("web:zhou", "ORD10001", Trade.COURSE, Reason.QUALITY, "course_fault"),
    ],
)
async def test_a_return_of_which_nothing_comes_back_is_paid_without_waiting(
    mall: SqlMall, engine: AsyncEngine, sender: str, order_id: str, trade_of_shoes: Trade, reason: Reason, rule: str
) -> None:
    async with AsyncSession(engine) as session, session.begin():
        (await session.get_one(models.Product, "P1")).trade = trade_of_shoes
    ticket = await mall.create_ticket(sender, TicketRequest(order_id, TicketKind.RETURN, reason), "k1")
    assert (ticket.decision.rule, ticket.decision.freight_payer) == (rule, FreightPayer.NOBODY)
    if not ticket.decision.auto_approve:
        await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", "k2")
    with pytest.raises(InvalidTransition):
        await advance_ticket(mall, ticket.id, TicketStatus.GOODS_RECEIVED, "supplier", "", "k3")
    for status in (TicketStatus.REFUNDED, TicketStatus.CLOSED):
        ticket = await advance_ticket(mall, ticket.id, status, "operator", "", f"to {status}")
    assert [event.status for event in ticket.history] == [
        TicketStatus.OPEN,
        TicketStatus.APPROVED,
        TicketStatus.REFUNDED,
        TicketStatus.CLOSED,
    ]
