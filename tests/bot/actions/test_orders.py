"""Questions about orders and parcels: which order is meant, what is told of it, and what is told when asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rasa_sdk import Action
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from bot.actions import malls, order_record
from bot.actions.complaints import Complain
from bot.actions.coupons import MyCoupons
from bot.actions.invoices import InvoiceValidation
from bot.actions.order_choice import AskOrderId, AskPhoneTail
from bot.actions.order_questions import OrderStatusAction, UrgeShipment
from bot.actions.order_words import describes_one, meant_by_words, named_side_by_side
from bot.actions.orders import parts_of, pressure, state_of
from bot.actions.parcels import TrackParcel
from bot.actions.ticket_progress import TicketStatusAction
from bot.actions.turn import Turn
from bot.actions.worries import WorryDelivery
from mall_adapter import Desk, SqlMall, models
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.values import InvoiceKind, InvoiceRequest, Order, OrderLine, OrderStatus, Proof, Shipment
from storage import WRITES, create_engine, migrate
from tests.bot.actions.asking import (
    DOMAIN,
    FRYER,
    MUG,
    ORDERS,
    PHONE,
    SHOES,
    Customer,
    add_orders,
    an_order,
    entities,
)
from tests.mall_adapter.goods import empty

NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)
DELIVERED, LATE, LOST, TRAVELLING, PAID, PRESALE = (order[0] for order in ORDERS)
ACTIONS: dict[str, Action] = {
    action.name().removeprefix("action_"): action
    for action in (OrderStatusAction(), TrackParcel(), UrgeShipment(), WorryDelivery())
}


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/orders.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def session(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncSession]:
    """An empty mall, to be filled."""
    engine = create_engine(address)
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    monkeypatch.setattr(malls._desk, "room", Desk(engine, (time.min, time.max)))
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        async with session.begin():
            await empty(session)
        yield session
    await engine.dispose()


@pytest.fixture
async def mall(session: AsyncSession) -> None:
    add_orders(session)
    await session.commit()


async def ask(intent: str, text: str = "？", sender: str = "web:ann", **more: Any) -> Customer:
    customer = Customer(intent, sender)
    await customer.says(text, **more).meets(ACTIONS[intent])
    return customer


async def complain(text: str, **more: Any) -> Customer:
    customer = Customer("complain", "web:ann")
    await customer.says(text, **more).meets(Complain())
    return customer


def said(customer: Customer) -> list[str]:
    return [message["response"] for message in customer.told]


# ---- which order


@pytest.mark.parametrize(
    ("intent", "response", "listed"),
    [
        ("order_status", "utter_order_listed", [PRESALE, PAID, TRAVELLING, LOST]),
        ("track_parcel", "utter_parcel_listed", [LOST, LATE, TRAVELLING]),
        ("urge_shipment", "utter_urge_listed", [PRESALE, PAID, TRAVELLING, LOST]),
    ],
)
async def test_several_orders_are_one_message(mall: None, intent: str, response: str, listed: list[str]) -> None:
    customer = await ask(intent)
    assert said(customer) == [response]
    assert [thing["id"] for thing in customer.focus["listed"]["things"]] == listed
    assert [button["payload"] for button in customer.told[0]["buttons"]] == [
        f'/{intent}{{"order_id": "{order_id}"}}' for order_id in listed
    ]
    assert customer.text().count("\n") >= len(listed)
    assert customer.slots["missing"] is None


async def test_worry_is_met_with_the_facts_of_every_parcel_the_worst_first(mall: None) -> None:
    customer = await ask("worry_delivery", "会不会丢了啊")
    assert said(customer) == ["utter_worry_listed"]
    assert [button["payload"] for button in customer.told[0]["buttons"]] == [
        f'/worry_delivery{{"order_id": "{order_id}"}}' for order_id in (LOST, LATE, TRAVELLING)
    ]


async def test_mere_anger_is_met_with_the_orders_in_which_something_is_wrong(mall: None) -> None:
    customer = await complain("气死我了")
    assert said(customer) == ["utter_complain", "utter_complain_troubled"]
    told = [button["payload"] for button in customer.told[1]["buttons"]]
    assert told == [*(f'/track_parcel{{"order_id": "{order_id}"}}' for order_id in (LOST, LATE)), "/human_handoff"]


async def test_orders_that_stand_on_the_screen_are_not_told_again(mall: None) -> None:
    customer = await ask("track_parcel", "到哪了")
    await customer.says("气死我了").meets(Complain())
    assert said(customer) == ["utter_complain", "utter_complain_ways"]


async def test_the_only_such_order_is_told_in_full_and_then_what_can_be_done(
    session: AsyncSession,
) -> None:
    add_orders(session, LATE, PAID)
    await session.commit()
    customer = await complain("说话不算", complaint=("说话不算", "promise"))
    heard, facts, ways = said(customer)
    assert (heard, facts) == ("utter_complain_promise", "utter_worry_late")
    assert (ways, customer.focus["order"]["id"]) == ("utter_complain_ways_promise", LATE)


async def test_goods_that_none_of_the_orders_has_are_said_to_be_none_of_them(mall: None) -> None:
    customer = await ask("track_parcel", "我的帐篷到哪了", category=("帐篷", "帐篷"))
    assert said(customer) == ["utter_no_order_of"] and "帐篷" in customer.text()
    assert customer.focus.get("order") is None and customer.focus["listed"]["things"]


async def test_worry_of_somebody_unknown_is_heard_before_the_order_is_asked_for(mall: None) -> None:
    customer = await ask("worry_delivery", "怕收不到", sender="web:guest")
    assert (said(customer), customer.slots["missing"]) == (["utter_worry_heard"], "order_id")


async def test_orders_that_do_not_fit_into_the_list_are_counted(mall: None) -> None:
    assert "另外还有 1 单" in (await ask("order_status")).text()


@pytest.mark.parametrize(
    ("text", "more", "order_id"),
    [
        (f"{TRAVELLING} 到哪了", {}, TRAVELLING),
        ("我的保温杯到哪了", {"category": ("保温杯", "保温杯")}, TRAVELLING),
        ("口红怎么还没到", {"category": ("口红", "口红")}, LATE),
    ],
)
@pytest.mark.parametrize("intent", ACTIONS)
async def test_a_named_or_described_order_is_told(
    mall: None, intent: str, text: str, more: dict[str, Any], order_id: str
) -> None:
    customer = await ask(intent, text, **more)
    assert customer.focus["order"]["id"] == order_id
    assert customer.told[0]["order_id"] == order_id
    assert len(customer.told) == 1


async def test_words_that_mean_two_orders_list_the_two(mall: None) -> None:
    customer = await ask("order_status", "空气炸锅到哪了", category=("空气炸锅", "空气炸锅"))
    assert [thing["id"] for thing in customer.focus["listed"]["things"]] == [PRESALE, LOST]


async def test_a_place_in_the_list_and_then_the_order_at_hand(mall: None) -> None:
    customer = await ask("track_parcel")
    await customer.says("第三个").meets(ACTIONS["track_parcel"])
    assert customer.told[0]["order_id"] == TRAVELLING
    await customer.says("快点啊", intent="urge_shipment").meets(ACTIONS["urge_shipment"])
    assert customer.told[0]["order_id"] == TRAVELLING


async def test_a_list_that_stands_there_is_not_said_again(mall: None) -> None:
    customer = await ask("track_parcel")
    assert await customer.says("到哪了到底").meets(ACTIONS["track_parcel"]) == ["utter_which_order"]
    assert len(customer.told[0]["buttons"]) == 3
    assert await customer.says("倒是说呀").meets(ACTIONS["track_parcel"]) == ["utter_order_lost"]


async def test_where_nothing_is_on_its_way_the_newest_is_told(session: AsyncSession) -> None:
    add_orders(session, DELIVERED)
    await session.commit()
    assert said(await ask("track_parcel")) == ["utter_parcel_delivered"]
    assert said(await ask("order_status")) == ["utter_order_delivered"]
    assert said(await ask("worry_delivery", "没收到货")) == ["utter_worry_delivered"]
    assert said(await ask("urge_shipment")) == ["utter_parcel_delivered"]


async def test_what_is_to_be_shipped_is_told_where_nothing_travels(session: AsyncSession) -> None:
    add_orders(session, DELIVERED, PAID)
    await session.commit()
    assert said(await ask("track_parcel")) == ["utter_parcel_paid"]
    assert said(await ask("urge_shipment")) == ["utter_urge_paid"]
    assert said(await ask("worry_delivery")) == ["utter_worry_paid"]


# ---- what is told


def order(status: OrderStatus, *parcels: tuple[str, int], ships: int | None = None) -> Order:
    """``parcels`` are a status and the days until the promise."""
    shipments = tuple(
        Shipment(str(at), "疾鹿速运", "JL1", parcel, NOW + timedelta(days=days), NOW, None, ())
        for at, (parcel, days) in enumerate(parcels)
    )
    ships_by = None if ships is None else NOW + timedelta(days=ships)
    return Order("ORD1", status, NOW, 9900, ships_by, None, (), shipments)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (order(OrderStatus.PENDING_PAYMENT), "pending_payment"),
        (order(OrderStatus.PAID, ships=1), "paid"),
        (order(OrderStatus.PAID, ships=-1), "overdue"),
        (order(OrderStatus.PRESALE, ships=9), "presale"),
        (order(OrderStatus.PRESALE, ships=-1), "overdue"),
        (order(OrderStatus.SHIPPED, ("in_transit", 1)), "shipped"),
        (order(OrderStatus.SHIPPED, ("in_transit", -1)), "late"),
        (order(OrderStatus.SHIPPED, ("delayed", 1)), "late"),
        (order(OrderStatus.SHIPPED, ("out_for_delivery", 1)), "out_for_delivery"),
        (order(OrderStatus.SHIPPED, ("delivered", -1), ("in_transit", 1)), "shipped"),
        (order(OrderStatus.SHIPPED, ("in_transit", 1), ("lost", 1)), "lost"),
        (order(OrderStatus.DELIVERED, ("delivered", -1)), "delivered"),
        (order(OrderStatus.DELIVERED), "handed_over"),
        (order(OrderStatus.COMPLETED, ("delivered", -1)), "completed"),
        (order(OrderStatus.CANCELLED), "cancelled"),
    ],
)
def test_states(found: Order, state: str) -> None:
    assert state_of(found, NOW) == state
    assert f"utter_order_{state}" in DOMAIN["responses"]
    assert f"utter_word_line_{state}" in DOMAIN["responses"]


@pytest.mark.parametrize("intent", ACTIONS)
@pytest.mark.parametrize("order_id", [order[0] for order in ORDERS])
async def test_every_state_can_be_told_for_every_question(mall: None, intent: str, order_id: str) -> None:
    customer = await ask(intent, order_id)
    assert customer.told[0]["order_id"] == order_id
    variants = [one for one in DOMAIN["responses"][customer.told[0]["response"]] if not one.get("condition")]
    assert len({customer.text(at) for at in range(len(variants))}) == len(variants) >= 2


@pytest.mark.parametrize(
    ("order_id", "buttons"),
    [
        (LATE, {"申请退款", "转人工"}),
        (LOST, {"申请退款", "转人工"}),
        (DELIVERED, {"没收到货", "转人工"}),
        (PAID, {"转人工", "取消这单"}),
    ],
)
async def test_a_worry_has_a_way_out(mall: None, order_id: str, buttons: set[str]) -> None:
    customer = await ask("worry_delivery", order_id)
    for variant in DOMAIN["responses"][customer.told[0]["response"]]:
        if not variant.get("condition"):
            assert {button["title"] for button in variant["buttons"]} == buttons


async def test_what_was_told_is_not_told_again(mall: None) -> None:
    customer = await ask("track_parcel", LATE)
    assert said(customer) == ["utter_order_late"]
    for response in ("utter_worry_late_told", "utter_worry_late_told"):
        assert await customer.says("我好担心").meets(ACTIONS["worry_delivery"]) == [response]
    assert await customer.says("到哪了").meets(ACTIONS["track_parcel"]) == ["utter_order_late_told"]
    assert said(await ask("worry_delivery", LATE)) == ["utter_worry_late"]


async def test_a_delivered_parcel_says_when_and_where_it_was_left(mall: None) -> None:
    assert "已签收，放在前台" in (await ask("worry_delivery", f"{DELIVERED} 没收到")).text()


ONE, TWO, THREE = (
    OrderLine(f"ORD1-{at}", name, name, name, "标准", name, count, 9900, count, (), unsent)
    for at, (name, count, unsent) in enumerate(((MUG, 2, 0), (FRYER, 1, 0), (SHOES, 2, 2)), 1)
)


def parcel(status: str, days: int, **lines: int) -> Shipment:
    """``days`` until the promise; ``lines`` by their last digit."""
    held = {f"ORD1-{one[1:]}": count for one, count in lines.items()}
    arrived = NOW if status == "delivered" else None
    return Shipment(status, "疾鹿速运", "JL1", status, NOW + timedelta(days=days), NOW, arrived, (), held)


def in_parts(status: OrderStatus, *parcels: Shipment, ships: int = 1, lines: tuple[OrderLine, ...] = ()) -> Order:
    return Order("ORD1", status, NOW, 9900, NOW + timedelta(days=ships), None, lines or (ONE, TWO, THREE), parcels)


@pytest.mark.parametrize(
    ("found", "states"),
    [
        (in_parts(OrderStatus.PAID), ["paid"]),
        (in_parts(OrderStatus.PAID, parcel("in_transit", 1, n1=2)), ["shipped", "paid"]),
        (
            in_parts(OrderStatus.PAID, parcel("delivered", 1, n1=2), parcel("lost", 1, n2=1)),
            ["delivered", "lost", "paid"],
        ),
        (in_parts(OrderStatus.PAID, parcel("delivered", 1, n1=2), ships=-1), ["delivered", "overdue"]),
        (in_parts(OrderStatus.PRESALE, parcel("delivered", -9, n1=2)), ["delivered", "presale"]),
        (in_parts(OrderStatus.SHIPPED, parcel("in_transit", 1, n1=2), lines=(ONE,)), ["shipped"]),
        (
            in_parts(
                OrderStatus.SHIPPED, parcel("in_transit", -1, n1=1), parcel("out_for_delivery", 1, n1=1), lines=(ONE,)
            ),
            ["late", "out_for_delivery"],
        ),
        (
            in_parts(
                OrderStatus.DELIVERED, parcel("delivered", 1, n1=2), parcel("delivered", 1, n2=1), lines=(ONE, TWO)
            ),
            ["delivered", "delivered"],
        ),
        (in_parts(OrderStatus.SHIPPED, parcel("in_transit", 1), parcel("lost", 1, n2=1), lines=(TWO,)), ["lost"]),
        (  # what has a ticket was told apart and is taken out, with the parcel that held it
            in_parts(OrderStatus.SHIPPED, parcel("lost", 1, n1=2), parcel("delivered", 1, n2=1), lines=(TWO,)),
            ["delivered"],
        ),
    ],
)
def test_an_order_in_parts_stands_where_they_do(found: Order, states: list[str]) -> None:
    parts = parts_of(found)
    assert [state_of(part, NOW) for part in parts] == states
    assert state_of(found, NOW) == min(states, key=pressure)


@pytest.mark.parametrize(
    ("promised", "expected", "state"), [(3, 5, "delayed"), (-1, 5, "late"), (3, None, "late"), (3, -1, "late")]
)
def test_a_delay_with_a_new_date_is_not_late_yet(promised: int, expected: int | None, state: str) -> None:
    date = None if expected is None else NOW + timedelta(days=expected)
    delayed = replace(parcel("delayed", promised), lines={}, expected_by=date)
    assert state_of(in_parts(OrderStatus.SHIPPED, delayed), NOW) == state


async def add_parts(session: AsyncSession, *, promised: int = 3) -> None:
    """Two mugs and a fryer, of which a mug has come and another is to come; the fryer has not left."""
    add_orders(session, DELIVERED)
    order = an_order("ORD10000000009", MUG, OrderStatus.PAID, datetime.now(UTC) - timedelta(days=2), ships=1)
    order.lines[0].quantity = 2
    order.lines.append(
        models.OrderLine(
            id="ORD10000000009-2",
            sku_id=FRYER,
            fulfilment=order.fulfilments[0],
            product_name=FRYER,
            spec="标准",
            quantity=1,
            unit_price_cents=9900,
        )
    )
    now = datetime.now(UTC)
    for number, status in enumerate(("delivered", "in_transit"), 1):
        order.shipments.append(
            models.Shipment(
                id=f"ORD10000000009-S{number}",
                carrier="飞梭快递",
                tracking_number=f"FS{number}",
                status=status,
                promised_by=now + timedelta(days=promised),
                delivered_at=now if status == "delivered" else None,
                lines=[models.ShipmentLine(order_line_id="ORD10000000009-1", quantity=1)],
                events=[],
            )
        )
    session.add(order)
    await session.commit()


@pytest.mark.parametrize("intent", ACTIONS)
async def test_every_part_is_told(session: AsyncSession, intent: str) -> None:
    await add_parts(session)
    customer = await ask(intent, "ORD10000000009")
    assert said(customer) == ["utter_order_in_parts" if intent == "order_status" else "utter_parcel_in_parts"]
    for words in ("第 1 个包裹", "FS1", "已签收", "第 2 个包裹", "FS2", "在路上", "还有 1 件没发出", FRYER, "最晚"):
        assert words in customer.text()


async def test_of_a_late_part_is_told_what_may_be_done(session: AsyncSession) -> None:
    await add_parts(session, promised=-2)
    customer = await ask("worry_delivery", "ORD10000000009")
    assert said(customer) == ["utter_parcel_in_parts", "utter_worry_late"]
    assert MUG in customer.text()
    assert FRYER not in customer.text()


async def test_an_order_in_parts_in_a_list(session: AsyncSession) -> None:
    await add_parts(session)
    session.add(an_order(PAID, SHOES, OrderStatus.PAID, datetime.now(UTC), ships=1))
    await session.commit()
    customer = await ask("order_status")
    assert "1 个包裹已签收、1 个包裹在路上、还有 1 件没发出" in customer.text()


async def test_an_order_of_two_parcels_shows_both(session: AsyncSession) -> None:
    add_orders(session, DELIVERED)
    order = an_order("ORD10000000009", MUG, OrderStatus.SHIPPED, datetime.now(UTC), parcel="in_transit")
    order.shipments.append(
        models.Shipment(id="second", carrier="飞梭快递", tracking_number="FS2", status="in_transit", events=[])
    )
    session.add(order)
    await session.commit()
    customer = await ask("track_parcel")
    assert "JL000009" in customer.told[0]["track"]
    assert "飞梭快递 FS2" in customer.told[0]["track"]


# ---- what else is asked in words of parcels


@pytest.mark.parametrize(
    ("text", "responses"),
    [
        ("约好的上门取怎么没人来", ["utter_no_return_parcel"]),
        ("韵达单号4312345678901到哪了", ["utter_waybill_unknown"]),
        ("我的包裹到哪了", ["utter_parcel_listed"]),
    ],
)
async def test_what_is_asked_in_words_of_parcels(mall: None, text: str, responses: list[str]) -> None:
    assert said(await ask("track_parcel", text, acts=("question",))) == responses


async def test_a_stranger_is_asked_which_order_before_being_told_that_there_is_no_parcel(mall: None) -> None:
    customer = await ask("track_parcel", "约好的上门取怎么没人来", sender="web:guest", acts=("question",))
    assert customer.told == [] and customer.slots["missing"] == "order_id"


async def test_a_waybill_opens_nothing_to_a_stranger(mall: None) -> None:
    for number in (TRAVELLING[-6:], "4312345678901"):  # of a parcel of ours, and of none
        customer = await ask("track_parcel", f"快递单号{number}到哪了", sender="web:guest", acts=("question",))
        assert said(customer) == ["utter_waybill_needs_order"] and not customer.slots.get("missing")


async def test_a_waybill_of_their_own_finds_its_order(mall: None) -> None:
    customer = await ask("track_parcel", f"快递单号{TRAVELLING[-6:]}")
    assert said(customer) == ["utter_parcel_shipped"]
    assert customer.told[0]["order_id"] == TRAVELLING


async def test_the_courier_of_the_order_at_hand(mall: None) -> None:
    customer = Customer("track_parcel", focus={"order": {"id": TRAVELLING, "turn": 1}})
    await customer.says("怎么联系快递员", acts=("of_courier", "question")).meets(TrackParcel())
    assert customer.told[0]["waybills"] == f"{MUG} 标准：疾鹿速运 JL000004"


# ---- how far it is, and nothing says what


@pytest.mark.parametrize(
    ("focus", "responses"),
    [
        ({}, ["utter_progress_which"]),
        ({"complaint": {"id": "silence", "turn": 1}}, ["utter_progress_complaint"]),
        ({"order": {"id": TRAVELLING, "turn": 1}}, ["utter_order_shipped"]),
        (
            {"order": {"id": TRAVELLING, "turn": 1}, "complaint": {"id": "other", "turn": 2}},
            ["utter_progress_complaint"],
        ),
    ],
)
async def test_progress_is_that_of_the_last_matter(mall: None, focus: dict[str, Any], responses: list[str]) -> None:
    customer = Customer("ticket_status", focus=focus)
    customer.turn, customer.frame["flow"] = 2, "ticket_status"
    customer.says("有进展了吗", acts=("question", "progress"), intent="order_status")
    assert await customer.meets(TicketStatusAction()) == responses


async def test_the_progress_of_an_invoice(mall: None) -> None:
    request = InvoiceRequest(order_id=DELIVERED, kind=InvoiceKind.PERSONAL, title="个人", tax_number=None, email=None)
    invoice = await (await malls.get_mall()).request_invoice("web:ann", request, idempotency_key="k")
    written = {"flow": "request_invoice", "id": invoice.id, "order": DELIVERED, "turn": 1}
    customer = Customer("ticket_status", focus={"written": written, "order": {"id": DELIVERED, "turn": 1}})
    customer.says("查到了吗", acts=("question", "progress"))
    assert await customer.meets(TicketStatusAction()) == ["utter_invoice_progress"]
    assert invoice.id in customer.text()


# ---- whose order it is


async def test_an_unknown_customer_is_asked(mall: None) -> None:
    customer = await ask("track_parcel", sender="web:guest")
    assert customer.told == []
    assert customer.slots["missing"] == "order_id"
    assert await customer.meets(AskOrderId()) == ["utter_ask_order_id"]
    assert [button["payload"] for button in customer.told[0]["buttons"]] == ["/bind_account"]


async def test_a_flow_that_a_stop_began_can_ask_for_its_order(mall: None) -> None:
    customer = Customer("cancel_ticket", "web:guest").says("先别退了", intent="stop")
    customer.frame["intent"] = "stop"
    assert await customer.meets(AskOrderId()) == ["utter_ask_order_id"]
    assert customer.told[0]["wish"] == "撤销售后"


async def test_a_bound_customer_chooses_from_a_list(mall: None) -> None:
    customer = Customer("request_invoice").says("开发票")
    assert await customer.meets(AskOrderId()) == ["utter_ask_order_id_choose"]
    assert customer.text().count("\n") == 4
    assert f"1. {FRYER}" in customer.text()
    customer.says("那个面霜").slots["problem"] = {"slot": "order_id", "name": "order_not_among", "detail": "面霜"}
    assert await customer.meets(AskOrderId()) == ["utter_order_not_among"]
    assert customer.text().startswith("您这边没有面霜的订单")


@pytest.mark.parametrize(
    ("text", "named", "problem"),
    [
        ("那个面霜", {"category": ("面霜", "面霜")}, {"slot": "order_id", "name": "order_not_among", "detail": "面霜"}),
        ("苏州的", {}, {"slot": "order_id", "name": "unusable", "detail": ""}),
        ("跑步鞋那个", {"category": ("跑步鞋", "跑步鞋")}, None),  # of two such orders neither is missing
    ],
)
async def test_only_goods_that_were_named_are_said_to_be_missing(
    mall: None, text: str, named: dict[str, Any], problem: dict[str, str] | None
) -> None:
    customer = Customer("request_invoice").says(text, **named)
    slots = await customer.hears(InvoiceValidation(), order_id={"words": text})
    assert slots["order_id"] is None
    assert slots["problem"] == problem


async def test_a_wish_for_goods_that_were_not_bought_takes_no_other_order(mall: None) -> None:
    customer = Customer("request_invoice", focus={"order": {"id": DELIVERED, "turn": 1}})
    slots = await customer.says("面霜的发票", category=("面霜", "面霜")).hears(InvoiceValidation())
    assert (slots["order_id"], slots["proposal"]) == (None, None)
    assert await customer.meets(AskOrderId()) == ["utter_ask_order_id_not_bought"]
    assert customer.text().startswith("您名下没看到面霜的订单")


async def test_a_member_without_orders_is_not_shown_an_empty_list(mall: None) -> None:
    customer = Customer("request_invoice", "web:ben").says("开发票")
    assert await customer.meets(AskOrderId()) == ["utter_ask_order_id_none"]


async def test_number_and_tail_answer_at_once(mall: None) -> None:
    customer = await ask("track_parcel", f"{TRAVELLING} 5678", sender="web:guest")
    assert said(customer) == ["utter_parcel_shipped"]


async def test_a_number_then_its_tail(mall: None) -> None:
    customer = await ask("track_parcel", TRAVELLING, sender="web:guest")
    assert (customer.slots["missing"], customer.slots["order_id"]) == ("phone_tail", TRAVELLING)
    assert await customer.meets(AskPhoneTail()) == ["utter_ask_phone_tail"]
    customer.slots.update(missing=None, phone_tail="1111")
    await customer.says("1111").meets(ACTIONS["track_parcel"])
    assert customer.slots["missing"] == "phone_tail"
    assert customer.slots["phone_tail"] is None
    assert await customer.meets(AskPhoneTail()) == ["utter_wrong_phone_tail"]
    assert "还能再试 4 次" in customer.text()
    customer.slots.update(missing=None, phone_tail="5678")
    assert await customer.says("5678").meets(ACTIONS["track_parcel"]) == ["utter_parcel_shipped"]


@pytest.mark.parametrize(
    ("sender", "asked"), [("web:ben", "utter_ask_phone_tail_bound"), ("web:guest", "utter_ask_phone_tail")]
)
async def test_a_number_of_nobodys_is_asked_about_like_somebody_elses(mall: None, sender: str, asked: str) -> None:
    heard = []
    for order_id in ("ORD99999", DELIVERED):
        customer = await ask("order_status", order_id, sender=sender)
        assert customer.slots["missing"] == "phone_tail"
        assert await customer.meets(AskPhoneTail()) == [asked]
        asking = customer.text().replace(order_id, "")
        customer.slots.update(missing=None, phone_tail="1111")
        await customer.says("1111").meets(ACTIONS["order_status"])
        assert customer.slots["missing"] == "phone_tail"
        assert await customer.meets(AskPhoneTail()) == ["utter_wrong_phone_tail"]
        heard.append((asking, customer.text().replace(order_id, ""), customer.told[0].get("buttons")))
    assert heard[0] == heard[1]
    assert "还能再试 4 次" in heard[0][1]


async def test_a_member_who_slips_has_their_own_orders_beside_the_question(mall: None) -> None:
    customer = await ask("order_status", "ORD99999")
    assert await customer.meets(AskPhoneTail()) == ["utter_ask_phone_tail_bound"]
    assert "抄错" in customer.text()
    assert PRESALE in customer.told[0]["buttons"][0]["payload"]


async def test_what_is_locked_says_so_until_when_and_how_its_owner_gets_on(mall: None) -> None:
    for n in range(10):
        await ask("order_status", f"{DELIVERED} 尾号000{n}", sender=f"web:guesser{n}")
    customer = await ask("order_status", f"{DELIVERED} 尾号5678", sender="web:guest")
    assert customer.slots["missing"] == "order_id"
    assert await customer.meets(AskOrderId()) == ["utter_order_locked"]
    for words in ("不一定是您", "锁到", "完整手机号绑定会员", "请同事"):
        assert words in customer.text()
    assert [one["payload"] for one in customer.told[0]["buttons"]] == ["/bind_account", "/human_handoff"]
    customer = await ask("order_status", f"{DELIVERED} 手机号{PHONE}", sender="web:owner")
    assert said(customer) == ["utter_order_delivered"]  # the whole phone opens what is locked for tails


async def test_wrong_tails_of_one_address_are_counted_together(mall: None) -> None:
    """Each of another sender at another number."""
    limit = ProofLimits.load().of(Proof.TAIL)["address"].tries
    for n in range(limit):
        await ask("order_status", f"ORD77{n:05} 尾号0000", sender=f"web:{n}", address="a1")
    customer = await ask("order_status", f"{DELIVERED} 尾号5678", sender="web:guest", address="a1")
    assert await customer.meets(AskOrderId()) == ["utter_order_locked"]
    elsewhere = await ask("order_status", f"{DELIVERED} 尾号5678", sender="web:guest", address="a2")
    assert said(elsewhere) == ["utter_order_delivered"]


@pytest.mark.parametrize(
    "words",
    [
        "这是我朋友的订单 {} 尾号5678",
        "帮同事查一下 {} 尾号5678",
        "{} 尾号5678 是我邻居下的单",
        "my friend's order {} 5678",
    ],
)
async def test_what_is_somebody_elses_by_their_own_words_is_not_shown(mall: None, words: str) -> None:
    for order_id in (DELIVERED, "ORD99999"):
        customer = await ask("order_status", words.format(order_id), sender="web:guest")
        assert said(customer) == ["utter_order_of_another"]
        assert "本人" in customer.text()
        assert customer.slots["missing"] is None
    # who is bound to it buys for friends, and who only says a number and a tail is believed
    assert said(await ask("order_status", words.format(DELIVERED))) == ["utter_order_delivered"]
    plain = await ask("order_status", f"{DELIVERED} 尾号5678", sender="web:guest")
    assert said(plain) == ["utter_order_delivered"]


async def test_a_member_without_orders(mall: None) -> None:
    customer = await ask("order_status", sender="web:ben")
    assert said(customer) == ["utter_no_orders"]
    assert customer.slots["missing"] is None


def test_nobody_who_is_known_is_asked_for_a_number() -> None:
    for name in ("utter_ask_order_id_choose", "utter_ask_order_id_propose", "utter_order_not_among"):
        for response in (name, f"{name}_again", f"{name}_third"):
            for variant in DOMAIN["responses"].get(response, ()):
                assert not ("订单号" in variant["text"] and "提供" in variant["text"])


def test_no_example_in_a_question_is_an_answer() -> None:
    digits = set("0123456789")
    for name, variants in DOMAIN["responses"].items():
        if name.startswith(("utter_ask_order_id", "utter_ask_phone_tail", "utter_wrong_phone_tail", "utter_order_not")):
            for variant in variants:
                assert not digits & set(variant["text"]), variant["text"]


# ---- another worry


async def test_a_worry_about_something_else_asks_for_no_order(mall: None) -> None:
    customer = await ask("worry_delivery", "我好担心买贵了", sender="web:guest", topic="price_promo")
    assert said(customer) == ["utter_worry_other"]
    assert customer.slots["missing"] is None


# ---- the words that describe an order


def bought(*names: str) -> list[Order]:
    return [
        Order(
            f"ORD{at}",
            OrderStatus.PAID,
            NOW,
            9900,
            None,
            None,
            (OrderLine(str(at), name, name, name, "黑色 12 号 X10", name, 1, 9900, 1, ()),),
            (),
        )
        for at, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("我的空气炸锅", ["ORD0"]),
        ("那台X10", ["ORD0", "ORD1"]),
        ("不用了", []),
        ("12号下的单", []),
        ("on the way?", []),
        ("我的快递到哪了", []),
    ],
)
def test_words_of_talk_describe_no_goods(text: str, meant: list[str]) -> None:
    orders = bought("空气炸锅 不用翻面", "Python 入门课")
    turn = Turn(text, "inform", 0.9, {}, {}, text, "m1", spans=tuple(entities(text)))
    assert [order.id for order in meant_by_words(turn, orders)] == meant


@pytest.mark.parametrize(
    ("text", "age", "meant"),
    [
        ("我刚下的单 抓紧发吧", timedelta(hours=1), ["ORD1"]),
        ("刚拍的什么时候发", timedelta(hours=30), ["ORD1"]),
        ("我刚下的单 抓紧发吧", timedelta(days=3), []),
        ("快发货吧", timedelta(hours=1), []),
    ],
)
def test_the_newest_order_is_the_one_just_placed(text: str, age: timedelta, meant: list[str]) -> None:
    now = datetime.now(UTC)
    older, newest = bought("面霜", "跑鞋")
    orders = [replace(newest, placed_at=now - age), replace(older, placed_at=now - timedelta(days=9))]
    turn = Turn(text, "urge_shipment", 0.9, {}, {}, text, "m1")
    assert [order.id for order in meant_by_words(turn, orders)] == meant


def in_turn(text: str, *acts: str, **more: tuple[str, Any]) -> Turn:
    spans = entities(text, **more)
    named: dict[str, list[Any]] = {}
    for one in spans:
        named.setdefault(one["entity"], []).append(one["value"])
    return Turn(text, "inform", 0.9, {}, named, text, "m1", acts=frozenset(acts), spans=tuple(spans))


def at_all_stages() -> list[Order]:
    """Paid, on presale, on its way; come yesterday, come today."""
    now = datetime.now(UTC)
    fryer, robot, nuts, shirt, shoes = bought("空气炸锅", "扫拖机器人", "坚果", "T恤", "跑鞋")
    return [
        replace(fryer, total_cents=19900),
        replace(robot, status=OrderStatus.PRESALE, total_cents=329900),
        replace(nuts, status=OrderStatus.SHIPPED, total_cents=10900),
        replace(shirt, status=OrderStatus.DELIVERED, delivered_at=now - timedelta(days=1), total_cents=8900),
        replace(shoes, status=OrderStatus.DELIVERED, delivered_at=now - timedelta(minutes=1), total_cents=39900),
    ]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("没发货那个取消", ["ORD0", "ORD1"]),
        ("预售的什么时候发", ["ORD1"]),
        ("没收到那个怎么弄", ["ORD0", "ORD1", "ORD2"]),
        ("刚签收的那单盒子压扁了", ["ORD4"]),
        ("最便宜的那单退了吧", ["ORD3"]),
        ("最贵那个开发票", ["ORD1"]),
        ("三千多那单到哪了", ["ORD1"]),
        ("399块那单", ["ORD4"]),
        ("T恤 不是跑鞋", ["ORD3"]),
        ("怎么还没发货", []),
        ("最便宜的是哪款", []),
    ],
)
def test_orders_are_told_by_how_far_they_are_and_what_they_cost(text: str, meant: list[str]) -> None:
    turn = in_turn(text)
    assert [order.id for order in meant_by_words(turn, at_all_stages())] == meant


def test_a_day_is_that_on_which_it_came_where_the_words_say_so() -> None:
    turn = in_turn("昨天到的那个坏了", day=("昨天", "1"))
    assert [order.id for order in meant_by_words(turn, at_all_stages())] == ["ORD3"]
    assert describes_one(turn)
    assert not describes_one(in_turn("坏了"))


@pytest.mark.parametrize(
    ("text", "acts", "kinds", "meant"),
    [
        ("我要退两个 一个是鞋一个是坚果", (), {"goods_kind": ("鞋", "鞋")}, ["ORD4", "ORD2"]),
        ("坚果和T恤都退", (), {}, ["ORD2", "ORD3"]),
        ("坚果、空气炸锅", (), {}, ["ORD2", "ORD0"]),
        ("坚果和T恤哪个先到", ("question",), {}, []),
        ("坚果跟图片不一样", (), {}, []),
        ("两单都退", (), {}, []),
    ],
)
def test_orders_that_are_named_side_by_side(
    text: str, acts: tuple[str, ...], kinds: dict[str, tuple[str, Any]], meant: list[str]
) -> None:
    turn = in_turn(text, *acts, **kinds)
    assert [order.id for order in named_side_by_side(turn, at_all_stages())] == meant


# ---- coupons


async def test_coupons(session: AsyncSession) -> None:
    add_orders(session)
    await session.commit()
    customer = Customer("my_coupons", "web:guest").says("我的券")
    assert await customer.meets(MyCoupons()) == []
    assert customer.slots["missing"] == "binding"
    customer = Customer("my_coupons").says("我的券")
    assert await customer.meets(MyCoupons()) == ["utter_no_coupons"]
    mall = await malls.get_mall()
    await mall.grant_coupon("web:ann", "满减券", 5000, 39900, 30, "k1")
    await mall.grant_coupon("web:ann", "补偿券", 1000, 0, 30, "k2")
    assert await customer.meets(MyCoupons()) == ["utter_coupons"]
    assert "满 ¥399 减 ¥50" in customer.text()
    assert "减 ¥10，不限金额" in customer.text()


# ---- what an order says beside where it stands


def test_every_fact_that_trainers_name_is_told() -> None:
    named = yaml.safe_load((settings.ROOT / "bot/data/lookups/order_fact.yml").read_text("utf-8"))
    assert set(named) == set(order_record._TOLD)


async def test_a_fact_that_nobody_knows_is_no_fault(mall: None) -> None:
    customer = Customer("order_status", focus={"order": {"id": TRAVELLING, "turn": 1}})
    await customer.says("/order_status", order_fact=("order_status", "everything")).meets(OrderStatusAction())
    assert said(customer) == ["utter_order_shipped"]
