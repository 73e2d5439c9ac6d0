"""Reading, placing, shipping and cancelling orders, and the stock that moves with them."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import SqlMall
from mall_adapter.errors import InvalidTransition, NotFound, OrderNotFound, OutOfStock, OwnershipRequired
from mall_adapter.values import OrderStatus, Reason, TicketKind, TicketRequest, TicketStatus
from storage import IdempotencyConflict
from tests.mall_adapter.goods import stock_of
from tests.mall_adapter.offices import advance_ticket, new_key, place_order, ship_order


async def test_an_order_comes_with_lines_and_parcels(mall: SqlMall) -> None:
    order = await mall.order("web:zhou", "ORD10002")
    assert (order.status, order.total_cents) == (OrderStatus.DELIVERED, 99700)
    assert [(line.id, line.product_id, line.category, line.quantity) for line in order.lines] == [
        ("ORD10002-1", "P1", "跑步鞋", 2),
        ("ORD10002-2", "P2", "口红", 1),
    ]
    (parcel,) = order.shipments
    assert [event.text for event in parcel.events] == ["已揽收", "已签收"]
    assert parcel.delivered_at == order.delivered_at
    assert order.placed_at.utcoffset() is not None


async def test_orders_of_a_customer_come_newest_first(mall: SqlMall) -> None:
    assert [order.id for order in await mall.orders_of("web:zhou")] == ["ORD10003", "ORD10002", "ORD10001", "ORD10004"]
    assert [order.id for order in await mall.orders_of("web:zhou", limit=1)] == ["ORD10003"]
    assert await mall.orders_of("web:guest") == []


async def test_a_placed_order_is_paid_and_takes_its_pieces(mall: SqlMall, engine: AsyncEngine) -> None:
    order = await place_order(mall, "C1", {"P1-1": 2, "P4-1": 1}, "k1")
    assert order.id.startswith("ORD260311")
    assert (order.status, order.total_cents) == (OrderStatus.PAID, 2 * 39900 + 8900)
    assert await stock_of(engine, "P1-1") == (11, 3)
    assert await mall.order("web:zhou", order.id) == order
    assert await mall.prove_ownership("web:guest", order.id, "5678", new_key()) == order


@pytest.mark.parametrize(
    ("customer_id", "items", "error"),
    [
        ("C1", {"P1-1": 11}, OutOfStock),  # one of eleven belongs to ORD10003
        ("C1", {"P4-1": 1, "P3-1": 1}, OutOfStock),  # one of two is sold out
        ("C1", {"P9-9": 1}, NotFound),
        ("C9", {"P1-1": 1}, NotFound),
        ("C1", {}, ValueError),
        ("C1", {"P1-1": 0}, ValueError),
        ("C1", {"P1-1": -1}, ValueError),
    ],
)
async def test_an_order_that_cannot_be_placed_changes_nothing(
    mall: SqlMall, engine: AsyncEngine, customer_id: str, items: dict[str, int], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await place_order(mall, customer_id, items, "k1")
    assert await stock_of(engine, "P1-1") == (11, 1)
    assert await stock_of(engine, "P4-1") == (3, 0)
    assert len(await mall.orders_of("web:zhou", limit=10)) == 4
    await place_order(mall, "C1", {"P1-1": 1}, "k1")  # the key is still free


async def test_the_same_key_places_one_order(mall: SqlMall, engine: AsyncEngine) -> None:
    first = await place_order(mall, "C1", {"P1-1": 1, "P4-1": 1}, "k1")
    assert await place_order(mall, "C1", {"P4-1": 1, "P1-1": 1}, "k1") == first
    assert await stock_of(engine, "P1-1") == (11, 2)
    with pytest.raises(IdempotencyConflict):
        await place_order(mall, "C1", {"P1-1": 2}, "k1")
    with pytest.raises(IdempotencyConflict):
        await ship_order(mall, first.id, "顺丰速运", "SF1", "k1")
    await mall.cancel_order("web:zhou", first.id, "k1")  # a key of somebody else's


async def test_a_shipped_order_leaves_the_warehouse(mall: SqlMall, engine: AsyncEngine) -> None:
    order = await ship_order(mall, "ORD10003", "顺丰速运", "SF1", "k1")
    assert order.status is OrderStatus.SHIPPED
    assert [(parcel.carrier, parcel.status, len(parcel.events)) for parcel in order.shipments] == [
        ("顺丰速运", "in_transit", 1)
    ]
    assert await stock_of(engine, "P1-1") == (10, 0)
    assert await ship_order(mall, "ORD10003", "顺丰速运", "SF1", "k1") == order
    with pytest.raises(InvalidTransition):
        await ship_order(mall, "ORD10003", "顺丰速运", "SF2", "k2")
    with pytest.raises(InvalidTransition):
        await mall.cancel_order("web:zhou", "ORD10003", "k3")
    with pytest.raises(OrderNotFound):
        await ship_order(mall, "ORD99999", "顺丰速运", "SF3", "k4")


async def test_a_cancelled_order_gives_its_pieces_back(mall: SqlMall, engine: AsyncEngine) -> None:
    order = await mall.cancel_order("web:zhou", "ORD10003", "k1")
    assert order.status is OrderStatus.CANCELLED
    assert await stock_of(engine, "P1-1") == (11, 0)
    assert await mall.cancel_order("web:zhou", "ORD10003", "k1") == order
    for sender, order_id, error in (
        ("web:zhou", "ORD10003", InvalidTransition),
        ("web:zhou", "ORD10001", InvalidTransition),
        ("web:he", "ORD10003", OwnershipRequired),
        ("web:he", "ORD99999", OwnershipRequired),
    ):
        with pytest.raises(error):
            await mall.cancel_order(sender, order_id, "k2")
    assert await stock_of(engine, "P1-1") == (11, 0)


async def test_a_refund_before_shipping_keeps_the_goods_in_the_shop(mall: SqlMall, engine: AsyncEngine) -> None:
    request = TicketRequest("ORD10003", TicketKind.REFUND, Reason.CHANGED_MIND, line_ids=("ORD10003-1",))
    ticket = await mall.create_ticket("web:zhou", request, "k1")
    with pytest.raises(InvalidTransition):
        await ship_order(mall, "ORD10003", "顺丰速运", "SF1", "k2")
    with pytest.raises(InvalidTransition):
        await mall.cancel_order("web:zhou", "ORD10003", "k3")
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", "k4")
    await advance_ticket(mall, ticket.id, TicketStatus.REFUNDED, "operator", "", "k5")
    assert await stock_of(engine, "P1-1") == (11, 0)
    assert (await mall.order("web:zhou", "ORD10003")).status is OrderStatus.PAID

    await ship_order(mall, "ORD10003", "顺丰速运", "SF1", "k6")  # what is left of it
    assert await stock_of(engine, "P1-1") == (11, 0)
    assert await stock_of(engine, "P2-1") == (4, 0)


async def test_an_order_that_is_refunded_whole_is_cancelled(mall: SqlMall, engine: AsyncEngine) -> None:
    request = TicketRequest("ORD10003", TicketKind.REFUND, Reason.CHANGED_MIND)
    ticket = await mall.create_ticket("web:zhou", request, "k1")
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", "k2")
    await advance_ticket(mall, ticket.id, TicketStatus.REFUNDED, "operator", "", "k3")
    assert (await mall.order("web:zhou", "ORD10003")).status is OrderStatus.CANCELLED
    assert await stock_of(engine, "P1-1") == (11, 0)
    assert await stock_of(engine, "P2-1") == (5, 0)
