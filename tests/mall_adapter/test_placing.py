"""Placing an order: coupons to the cent, freight, what is promised, and goods that wait for the payment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.errors import CouponRefused, InvalidDelivery, InvalidTransition, NotFound
from mall_adapter.refunds import share
from mall_adapter.values import DeliveryChange, OrderStatus
from storage import WRITES
from storage.events import EventRow
from tests.mall_adapter.goods import stock_of
from tests.mall_adapter.offices import OPERATOR, office, own_office, place_order

from .conftest import NOW, Clock


async def add(engine: AsyncEngine, *rows: models.Base) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add_all(rows)


def coupon(**more: Any) -> models.Coupon:
    known = {"id": "CP1", "customer_id": "C1", "title": "满减券", "off_cents": 5000, "min_spend_cents": 19900}
    times = {"granted_at": NOW - timedelta(days=1), "valid_until": NOW + timedelta(days=1)}
    return models.Coupon(**known | times | more)


async def order(mall: SqlMall, items: dict[str, int], key: str = "k1", **more: Any) -> Any:
    return await office(mall).place_order(OPERATOR, "C1", items, key, **more)


# ---- coupons ----


async def test_a_coupon_is_shared_by_the_lines_to_the_cent(mall: SqlMall, engine: AsyncEngine) -> None:
    await add(engine, coupon())
    placed = await order(mall, {"P1-1": 1, "P2-1": 2, "P4-1": 1}, coupon_id="CP1", card_token="card-7")
    assert (placed.discount_cents, placed.total_cents) == (5000, 39900 + 39800 + 8900 - 5000)
    assert [line.discount_cents for line in placed.lines] == [2252, 2246, 502]
    [used] = [one for one in await mall.coupons_of("web:zhou") if one.id == "CP1"]
    assert used.status == "used"
    async with AsyncSession(engine) as session:
        told = (await session.scalars(select(EventRow).where(EventRow.kind == "order_placed"))).one()
        row = await session.get_one(models.Order, placed.id)
    assert (told.subject, told.region, told.data["coupon_id"]) == (f"order:{placed.id}", "310000", "CP1")
    assert (row.coupon_id, row.card_token) == ("CP1", "card-7")


@pytest.mark.parametrize(
    ("cents", "among", "shares"),
    [
        (5000, [23900], [5000]),
        (100, [1, 1, 1], [34, 33, 33]),
        (1, [5, 9], [0, 1]),
        (0, [5, 9], [0, 0]),
        (14, [5, 9], [5, 9]),
        (7, [0, 9, 0], [0, 7, 0]),
    ],
)
def test_shares_add_up_and_none_is_more_than_its_part(cents: int, among: list[int], shares: list[int]) -> None:
    assert share(cents, among) == shares


@pytest.mark.parametrize(
    ("more", "items", "refused"),
    [
        ({"used_at": NOW}, {"P2-1": 1}, "used"),
        ({"valid_until": NOW}, {"P2-1": 1}, "expired"),
        ({}, {"P4-1": 2}, "minimum"),
    ],
)
async def test_a_coupon_that_does_not_count_is_refused_and_stays(
    mall: SqlMall, engine: AsyncEngine, more: dict[str, Any], items: dict[str, int], refused: str
) -> None:
    await add(engine, coupon(**more))
    with pytest.raises(CouponRefused, match=refused):
        await order(mall, items, coupon_id="CP1")
    async with AsyncSession(engine) as session:
        assert (await session.get_one(models.Coupon, "CP1")).used_at == more.get("used_at")
    assert await stock_of(engine, "P2-1") == (5, 1)


async def test_somebody_elses_coupon_is_none(mall: SqlMall, engine: AsyncEngine) -> None:
    await add(engine, coupon(customer_id="C2"))
    with pytest.raises(NotFound):
        await order(mall, {"P1-1": 1}, coupon_id="CP1")


async def test_a_coupon_takes_off_no_more_than_the_goods_cost(mall: SqlMall, engine: AsyncEngine) -> None:
    await add(engine, coupon(off_cents=99900, min_spend_cents=0))
    placed = await order(mall, {"P4-1": 1}, coupon_id="CP1")
    assert (placed.total_cents, placed.lines[0].discount_cents) == (0, 8900)


async def test_a_coupon_comes_back_only_where_nothing_was_paid(mall: SqlMall, engine: AsyncEngine) -> None:
    await add(engine, coupon())
    first = await order(mall, {"P1-1": 1}, coupon_id="CP1", paid=False)
    with pytest.raises(CouponRefused):
        await order(mall, {"P1-1": 1}, "k2", coupon_id="CP1")
    await mall.cancel_order("web:zhou", first.id, "k3")
    paid = await order(mall, {"P1-1": 1}, "k4", coupon_id="CP1")
    assert paid.discount_cents == 5000
    await mall.cancel_order("web:zhou", paid.id, "k5")
    with pytest.raises(CouponRefused):  # as the shop's answer says: used once is used
        await order(mall, {"P1-1": 1}, "k6", coupon_id="CP1")


# ---- freight ----


def template(**more: Any) -> models.FreightTemplate:
    known = {"supplier_id": "S1", "region": None, "unit": models.FreightUnit.PIECE, "first_units": 2}
    cents = {"first_cents": 800, "further_units": 1, "further_cents": 300, "free_from_cents": 50000}
    return models.FreightTemplate(**known | cents | more)


FAR = {"region": "540000", "first_cents": 1500, "free_from_cents": None}
LHASA = DeliveryChange(address="西藏自治区拉萨市城关区 1 号")


@pytest.mark.parametrize(
    ("templates", "items", "delivery", "freight"),
    [
        pytest.param([], {"P4-1": 1}, None, 0, id="no template, no freight"),
        pytest.param([{}], {"P4-1": 1}, None, 800, id="first pieces"),
        pytest.param([{}], {"P4-1": 3}, None, 1100, id="a further piece"),
        pytest.param([{}], {"P1-1": 2}, None, 0, id="free above an amount"),
        pytest.param([{}, FAR], {"P1-1": 2}, LHASA, 1500, id="far away it is never free"),
        pytest.param([{}, FAR], {"P4-1": 1}, None, 800, id="near it is as everywhere"),
        pytest.param([FAR], {"P4-1": 1}, None, 0, id="only there"),
        pytest.param(
            [{"region": "310000"}, {"region": "east", "first_cents": 1}],
            {"P4-1": 1},
            None,
            800,
            id="the smallest region",
        ),
        pytest.param(
            [{"unit": models.FreightUnit.GRAM, "first_units": 1000, "further_units": 500}],
            {"P4-1": 3},  # of 450 g: 350 g beyond the first kilogram
            None,
            1100,
            id="by weight",
        ),
    ],
)
async def test_freight_by_the_suppliers_template(
    mall: SqlMall,
    engine: AsyncEngine,
    templates: list[dict[str, Any]],
    items: dict[str, int],
    delivery: DeliveryChange | None,
    freight: int,
) -> None:
    await add(engine, *(template(**one) for one in templates))
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        (await session.get_one(models.Sku, "P4-1")).weight_g = 450
    placed = await order(mall, items, delivery=delivery)
    assert placed.freight_cents == freight
    assert placed.total_cents == sum(line.quantity * line.unit_price_cents for line in placed.lines) + freight


# ---- where it goes ----


async def test_an_order_goes_where_it_is_sent_and_its_region_follows(mall: SqlMall, engine: AsyncEngine) -> None:
    sent = DeliveryChange(recipient_name="周妈妈", phone="13911112222", address="杭州市西湖区文三路 9 号")
    placed = await order(mall, {"P4-1": 1}, delivery=sent)
    told = await mall.delivery_of("web:zhou", placed.id)
    assert told is not None
    assert (told.recipient_name, told.address) == (sent.recipient_name, sent.address)
    async with AsyncSession(engine) as session:
        assert (await session.get_one(models.Order, placed.id)).region == "330100"
    await mall.change_delivery("web:zhou", placed.id, DeliveryChange(address="成都武侯区望江路 1 号"), "k2")
    async with AsyncSession(engine) as session:
        assert (await session.get_one(models.Order, placed.id)).region == "510100"
    await mall.change_delivery("web:zhou", placed.id, DeliveryChange(address="望江路 2 号"), "k3")
    async with AsyncSession(engine) as session:
        assert (await session.get_one(models.Order, placed.id)).region == "510100"  # nothing else was said
    with pytest.raises(InvalidDelivery):
        await order(mall, {"P4-1": 1}, "k4", delivery=DeliveryChange(phone="1"))


# ---- promises ----


async def test_each_line_is_promised_its_own_date(mall: SqlMall, engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        (await session.get_one(models.Product, "P2")).presale_days = 14
        (await session.get_one(models.Product, "P4")).custom_made = True
    placed = await order(mall, {"P1-1": 1, "P2-1": 1, "P4-1": 1})
    dates = {line.sku_id: line.ships_by and (line.ships_by - NOW) / timedelta(days=1) for line in placed.lines}
    assert dates == {"P1-1": None, "P2-1": 14, "P4-1": 5}
    assert (placed.status, placed.ships_by) == (OrderStatus.PAID, NOW + timedelta(hours=48))
    async with AsyncSession(engine) as session:
        found = await session.scalars(select(models.Fulfilment).where(models.Fulfilment.order_id == placed.id))
        assert sorted((one.ships_by - NOW).days for one in found if one.ships_by) == [2, 5, 14]
    alone = await order(mall, {"P2-1": 1}, "k2")
    assert (alone.status, alone.ships_by) == (OrderStatus.PRESALE, NOW + timedelta(days=14))


# ---- paying ----


async def test_promises_begin_with_the_payment(mall: SqlMall, clock: Clock) -> None:
    placed = await order(mall, {"P1-1": 1}, paid=False)
    assert (placed.status, placed.ships_by, placed.paid_at) == (OrderStatus.PENDING_PAYMENT, None, None)
    assert placed.pay_by == NOW + timedelta(hours=24)
    clock.advance(hours=5)
    paid = await office(mall).pay_order(OPERATOR, placed.id, "k2")
    assert (paid.status, paid.paid_at, paid.pay_by) == (OrderStatus.PAID, clock.now, None)
    assert paid.ships_by == clock.now + timedelta(hours=48)
    assert await office(mall).pay_order(OPERATOR, placed.id, "k2") == paid
    with pytest.raises(InvalidTransition):
        await office(mall).pay_order(OPERATOR, placed.id, "k3")


async def test_goods_wait_for_the_payment_for_a_while_only(mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await add(engine, coupon(valid_until=NOW + timedelta(days=9)))
    late = await order(mall, {"P1-1": 10}, paid=False, coupon_id="CP1")
    assert await stock_of(engine, "P1-1") == (11, 11)
    clock.advance(hours=23)
    soon = await order(mall, {"P2-1": 1}, "k2", paid=False)
    assert await own_office(engine, clock).expire_reservations() == 0
    clock.advance(hours=1)
    assert await own_office(engine, clock).expire_reservations() == 1
    assert await own_office(engine, clock).expire_reservations() == 0
    assert (await mall.order("web:zhou", late.id)).status is OrderStatus.CANCELLED
    assert (await mall.order("web:zhou", soon.id)).status is OrderStatus.PENDING_PAYMENT
    assert await stock_of(engine, "P1-1") == (11, 1)
    assert [one.status for one in await mall.coupons_of("web:zhou")] == ["unused"]
    with pytest.raises(InvalidTransition):
        await office(mall).pay_order(OPERATOR, late.id, "k3")


async def test_what_is_told_of_a_new_order_is_what_stands_there(mall: SqlMall, engine: AsyncEngine) -> None:
    await add(engine, coupon(), template())
    for key, paid in (("k1", True), ("k2", False)):
        more = {"coupon_id": "CP1"} if paid else {}
        placed = await order(mall, {"P1-1": 2, "P4-1": 1}, key, paid=paid, **more)
        assert placed == await mall.order("web:zhou", placed.id)


async def test_the_same_basket_told_twice_is_one_order(mall: SqlMall) -> None:
    first = await place_order(mall, "C1", {"P1-1": 1, "P4-1": 1}, "k1")
    assert await order(mall, {"P4-1": 1, "P1-1": 1}) == first
