"""Parcels: several of one order, what their carriers tell of them, and presales whose date moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.eligibility import open_to
from mall_adapter.errors import InvalidTransition, NotFound, NotPermitted, OrderNotFound
from mall_adapter.values import (
    DeliveryChange,
    Order,
    OrderStatus,
    ParcelStatus,
    ParcelStep,
    Reason,
    TicketKind,
    TicketRequest,
    TicketStatus,
    Wish,
)
from storage import WRITES, Actor, IdempotencyConflict, Role
from storage.events import EventRow
from tests.mall_adapter.goods import add_stock, add_supplier, stock_of
from tests.mall_adapter.offices import OPERATOR, advance_ticket, office, place_order

from .conftest import NOW, Clock

STRANGER = Actor(Role.SUPPLIER, "P-other", supplier_id="S2")
OWN = Actor(Role.SUPPLIER, "P-own", supplier_id="S1")
SHOES, LIPSTICK = "ORD10003-1", "ORD10003-2"
PARCEL = "ORD10003-S1"
KINDS = ("parcel_shipped", "parcel_moved", "order_shipped", "order_delivered", "presale_moved")


async def ship(mall: SqlMall, key: str, lines: Mapping[str, int] | None = None, **more: Any) -> Order:
    order_id = more.pop("order_id", "ORD10003")
    actor = more.pop("actor", OPERATOR)
    return await office(mall).ship(actor, order_id, "顺丰速运", f"SF{key}", key, lines, **more)


async def tell(mall: SqlMall, status: str, key: str, hours: float = 0, parcel: str = PARCEL, **more: Any) -> Order:
    """A step of the carrier's, ``hours`` after NOW."""
    if status == "delayed":
        more.setdefault("expected_by", NOW + timedelta(days=9))
    step = ParcelStep(ParcelStatus(status), NOW + timedelta(hours=hours), **more)
    return await office(mall).parcel_moved(OPERATOR, parcel, step, key)


async def events(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with AsyncSession(engine) as session:
        rows = await session.scalars(select(EventRow).where(EventRow.kind.contains("_")).order_by(EventRow.id))
        of_parcels = [
            row for row in rows if row.kind.startswith(("parcel", "order_shipped", "order_delivered", "presale"))
        ]
        return [(row.kind, row.data.get("status") or row.subject) for row in of_parcels]


# ---- sending


async def test_an_order_goes_in_two_parcels(mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    order = await ship(mall, "k1", {SHOES: 1})
    assert order.status is OrderStatus.PAID
    assert [(line.id, line.unsent) for line in order.lines] == [(SHOES, 0), (LIPSTICK, 1)]
    assert [dict(parcel.lines) for parcel in order.shipments] == [{SHOES: 1}]
    assert await stock_of(engine, "P1-1") == (10, 0)
    assert await stock_of(engine, "P2-1") == (5, 1)

    clock.advance(hours=3)
    await tell(mall, "delivered", "d1", 3)
    order = await ship(mall, "k2")
    assert (order.status, order.delivered_at) == (OrderStatus.SHIPPED, None)
    assert [dict(parcel.lines) for parcel in order.shipments] == [{SHOES: 1}, {LIPSTICK: 1}]
    assert await stock_of(engine, "P2-1") == (4, 0)

    clock.advance(hours=2)
    order = await tell(mall, "delivered", "d2", 5, "ORD10003-S2")
    assert (order.status, order.delivered_at) == (OrderStatus.DELIVERED, NOW + timedelta(hours=5))
    assert await mall.order("web:zhou", "ORD10003") == order
    assert await events(engine) == [
        ("parcel_shipped", "shipment:ORD10003-S1"),
        ("parcel_moved", "delivered"),
        ("parcel_shipped", "shipment:ORD10003-S2"),
        ("order_shipped", "order:ORD10003"),
        ("parcel_moved", "delivered"),
        ("order_delivered", "order:ORD10003"),
    ]


async def test_pieces_of_one_line_go_in_three_parcels(mall: SqlMall, engine: AsyncEngine) -> None:
    order = await place_order(mall, "C1", {"P1-1": 5}, "place")
    line = order.lines[0].id
    assert (await ship(mall, "k1", {line: 2}, order_id=order.id)).lines[0].unsent == 3
    assert (await ship(mall, "k2", {line: 2}, order_id=order.id)).lines[0].unsent == 1
    assert await stock_of(engine, "P1-1") == (7, 2)
    with pytest.raises(InvalidTransition):
        await ship(mall, "k3", {line: 2}, order_id=order.id)
    order = await ship(mall, "k3", {line: 1}, order_id=order.id)  # what was refused has used no key
    assert (order.status, [parcel.id[-3:] for parcel in order.shipments]) == (
        OrderStatus.SHIPPED,
        ["-S1", "-S2", "-S3"],
    )
    assert await stock_of(engine, "P1-1") == (6, 1)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"lines": {SHOES: 2}}, InvalidTransition),
        ({"lines": {SHOES: 0}}, ValueError),
        ({"lines": {SHOES: -1}}, ValueError),
        ({"lines": {}}, ValueError),
        ({"lines": {"ORD10001-1": 1}}, NotFound),  # of another order
        ({"fulfilment_id": "ORD10003-F9"}, NotFound),
        ({"order_id": "ORD99999"}, OrderNotFound),
        ({"order_id": "ORD10001"}, InvalidTransition),  # delivered
        ({"actor": STRANGER}, NotPermitted),
        ({"actor": STRANGER, "lines": {SHOES: 1}}, NotPermitted),
        ({"actor": Actor(Role.TRAINER, "P-t")}, NotPermitted),
        ({"actor": Actor(Role.CUSTOMER, "P-c")}, NotPermitted),
    ],
)
async def test_what_cannot_be_sent_changes_nothing(
    mall: SqlMall, engine: AsyncEngine, asked: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await ship(mall, "k1", **asked)
    assert await stock_of(engine, "P1-1") == (11, 1)
    assert await events(engine) == []
    assert (await ship(mall, "k1", actor=OWN)).status is OrderStatus.SHIPPED


@pytest.mark.parametrize(
    ("carrier", "number"), [("", "SF1"), ("顺丰", ""), (" ", "SF1"), ("顺" * 41, "SF1"), ("顺丰", "1" * 65)]
)
async def test_a_parcel_needs_a_carrier_and_a_number(mall: SqlMall, carrier: str, number: str) -> None:
    with pytest.raises(ValueError, match="needs 1 to"):
        await office(mall).ship(OPERATOR, "ORD10003", carrier, number, "k1")


async def test_a_supplier_sends_its_own_part(mall: SqlMall, engine: AsyncEngine) -> None:
    await beside(engine)
    order = await ship(mall, "k1", actor=STRANGER)
    assert order.status is OrderStatus.PAID
    assert [(dict(parcel.lines), parcel.id) for parcel in order.shipments] == [({LIPSTICK: 1}, PARCEL)]
    step = ParcelStep(ParcelStatus.DELIVERED, NOW)
    with pytest.raises(NotPermitted):
        await office(mall).parcel_moved(OWN, PARCEL, step, "d1")
    await office(mall).parcel_moved(STRANGER, PARCEL, step, "d1")
    assert (await ship(mall, "k2", fulfilment_id="ORD10003-F1")).status is OrderStatus.SHIPPED


async def beside(engine: AsyncEngine) -> None:
    """The lipstick comes from a second supplier, and each of the two has a fulfilment."""
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        add_supplier(session, "S2", "花间")
        await session.flush()
        add_stock(session, "P2-1", "W-S2", 3, allocated=1)
        session.add(models.Fulfilment(id="ORD10003-F2", order_id="ORD10003", supplier_id="S2", warehouse_id="W-S2"))
        await session.flush()
        (await session.get_one(models.Product, "P2")).supplier_id = "S2"
        (await session.get_one(models.OrderLine, LIPSTICK)).fulfilment_id = "ORD10003-F2"


# ---- an order of which a part has left


async def test_nothing_is_cancelled_or_sent_elsewhere_once_a_part_has_left(mall: SqlMall) -> None:
    order = await ship(mall, "k1", {SHOES: 1})
    assert not open_to(order, Wish.CANCEL)
    assert not open_to(order, Wish.CHANGE_DELIVERY)
    assert open_to(order, Wish.RETURN)
    with pytest.raises(InvalidTransition):
        await mall.cancel_order("web:zhou", "ORD10003", "k2")
    with pytest.raises(InvalidTransition):
        await mall.change_delivery("web:zhou", "ORD10003", DeliveryChange(address="杭州市文三路 9 号"), "k3")


async def test_what_has_not_left_is_paid_back_as_ever(mall: SqlMall, engine: AsyncEngine) -> None:
    await ship(mall, "k1", {SHOES: 1})
    sent, waits = (
        TicketRequest("ORD10003", TicketKind.REFUND, Reason.CHANGED_MIND, line_ids=(line_id,))
        for line_id in (SHOES, LIPSTICK)
    )
    # what travels is no matter of the rules for what waits
    assert (await mall.assess("web:zhou", sent)).rule != (await mall.assess("web:zhou", waits)).rule
    ticket = await mall.create_ticket("web:zhou", waits, "k2")
    with pytest.raises(InvalidTransition):
        await ship(mall, "k3")
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", "k4")
    await advance_ticket(mall, ticket.id, TicketStatus.REFUNDED, "operator", "", "k5")
    assert await stock_of(engine, "P2-1") == (5, 0)
    order = await mall.order("web:zhou", "ORD10003")
    assert (order.status, [line.unsent for line in order.lines]) == (OrderStatus.SHIPPED, [0, 0])
    order = await tell(mall, "delivered", "d1")
    assert order.status is OrderStatus.DELIVERED


async def test_what_has_come_may_go_back_before_the_rest_has_left(mall: SqlMall, clock: Clock) -> None:
    await ship(mall, "k1", {SHOES: 1})
    clock.advance(days=2)
    await tell(mall, "delivered", "d1", 48)
    clock.advance(days=1)
    request = TicketRequest("ORD10003", TicketKind.RETURN, Reason.DISLIKE, line_ids=(SHOES,), opened=False)
    assert (await mall.assess("web:zhou", request)).rule == "seven_days_no_reason"
    clock.advance(days=8)
    assert not (await mall.assess("web:zhou", request)).allowed
    await mall.create_ticket("web:zhou", replace(request, reason=Reason.QUALITY), "k2")
    assert (await ship(mall, "k3")).status is OrderStatus.SHIPPED  # its ticket stops nothing else


async def test_lost_and_late_are_of_their_own_lines(mall: SqlMall, clock: Clock) -> None:
    await ship(mall, "k1", {SHOES: 1})
    await ship(mall, "k2", {LIPSTICK: 1})
    clock.advance(hours=1)
    await tell(mall, "lost", "l1", 1)
    shoes, lipstick = [
        await mall.assess("web:zhou", TicketRequest("ORD10003", TicketKind.REFUND, Reason.LATE_DELIVERY, (line_id,)))
        for line_id in (SHOES, LIPSTICK)
    ]
    assert shoes.allowed
    assert lipstick.rule != shoes.rule


# ---- on the way


WAY = [("in_transit", 5), ("out_for_delivery", 20), ("delivered", 22)]


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (WAY[:1], "in_transit"),
        (WAY[:2], "out_for_delivery"),
        (WAY, "delivered"),
        (WAY[::-1], "delivered"),
        ([WAY[1], WAY[0]], "out_for_delivery"),  # the first scan comes late
        ([*WAY, ("in_transit", 23)], "delivered"),  # a scanner that lags
        ([*WAY, ("lost", 23)], "delivered"),
        ([("out_for_delivery", 20), ("in_transit", 21)], "in_transit"),  # nobody was at home
        ([("out_for_delivery", 20), ("in_transit", 20)], "out_for_delivery"),
        ([("in_transit", 20), ("out_for_delivery", 20)], "out_for_delivery"),
        ([("delayed", 10)], "delayed"),
        ([("delayed", 10), ("in_transit", 9)], "delayed"),
        ([("delayed", 10), ("in_transit", 11)], "in_transit"),
        ([("lost", 30)], "lost"),
        ([("lost", 30), ("in_transit", 29)], "lost"),
        ([("lost", 30), ("in_transit", 31)], "in_transit"),  # found again
        ([("lost", 30), ("delivered", 29)], "delivered"),
    ],
)
async def test_a_parcel_is_where_its_newest_step_says(
    mall: SqlMall, clock: Clock, told: list[tuple[str, int]], status: str
) -> None:
    await ship(mall, "k1")
    clock.advance(days=3)
    for number, (step, hours) in enumerate(told):
        order = await tell(mall, step, f"t{number}", hours)
    (parcel,) = order.shipments
    assert parcel.status == status
    assert (order.status is OrderStatus.DELIVERED) == (status == "delivered") == (parcel.delivered_at is not None)
    times = [event.time for event in parcel.events]
    assert len(times) == 1 + len(told)
    assert times == sorted(times)


async def test_a_step_without_words_gets_some(mall: SqlMall) -> None:
    await ship(mall, "k1")
    await tell(mall, "in_transit", "a", 0.1)
    await tell(mall, "in_transit", "b", 0.2, place="嘉兴转运中心")
    order = await tell(mall, "in_transit", "c", 0.3, place="嘉兴", text="已装车 {0}")
    assert [event.text for event in order.shipments[0].events] == [
        "商家已发货，顺丰速运已揽收",
        "包裹正在运输途中",
        "包裹已到达嘉兴转运中心",
        "已装车 {0}",
    ]


async def test_a_delay_takes_no_right_away(mall: SqlMall, clock: Clock) -> None:
    """The carrier's new date is told, and what the shop promised stays what it promised."""
    promised = (await ship(mall, "k1")).shipments[0].promised_by
    assert promised is not None
    clock.advance(hours=1)
    (parcel,) = (await tell(mall, "delayed", "a", 1, expected_by=NOW + timedelta(days=20))).shipments
    assert (parcel.promised_by, parcel.expected_by) == (promised, NOW + timedelta(days=20))
    clock.now = promised + timedelta(hours=1)
    request = TicketRequest("ORD10003", TicketKind.REFUND, Reason.LATE_DELIVERY)
    assert (await mall.assess("web:zhou", request)).allowed


@pytest.mark.parametrize(
    "step",
    [
        ParcelStep(ParcelStatus.CREATED, NOW),
        ParcelStep(ParcelStatus.IN_TRANSIT, NOW + timedelta(hours=2)),
        ParcelStep(ParcelStatus.IN_TRANSIT, NOW.replace(tzinfo=None)),
        ParcelStep(ParcelStatus.DELAYED, NOW),
        ParcelStep(ParcelStatus.DELAYED, NOW, expected_by=NOW - timedelta(days=1)),
        ParcelStep(ParcelStatus.DELAYED, NOW, expected_by=datetime(2026, 5, 1)),
        ParcelStep(ParcelStatus.LOST, NOW, expected_by=NOW + timedelta(days=1)),
        ParcelStep(ParcelStatus.IN_TRANSIT, NOW, text="长" * 201),
        ParcelStep(ParcelStatus.IN_TRANSIT, NOW, place="长" * 61),
    ],
)
async def test_a_step_that_cannot_be(mall: SqlMall, engine: AsyncEngine, step: ParcelStep) -> None:
    await ship(mall, "k1")
    before = await events(engine)
    with pytest.raises(ValueError, match=r"a step|a delay|a parcel|the new date|needs 0 to"):
        await office(mall).parcel_moved(OPERATOR, PARCEL, step, "a")
    with pytest.raises(NotFound):
        await tell(mall, "in_transit", "a", parcel="ORD10003-S2")
    assert await events(engine) == before


async def test_a_step_told_twice_is_one(mall: SqlMall, engine: AsyncEngine) -> None:
    await ship(mall, "k1")
    first = await tell(mall, "in_transit", "a", 0.5)
    assert await tell(mall, "in_transit", "a", 0.5) == first
    assert await tell(mall, "in_transit", "b", 0.5) == first  # by another message
    assert len(first.shipments[0].events) == 2
    assert await events(engine) == [
        ("parcel_shipped", "shipment:ORD10003-S1"),
        ("order_shipped", "order:ORD10003"),
        ("parcel_moved", "in_transit"),
    ]
    with pytest.raises(IdempotencyConflict):
        await tell(mall, "out_for_delivery", "a", 0.6)


# ---- presales


async def presales(engine: AsyncEngine) -> None:
    """ORD10003 waits for a presale of shoes, in the way of the last release, ORD10004 with a promise of its line's."""
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        order = await session.get_one(models.Order, "ORD10003")
        order.status, order.ships_by = OrderStatus.PRESALE, NOW + timedelta(days=10)
        other = await session.get_one(models.Order, "ORD10004")
        other.status, other.ships_by, other.delivered_at = OrderStatus.PAID, NOW + timedelta(days=12), None
        (await session.get_one(models.OrderLine, "ORD10004-1")).ships_by = NOW + timedelta(days=12)
        for parcel in await session.scalars(select(models.Shipment).where(models.Shipment.order_id == "ORD10004")):
            for event in await parcel.awaitable_attrs.events:
                await session.delete(event)
            await session.delete(parcel)


async def test_a_presale_moves_for_all_that_wait(mall: SqlMall, engine: AsyncEngine) -> None:
    await presales(engine)
    plain = await place_order(mall, "C1", {"P1-1": 1}, "place")  # there when it was bought
    date = NOW + timedelta(days=30)
    assert await office(mall).presale_moved(OWN, "P1", date, "k1") == ["ORD10003", "ORD10004"]
    for order_id in ("ORD10003", "ORD10004"):
        assert (await mall.order("web:zhou", order_id)).ships_by == date
    assert (await mall.order("web:zhou", plain.id)).ships_by == plain.ships_by
    assert [kind for kind, _ in await events(engine)] == ["presale_moved"] * 2
    assert await office(mall).presale_moved(OWN, "P1", date, "k1") == ["ORD10003", "ORD10004"]
    assert await office(mall).presale_moved(OWN, "P1", date, "k2") == []  # it is that already
    assert len(await events(engine)) == 2
    await ship(mall, "k3")
    assert await office(mall).presale_moved(OWN, "P1", NOW + timedelta(days=5), "k4", "P1-1") == ["ORD10004"]
    assert (await mall.order("web:zhou", "ORD10004")).ships_by == NOW + timedelta(days=5)


@pytest.mark.parametrize(
    ("actor", "product_id", "sku_id", "days", "error"),
    [
        (STRANGER, "P1", None, 3, NotPermitted),
        (Actor(Role.CUSTOMER, "P-c"), "P1", None, 3, NotPermitted),
        (OPERATOR, "P9", None, 3, NotFound),
        (OPERATOR, "P1", "P2-1", 3, NotFound),
        (OPERATOR, "P1", "P1-9", 3, NotFound),
        (OPERATOR, "P1", None, -1, ValueError),
    ],
)
async def test_a_presale_that_does_not_move(
    mall: SqlMall,
    engine: AsyncEngine,
    actor: Actor,
    product_id: str,
    sku_id: str | None,
    days: int,
    error: type[Exception],
) -> None:
    await presales(engine)
    with pytest.raises(error):
        await office(mall).presale_moved(actor, product_id, NOW + timedelta(days=days), "k1", sku_id)
    assert (await mall.order("web:zhou", "ORD10003")).ships_by == NOW + timedelta(days=10)


# ---- many at once


async def test_parts_are_sent_once(malls: list[SqlMall], engine: AsyncEngine) -> None:
    attempts = (ship(malls[n % 3], f"k{n}", {SHOES: 1} if n % 2 else None) for n in range(12))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    order = await malls[0].order("web:zhou", "ORD10003")
    sent = Counter[str]()
    for parcel in order.shipments:
        sent.update(parcel.lines)
    assert (order.status, sent) == (OrderStatus.SHIPPED, {SHOES: 1, LIPSTICK: 1})
    assert {type(result) for result in results} == {Order, InvalidTransition}
    assert await stock_of(engine, "P1-1") == (10, 0)


async def test_sending_a_part_and_cancelling_at_once(malls: list[SqlMall], engine: AsyncEngine) -> None:
    results = await asyncio.gather(
        *(
            ship(malls[n % 3], f"s{n}", {SHOES: 1})
            if n % 2
            else malls[n % 3].cancel_order("web:zhou", "ORD10003", f"c{n}")
            for n in range(12)
        ),
        return_exceptions=True,
    )
    assert Counter(type(result).__name__ for result in results) == {"Order": 1, "InvalidTransition": 11}
    cancelled = (await malls[0].order("web:zhou", "ORD10003")).status is OrderStatus.CANCELLED
    assert await stock_of(engine, "P1-1") == ((11, 0) if cancelled else (10, 0))
    assert await stock_of(engine, "P2-1") == ((5, 0) if cancelled else (5, 1))


async def test_steps_at_once_are_all_kept(malls: list[SqlMall], clock: Clock) -> None:
    await ship(malls[0], "k1")
    clock.advance(days=2)
    steps = [("in_transit", hour) for hour in range(1, 10)] + [("delivered", 20)]
    await asyncio.gather(*(tell(malls[n % 3], step, f"t{n}", at) for n, (step, at) in enumerate(steps)))
    order = await malls[0].order("web:zhou", "ORD10003")
    assert (order.status, len(order.shipments[0].events)) == (OrderStatus.DELIVERED, 11)
