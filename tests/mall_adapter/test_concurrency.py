"""Many at once, over several connections and processes: nothing is sold, made or counted twice, and nothing half."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Coroutine, Iterable
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlMall, models
from mall_adapter.errors import OrderLocked, OutOfStock, TicketExists, WrongPhoneTail
from mall_adapter.values import Reason, Ticket, TicketKind, TicketRequest, TicketStatus
from storage import WRITES, EventRow, IdempotencyConflict
from storage.idempotency import IdempotencyRecord
from tests.mall_adapter.goods import stock_of
from tests.mall_adapter.offices import advance_ticket, bind, new_key, place_order, ship_order

from .conftest import NOW

FAULTY = TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY)


async def at_once(attempts: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    return await asyncio.gather(*attempts, return_exceptions=True)


def outcomes(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


async def count(engine: AsyncEngine, table: type[models.Base]) -> int:
    async with AsyncSession(engine) as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def neighbour(*arguments: str) -> Process:
    command = [sys.executable, "-m", "tests.mall_adapter.neighbour", *arguments]
    return await asyncio.create_subprocess_exec(*command, cwd=settings.ROOT, stdout=PIPE)


async def test_fifty_buyers_of_ten_pieces(malls: list[SqlMall], engine: AsyncEngine) -> None:
    results = await at_once(place_order(malls[n % 3], "C1", {"P1-1": 1}, f"k{n}") for n in range(50))
    assert outcomes(results) == {"Order": 10, "OutOfStock": 40}
    assert len({order.id for order in results if not isinstance(order, OutOfStock)}) == 10
    assert await stock_of(engine, "P1-1") == (11, 11)
    assert await count(engine, IdempotencyRecord) == 10


async def test_buyers_in_three_processes(url: str, engine: AsyncEngine) -> None:
    buyers = [await neighbour("buy", url, f"buyer {n}", "6") for n in range(3)]
    bought = [int((await buyer.communicate())[0]) for buyer in buyers]
    assert sum(bought) == 10
    assert await stock_of(engine, "P1-1") == (11, 11)


async def test_a_process_of_buyers_is_killed(url: str, engine: AsyncEngine) -> None:
    """What it was told of stands, what it was not is there as a whole or not at all, and it may ask again for both."""
    pieces, table = 40, models.Stock
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        shelves = update(table).where(table.sku_id.in_(["P1-1", "P4-1"]))
        await session.execute(shelves.values(on_hand=table.allocated + pieces))
    before = await count(engine, models.Order)
    dying = await neighbour("rush", url, "dying", "30")
    others = [await neighbour("rush", url, f"buyer {n}", "15") for n in range(2)]
    assert dying.stdout is not None
    told = [(await dying.stdout.readline()).strip() for _ in range(5)]
    dying.kill()
    told += (await dying.stdout.read()).split(b"\n")[:-1]  # but for half a line
    await dying.wait()
    bought = [id_ for other in others for id_ in (await other.communicate())[0].split()]
    mall, again = SqlMall(engine), []
    for number in range(30):
        with contextlib.suppress(OutOfStock):
            again.append((await place_order(mall, "C1", {"P1-1": 1, "P4-1": 1}, f"dying {number}")).id.encode())

    assert set(told) <= set(again)
    orders = {id_.decode() for id_ in bought + again}
    assert len(orders) == len(bought + again) == pieces
    assert await count(engine, models.Order) - before == pieces
    assert await count(engine, IdempotencyRecord) == await count(engine, EventRow) == pieces
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).where(table.allocated > table.on_hand)) == 0
        movement = models.StockMovement
        moved = select(movement.sku_id, func.sum(movement.quantity)).where(movement.order_id.in_(orders))
        rows = await session.execute(moved.group_by(movement.sku_id))
        assert {row[0]: row[1] for row in rows} == {"P1-1": pieces, "P4-1": pieces}
    for sku_id in ("P1-1", "P4-1"):
        on_hand, allocated = await stock_of(engine, sku_id)
        assert on_hand == allocated


async def test_orders_of_several_articles_do_not_wait_in_a_circle(malls: list[SqlMall], engine: AsyncEngine) -> None:
    baskets = [{"P1-1": 1, "P4-1": 1}, {"P4-1": 1, "P1-1": 1}, {"P4-1": 1, "P2-1": 1}]
    results = await at_once(place_order(malls[n % 3], "C1", baskets[n % 3], f"k{n}") for n in range(30))
    assert outcomes(results) == {"Order": 3, "OutOfStock": 27}
    assert await stock_of(engine, "P4-1") == (3, 3)


async def test_one_key_twenty_times_at_once(malls: list[SqlMall], engine: AsyncEngine) -> None:
    tickets = await at_once(malls[n % 3].create_ticket("web:zhou", FAULTY, "k1") for n in range(20))
    assert isinstance(tickets[0], Ticket)
    assert all(ticket == tickets[0] for ticket in tickets)
    assert await count(engine, models.Ticket) == 1
    assert await count(engine, models.TicketEvent) == len(tickets[0].history)


async def test_one_key_for_two_requests_at_once(malls: list[SqlMall], engine: AsyncEngine) -> None:
    results = await at_once(place_order(malls[n % 3], "C1", {"P1-1": 1 + n % 2}, "k1") for n in range(20))
    assert outcomes(results) == {"Order": 10, IdempotencyConflict.__name__: 10}
    assert len({result.id for result in results if not isinstance(result, IdempotencyConflict)}) == 1
    assert await stock_of(engine, "P1-1") in ((11, 2), (11, 3))


async def test_twenty_keys_at_once_make_one_ticket(malls: list[SqlMall], engine: AsyncEngine) -> None:
    results = await at_once(malls[n % 3].create_ticket("web:zhou", FAULTY, f"k{n}") for n in range(20))
    assert outcomes(results) == {"Ticket": 1, "TicketExists": 19}
    (ticket,) = (result for result in results if isinstance(result, Ticket))
    assert all(result.ticket == ticket for result in results if isinstance(result, TicketExists))
    assert await count(engine, models.Ticket) == 1


async def test_wrong_tails_at_once_are_all_counted(malls: list[SqlMall]) -> None:
    results = await at_once(
        malls[n % 3].prove_ownership("web:guest", "ORD10001", f"000{n}", new_key()) for n in range(10)
    )
    assert outcomes(results) == {"WrongPhoneTail": 4, "OrderLocked": 6}
    assert {result.tries_left for result in results if isinstance(result, WrongPhoneTail)} == {1, 2, 3, 4}
    with pytest.raises(OrderLocked):
        await malls[0].prove_ownership("web:guest", "ORD10001", "5678", new_key())


async def test_shipping_and_cancelling_at_once(malls: list[SqlMall], engine: AsyncEngine) -> None:
    results = await at_once(
        ship_order(malls[n % 3], "ORD10003", "顺丰速运", "SF1", f"ship {n}")
        if n % 2
        else malls[n % 3].cancel_order("web:zhou", "ORD10003", f"cancel {n}")
        for n in range(10)
    )
    assert outcomes(results) == {"Order": 1, "InvalidTransition": 9}
    assert await stock_of(engine, "P1-1") in ((10, 0), (11, 0))


async def test_a_step_of_a_ticket_is_taken_once(malls: list[SqlMall]) -> None:
    ticket = await malls[0].create_ticket("web:zhou", FAULTY, "k")
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(malls[0], ticket.id, TicketStatus.APPROVED, "operator", "", "approve")
    results = await at_once(
        advance_ticket(malls[n % 3], ticket.id, TicketStatus.GOODS_RECEIVED, "supplier", "", f"k{n}") for n in range(10)
    )
    assert outcomes(results) == {"Ticket": 1, "InvalidTransition": 9}


async def test_a_sender_binds_at_once(malls: list[SqlMall]) -> None:
    results = await at_once(bind(malls[n % 3], "web:guest", f"C{1 + n % 2}") for n in range(10))
    assert outcomes(results) == {"NoneType": 10}


async def test_a_process_that_dies_before_the_commit_leaves_nothing(
    url: str, mall: SqlMall, engine: AsyncEngine
) -> None:
    dying = await neighbour("half", url, NOW.isoformat())
    assert dying.stdout is not None
    assert await dying.stdout.readline() == b"written\n"
    assert await mall.tickets_of("web:zhou") == []  # readers do not wait for it
    dying.kill()
    await dying.wait()
    for table in (models.Ticket, models.TicketLine, models.TicketEvent, IdempotencyRecord):
        assert await count(engine, table) == 0
    ticket = await mall.create_ticket("web:zhou", FAULTY, "k1")
    assert await mall.tickets_of("web:zhou") == [ticket]
