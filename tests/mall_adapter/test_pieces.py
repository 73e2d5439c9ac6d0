"""After-sales by the piece: how many, what was paid for them, and what goes back. Never more than was paid."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import SqlMall, models
from mall_adapter.errors import InvalidQuantity, InvalidRefund, InvalidTransition, MallError, NotFound, TicketExists
from mall_adapter.refunds import share
from mall_adapter.values import (
    FreightPayer,
    Order,
    OrderStatus,
    Reason,
    Ticket,
    TicketKind,
    TicketRequest,
    TicketStatus,
)
from storage import WRITES
from storage.events import EventRow
from tests.mall_adapter.offices import advance_ticket, receive_goods, refund, ship_order

from .conftest import NOW, Clock

PAIRS, LIPSTICK = "ORD10002-1", "ORD10002-2"  # two pairs of shoes at 399.00, and a lipstick at 199.00
S = TicketStatus


def wish(
    kind: TicketKind = TicketKind.RETURN, reason: Reason = Reason.QUALITY, order: str = "ORD10002", **pieces: int
) -> TicketRequest:
    """``line_1=2``: two pieces of its first line."""
    quantities = {f"{order}-{name.removeprefix('line_')}": count for name, count in pieces.items()}
    return TicketRequest(order, kind, reason, quantities=quantities)


MISSING: Any = {"kind": TicketKind.REFUND, "reason": Reason.MISSING_ITEM}


async def change(engine: AsyncEngine, table: type[models.Base], key: str, **values: Any) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        column: Any = table.__table__.c.id
        await connection.execute(update(table).where(column == key).values(values))


async def five(engine: AsyncEngine, *, unit: int = 10_000, discount: int = 0, freight: int = 0) -> None:
    """ORD10001 is five pieces now."""
    line = {"quantity": 5, "unit_price_cents": unit, "discount_cents": discount}
    order = {"discount_cents": discount, "freight_cents": freight, "total_cents": 5 * unit - discount + freight}
    await change(engine, models.Order, "ORD10001", **order)
    await change(engine, models.OrderLine, "ORD10001-1", **line)


async def settle(mall: SqlMall, ticket: Ticket) -> Ticket:
    if ticket.status is S.OPEN:
        ticket = await advance_ticket(mall, ticket.id, S.APPROVED, "operator", "", f"approve {ticket.id}")
    if ticket.kind is TicketKind.RETURN and ticket.decision.freight_payer is not FreightPayer.NOBODY:
        await receive_goods(mall, ticket.id)
    return await refund(mall, ticket.id)


async def test_one_of_five_missing_is_one_of_five_paid_back(mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await five(engine)
    ticket = await mall.create_ticket("web:zhou", wish(order="ORD10001", line_1=1, **MISSING), "k1")
    assert (ticket.decision.refund_cents, ticket.summary) == (10_000, "云跑缓震跑步鞋 黑色 42码 ×1")
    assert [(line.line_id, line.quantity, line.paid_cents) for line in ticket.lines] == [("ORD10001-1", 1, 10_000)]
    [line] = (await mall.order("web:zhou", "ORD10001")).lines
    assert (line.free, line.ticket_ids, line.open_ticket_id) == (4, (ticket.id,), ticket.id)
    with pytest.raises(InvalidQuantity) as refused:
        await mall.assess("web:zhou", wish(order="ORD10001", line_1=5, **MISSING))
    assert refused.value.most == 4

    other = await mall.create_ticket("web:zhou", wish(order="ORD10001", line_1=2), "k2")
    clock.advance(minutes=1)
    rest = await mall.create_ticket("web:zhou", wish(order="ORD10001"), "k3")  # all that is free
    assert [(one.lines[0].quantity, one.decision.refund_cents) for one in (other, rest)] == [(2, 20_000), (2, 20_000)]
    with pytest.raises(TicketExists) as exists:
        await mall.assess("web:zhou", wish(order="ORD10001", line_1=1))
    assert exists.value.ticket.id == rest.id  # the newest
    [line] = (await mall.order("web:zhou", "ORD10001")).lines
    assert (line.free, set(line.ticket_ids)) == (0, {ticket.id, other.id, rest.id})


@pytest.mark.parametrize("pieces", [0, -1, 3])
async def test_pieces_that_there_are_not(mall: SqlMall, pieces: int) -> None:
    for attempt in (
        mall.assess("web:zhou", wish(line_1=pieces)),
        mall.create_ticket("web:zhou", wish(line_1=pieces), "k1"),
    ):
        with pytest.raises(InvalidQuantity):
            await attempt
    with pytest.raises(NotFound):
        await mall.assess("web:zhou", TicketRequest("ORD10002", TicketKind.RETURN, Reason.QUALITY, quantities={"X": 1}))
    with pytest.raises(NotFound):  # of a line that is not meant
        request = TicketRequest("ORD10002", TicketKind.RETURN, Reason.QUALITY, (LIPSTICK,), quantities={PAIRS: 1})
        await mall.assess("web:zhou", request)


async def test_a_voucher_is_not_paid_back(mall: SqlMall, engine: AsyncEngine) -> None:
    order = {"discount_cents": 5_000, "total_cents": 18_900}
    await change(engine, models.Order, "ORD10001", **order)
    await change(engine, models.OrderLine, "ORD10001-1", unit_price_cents=23_900, discount_cents=5_000)
    ticket = await mall.create_ticket("web:zhou", wish(order="ORD10001"), "k1")
    assert ticket.decision.refund_cents == 18_900
    assert (await settle(mall, ticket)).refunded_cents == 18_900


async def test_the_last_piece_takes_the_cents_that_are_left(mall: SqlMall, engine: AsyncEngine) -> None:
    await five(engine, unit=1_000, discount=333)  # 4667 in all, 933.4 each
    parts = []
    for number in range(5):
        ticket = await mall.create_ticket("web:zhou", wish(order="ORD10001", line_1=1), f"k{number}")
        if number == 1:  # what was taken back in between changes nothing
            await mall.cancel_ticket("web:zhou", ticket.id, "back")
            ticket = await mall.create_ticket("web:zhou", wish(order="ORD10001", line_1=1), "again")
        parts.append((await settle(mall, ticket)).refunded_cents)
    assert parts == [933, 933, 933, 933, 935]
    assert await paid_back(engine, "ORD10001") == (4667, 4667)


async def paid_back(engine: AsyncEngine, order_id: str) -> tuple[int, int]:
    """Of the order, and of its lines."""
    async with engine.connect() as connection:
        order = await connection.scalar(select(models.Order.refunded_cents).where(models.Order.id == order_id))
        of_lines = select(func.sum(models.OrderLine.refunded_cents)).where(models.OrderLine.order_id == order_id)
        return order or 0, int(await connection.scalar(of_lines) or 0)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=9), st.floats(0, 1))
def test_shares_add_up_and_none_is_more_than_was_paid(among: list[int], part: float) -> None:
    cents = int(sum(among) * part)
    shares = share(cents, among)
    assert sum(shares) == (cents if sum(among) else 0)
    assert all(0 <= one <= most for one, most in zip(shares, among, strict=True))


# ---- freight ----


@pytest.mark.parametrize(
    ("reason", "freight"),
    [(Reason.QUALITY, 800), (Reason.DAMAGED, 800), (Reason.DISLIKE, 0), (Reason.MISSING_ITEM, 0)],
)
async def test_the_freight_goes_back_where_the_shop_is_at_fault(
    mall: SqlMall, engine: AsyncEngine, reason: Reason, freight: int
) -> None:
    await five(engine, freight=800)
    ticket = await mall.create_ticket("web:zhou", wish(order="ORD10001", reason=reason, line_1=1), "k1")
    assert (ticket.decision.refund_cents, ticket.decision.freight_cents) == (10_000 + freight, freight)
    second = await mall.create_ticket("web:zhou", wish(order="ORD10001", reason=reason, line_1=1), "k2")
    assert second.decision.refund_cents == 10_000  # once
    assert (await settle(mall, ticket)).refunded_cents == 10_000 + freight
    assert (await settle(mall, second)).refunded_cents == 10_000


async def test_what_is_never_sent_is_paid_back_with_its_freight(mall: SqlMall, engine: AsyncEngine) -> None:
    order = {"freight_cents": 800, "total_cents": 39900 + 19900 + 800}
    await change(engine, models.Order, "ORD10003", **order)
    unsent: Any = {"order": "ORD10003", "kind": TicketKind.REFUND, "reason": Reason.CHANGED_MIND}
    shoes = await mall.create_ticket("web:zhou", wish(**unsent, line_1=1), "k1")
    lipstick = await mall.create_ticket("web:zhou", wish(**unsent, line_2=1), "k2")
    assert (shoes.decision.refund_cents, lipstick.decision.refund_cents) == (39900, 19900 + 800)
    # whichever is settled last takes it along
    assert (await refund(mall, lipstick.id)).refunded_cents == 19900
    assert (await mall.order("web:zhou", "ORD10003")).status is OrderStatus.PAID
    assert (await refund(mall, shoes.id)).refunded_cents == 39900 + 800
    assert (await mall.order("web:zhou", "ORD10003")).status is OrderStatus.CANCELLED
    assert await paid_back(engine, "ORD10003") == (60_600, 59_800)


async def test_a_cancelled_order_is_paid_back_as_a_whole(mall: SqlMall, engine: AsyncEngine) -> None:
    await change(engine, models.Order, "ORD10003", freight_cents=800, total_cents=60_600)
    await mall.cancel_order("web:zhou", "ORD10003", "k1")
    assert await paid_back(engine, "ORD10003") == (60_600, 59_800)
    assert await events(engine, "order:ORD10003") == [("order_refunded", {"cents": 60_600})]


async def events(engine: AsyncEngine, subject: str) -> list[tuple[str, Mapping[str, Any]]]:
    query = select(EventRow.kind, EventRow.data).where(EventRow.subject == subject).order_by(EventRow.id)
    async with engine.connect() as connection:
        return [(kind, data) for kind, data in await connection.execute(query)]


# ---- goods that come back, and money that goes back in part ----


async def test_fewer_came_back_than_were_announced(mall: SqlMall, engine: AsyncEngine) -> None:
    await five(engine)
    ticket = await mall.create_ticket("web:zhou", wish(order="ORD10001", line_1=3), "k1")
    for wrong in ({"ORD10001-1": 4}, {"ORD10001-1": 0}, {}, {"ORD10001-1": -1}):
        with pytest.raises(InvalidQuantity):
            await receive_goods(mall, ticket.id, wrong)
    with pytest.raises(NotFound):
        await receive_goods(mall, ticket.id, {"ORD10002-1": 1})
    with pytest.raises(InvalidQuantity):  # more than came
        await receive_goods(mall, ticket.id, {"ORD10001-1": 2}, {"ORD10001-1": 3})
    ticket = await receive_goods(mall, ticket.id, {"ORD10001-1": 2})
    assert (ticket.status, ticket.decision.refund_cents) == (S.GOODS_RECEIVED, 20_000)
    assert ticket.summary.endswith("×2")
    assert [(line.quantity, line.received) for line in ticket.lines] == [(3, 2)]
    [line] = (await mall.order("web:zhou", "ORD10001")).lines
    assert line.free == 3  # the one that did not come may have a ticket of its own
    assert (await refund(mall, ticket.id)).refunded_cents == 20_000
    assert await events(engine, f"ticket:{ticket.id}") == [
        (
            "ticket_opened",
            {
                "order_id": "ORD10001",
                "wish": "return",
                "reason": "quality",
                "rule": "quality_fault",
                "approved": True,
                "pieces": {"ORD10001-1": 3},
                "refund_cents": 30_000,
            },
        ),
        (
            "goods_received",
            {"order_id": "ORD10001", "announced": {"ORD10001-1": 3}, "received": {"ORD10001-1": 2}},
        ),
        ("refunded", {"order_id": "ORD10001", "cents": 20_000, "freight_cents": 0, "whole": True}),
    ]


async def test_a_part_first_and_more_of_it_later(mall: SqlMall, engine: AsyncEngine) -> None:
    await five(engine, freight=800)
    ticket = await mall.create_ticket("web:zhou", wish(order="ORD10001", reason=Reason.DISLIKE, line_1=2), "k1")
    await receive_goods(mall, ticket.id)
    for wrong in (0, -1, 20_801):
        with pytest.raises(InvalidRefund) as refused:
            await refund(mall, ticket.id, wrong)
        assert refused.value.most == 20_800  # a person may give the freight back, too
    ticket = await refund(mall, ticket.id, 15_000)
    assert (ticket.status, ticket.refunded_cents, ticket.cents) == (S.REFUNDED, 15_000, 15_000)
    with pytest.raises(InvalidTransition):  # what is done is not done again
        await refund(mall, ticket.id)
    ticket = await refund(mall, ticket.id, 5_800)
    assert ticket.refunded_cents == 20_800
    with pytest.raises(InvalidRefund):
        await refund(mall, ticket.id, 1)
    assert await paid_back(engine, "ORD10001") == (20_800, 20_000)


async def test_the_database_itself_pays_back_no_more_than_was_paid(mall: SqlMall, engine: AsyncEngine) -> None:
    for table, key, cents in ((models.OrderLine, PAIRS, 79_801), (models.Order, "ORD10002", 99_701)):
        with pytest.raises(IntegrityError):
            await change(engine, table, key, refunded_cents=cents)


# ---- limits ----


async def test_small_requests_add_up(mall: SqlMall, engine: AsyncEngine) -> None:
    most = (await mall.terms())["auto_approve_cents"]
    await five(engine, unit=most // 4)
    tickets = [
        await mall.create_ticket("web:zhou", wish(order="ORD10001", line_1=1), f"k{number}") for number in range(5)
    ]
    assert [ticket.status for ticket in tickets] == [S.APPROVED] * 4 + [S.OPEN]
    assert tickets[-1].decision.rule == "over_limit"
    await mall.cancel_ticket("web:zhou", tickets[0].id, "back")  # what was taken back counts no more
    await mall.cancel_ticket("web:zhou", tickets[-1].id, "back too")
    assert (await mall.assess("web:zhou", wish(order="ORD10001", line_1=1))).auto_approve


async def test_a_customer_adds_up_over_orders(mall: SqlMall, engine: AsyncEngine) -> None:
    most = (await mall.terms())["customer_cents"]
    await change(engine, models.OrderLine, PAIRS, unit_price_cents=most // 2)
    await change(engine, models.Order, "ORD10002", total_cents=most + 19_900)
    await mall.create_ticket("web:zhou", wish(line_1=2), "k1")
    decision = await mall.assess("web:zhou", wish(order="ORD10001"))
    assert (decision.rule, decision.auto_approve) == ("customer_over_limit", False)


async def test_at_once_no_more_is_approved_than_one_after_the_other(mall: SqlMall, engine: AsyncEngine) -> None:
    many = (await mall.terms())["frequent_tickets"]
    await five(engine, unit=100)
    requests = [wish(order="ORD10001", line_1=1)] * 5 + [wish(line_1=1)] * 2 + [wish(line_2=1)]
    made = await asyncio.gather(
        *(mall.create_ticket("web:zhou", request, f"k{number}") for number, request in enumerate(requests))
    )
    assert sum(ticket.decision.auto_approve for ticket in made) == many


async def test_at_once_no_piece_gets_two_tickets(mall: SqlMall, engine: AsyncEngine) -> None:
    await five(engine)
    tries = [mall.create_ticket("web:zhou", wish(order="ORD10001", line_1=2), f"k{number}") for number in range(6)]
    made = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Ticket) for one in made) == 2
    assert all(isinstance(one, Ticket | InvalidQuantity) for one in made)
    assert (await mall.order("web:zhou", "ORD10001")).lines[0].free == 1


# ---- again ----


async def test_what_was_rejected_is_looked_at_when_it_is_asked_again(mall: SqlMall) -> None:
    ticket = await mall.create_ticket("web:zhou", wish(line_1=1), "k1")
    assert ticket.decision.auto_approve
    await receive_goods(mall, ticket.id)
    await advance_ticket(mall, ticket.id, S.REJECTED, "operator", "已穿过", "k2")
    again = await mall.create_ticket("web:zhou", wish(line_1=1), "k3")
    assert (again.status, again.decision.rule) == (S.OPEN, "rejected_before")
    assert (await mall.assess("web:zhou", wish(line_2=1))).auto_approve  # another article is another matter


async def test_what_was_exchanged_has_its_guarantee_anew(mall: SqlMall, clock: Clock) -> None:
    clock.now = NOW + timedelta(days=10)  # twelve days after it came
    swap = await mall.create_ticket("web:zhou", wish(kind=TicketKind.EXCHANGE, line_1=1), "k1")
    await receive_goods(mall, swap.id)
    assert (await mall.order("web:zhou", "ORD10002")).lines[0].free == 1
    await advance_ticket(mall, swap.id, S.EXCHANGED, "operator", "", "k2")
    line = (await mall.order("web:zhou", "ORD10002")).lines[0]
    assert (line.free, line.ticket_ids) == (2, ())
    clock.advance(days=10)
    assert (await mall.assess("web:zhou", wish(line_1=1))).allowed
    assert not (await mall.assess("web:zhou", wish(line_1=2))).allowed  # the other pair is as old as it was
    back = await settle(mall, await mall.create_ticket("web:zhou", wish(line_1=1), "k3"))
    assert back.refunded_cents == 39_900
    assert not (await mall.assess("web:zhou", wish(line_1=1))).allowed  # that was the new one
    clock.advance(days=10)
    assert not (await mall.assess("web:zhou", wish(line_1=1))).allowed


async def test_of_a_refund_and_a_parcel_one_wins(mall: SqlMall) -> None:
    unsent = wish(order="ORD10003", kind=TicketKind.REFUND, reason=Reason.CHANGED_MIND, line_1=1)
    asked: Ticket | BaseException
    sent: Order | BaseException
    asked, sent = await asyncio.gather(
        mall.create_ticket("web:zhou", unsent, "k1"),
        ship_order(mall, "ORD10003", "顺丰速运", "SF1", "k2"),
        return_exceptions=True,
    )
    order = await mall.order("web:zhou", "ORD10003")
    if isinstance(sent, MallError):
        assert isinstance(asked, Ticket)
        assert (order.status, asked.decision.rule) == (OrderStatus.PAID, "not_shipped")
    else:  # asked afterwards, the parcel is stopped on its way
        assert order.status is OrderStatus.SHIPPED
        assert isinstance(asked, Ticket)
        assert asked.decision.rule == "in_transit"


async def test_whatever_happens_counts_and_sums_agree(mall: SqlMall, engine: AsyncEngine) -> None:
    """A walk of eighty random commands, of which many are refused."""
    await five(engine, unit=1_001, discount=77, freight=800)
    dice, made = Random(5), list[str]()  # noqa: S311
    for number in range(80):
        key = f"w{number}"
        try:
            if not made or dice.random() < 0.3:
                asked = wish(
                    dice.choice(list(TicketKind)), dice.choice(list(Reason)), "ORD10001", line_1=dice.randint(1, 3)
                )
                made.append((await mall.create_ticket("web:zhou", asked, key)).id)
            elif dice.random() < 0.2:
                await refund(mall, dice.choice(made), dice.randint(1, 2_000))
            elif dice.random() < 0.2:
                await receive_goods(mall, dice.choice(made), {"ORD10001-1": dice.randint(1, 3)})
            else:
                await advance_ticket(mall, dice.choice(made), dice.choice(list(TicketStatus)), "operator", "", key)
        except MallError:
            pass
        await agree(engine)


async def agree(engine: AsyncEngine) -> None:
    case, line = models.TicketLine, models.OrderLine
    pieces = func.coalesce(case.received, case.quantity)
    in_cases = select(func.coalesce(func.sum(pieces).filter(case.live), 0)).where(case.order_line_id == line.id)
    refunded = select(func.coalesce(func.sum(case.refunded_cents), 0)).where(case.order_line_id == line.id)
    query = select(line.in_tickets, in_cases.scalar_subquery(), line.refunded_cents, refunded.scalar_subquery())
    of_tickets = select(func.coalesce(func.sum(models.Ticket.refunded_cents), 0))
    async with engine.connect() as connection:
        for counted, live, noted, paid in await connection.execute(query):
            assert (counted, noted) == (live, paid)
        order = select(models.Order.refunded_cents).where(models.Order.id == "ORD10001")
        assert await connection.scalar(order) == await connection.scalar(of_tickets)
