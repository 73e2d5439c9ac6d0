"""What is asked about what was just told: a refund that is done, an invoice, a price, the queue for a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions import graphs, malls
from bot.actions.handoff import AskForPerson, WhileWaiting
from bot.actions.house import Cancelled, Farewell, NothingToCancel
from bot.actions.invoices import AboutInvoice, InvoiceValidation
from bot.actions.order_choice import AskOrderId
from bot.actions.order_words import meant_by_words
from bot.actions.parcels import TrackParcel
from bot.actions.price_protection import AboutPrice
from bot.actions.request_questions import AboutRequest
from bot.actions.ticket_progress import TicketStatusAction
from bot.actions.turn import Turn
from knowledge_graph import Answering
from mall_adapter import Desk, SqlMall, models
from mall_adapter.values import (
    InvoiceKind,
    InvoiceRequest,
    OrderStatus,
    Reason,
    TicketKind,
    TicketRequest,
    TicketStatus,
)
from settings import SHANGHAI
from storage import WRITES, create_engine, migrate
from tests.bot.actions.asking import FRYER, ORDERS, SHOES, Customer, add_orders, an_order
from tests.bot.actions.said import Said, answer, at_hand, frame
from tests.mall_adapter.goods import empty
from tests.mall_adapter.offices import advance_ticket

DELIVERED, LOST = ORDERS[0][0], ORDERS[2][0]
LAST_YEAR = datetime.now(UTC) - timedelta(days=370)


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/matters.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def session(address: str, learned: Answering, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncSession]:
    """Of a mall with Ann's orders, beside which the shop's answers are at hand."""
    engine = create_engine(address)
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    monkeypatch.setattr(malls._desk, "room", Desk(engine, (time.min, time.max)))
    monkeypatch.setattr(graphs, "_answering", learned)
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        async with session.begin():
            await empty(session)
            add_orders(session)
        yield session
    await engine.dispose()


@pytest.fixture
async def mall(session: AsyncSession) -> SqlMall:
    mall = await malls.get_mall()
    assert isinstance(mall, SqlMall)
    return mall


@pytest.fixture
async def refunded(mall: SqlMall, session: AsyncSession) -> str:
    """The ticket of a lost parcel whose money went back more than a year ago."""
    request = TicketRequest(LOST, TicketKind.REFUND, Reason.LATE_DELIVERY)
    ticket = await mall.create_ticket("web:ann", request, "lost")
    if ticket.status is TicketStatus.OPEN:
        ticket = await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", "approved")
    ticket = await advance_ticket(mall, ticket.id, TicketStatus.REFUNDED, "operator", "", "paid")
    ticket = await advance_ticket(mall, ticket.id, TicketStatus.CLOSED, "operator", "", "closed")
    async with session.begin():
        await session.execute(update(models.TicketEvent).values(time=LAST_YEAR))
    return ticket.id


async def told(refunded: str) -> Customer:
    customer = Customer("track_parcel", focus={"order": {"id": LOST, "turn": 0}})
    assert await customer.says("到现在都没送来").meets(TrackParcel()) == ["utter_ticket_refunded_undelivered"]
    assert f"{LAST_YEAR.astimezone(SHANGHAI):%Y}年" in customer.text()
    return customer


async def test_a_refund_that_is_done_is_told_once_and_then_asked_about(refunded: str) -> None:
    customer = await told(refunded)
    about = AboutRequest()
    asked = await customer.says("退到微信还是银行卡", acts=("of_account", "question")).meets(about)
    assert asked == ["utter_settled_account", "utter_further_offer"]
    assert await customer.says("哪一年的", acts=("of_year", "question")).meets(about) == ["utter_settled_year"]
    assert f"{LAST_YEAR.astimezone(SHANGHAI):%Y}年" in customer.text()
    asked = await customer.says("也没人告诉我", acts=("of_notice",)).meets(about)
    assert asked == ["utter_settled_notice", "utter_further_offer"]
    asked = await customer.says("我没看到钱", acts=("of_arrival",)).meets(about)
    assert asked[:2] == ["utter_settled_arrival", "utter_further_call"] and len(asked) == 3
    asked = await customer.says("到底退哪了", acts=("of_account",)).meets(about)
    assert asked == ["utter_settled_account", "utter_further_waiting"]


async def test_the_same_record_is_not_told_again(refunded: str) -> None:
    customer = await told(refunded)
    again = await customer.says("那进度怎么样了", intent="ticket_status").meets(TicketStatusAction())
    assert again == ["utter_ticket_refunded_told", "utter_further_offer"]
    again = await customer.says("到底送到哪了").meets(TrackParcel())
    assert again == ["utter_ticket_refunded_told", "utter_further_offer"]


async def test_the_year_of_an_order(mall: SqlMall) -> None:
    customer = Customer("order_status", focus={"order": {"id": DELIVERED, "turn": 1}, "told": {"id": DELIVERED}})
    asked = await customer.says("哪一年下的单", acts=("of_year", "question")).meets(AboutRequest())
    assert asked == ["utter_about_year_of_order"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("去年{month}月那单到哪了", True),
        ("我去年买的炸锅", True),
        ("今年买的炸锅", False),
        ("去年的新款有吗", False),
    ],
)
async def test_the_month_in_which_it_was_bought(mall: SqlMall, session: AsyncSession, words: str, found: bool) -> None:
    old = datetime.now(SHANGHAI).replace(year=datetime.now(SHANGHAI).year - 1, month=5, day=8)
    async with session.begin():
        session.add(an_order("ORD20000000001", FRYER, OrderStatus.SHIPPED, old, parcel="lost"))
    orders = await mall.orders_of("web:ann", limit=20)
    text = words.format(month=5)
    event = {"message_id": "m1"}
    turn = Turn._read({"text": text, "intent": {"name": "track_parcel", "confidence": 0.9}}, event)
    assert ([order.id for order in meant_by_words(turn, orders)] == ["ORD20000000001"]) is found


# ---- invoices


@pytest.mark.parametrize(("email", "response"), [("a@b.cn", "to"), (None, "page")])
async def test_when_and_where_an_invoice_comes(mall: SqlMall, email: str | None, response: str) -> None:
    request = InvoiceRequest(DELIVERED, InvoiceKind.PERSONAL, "个人", email=email)
    await mall.request_invoice("web:ann", request, f"invoice {email}")
    told: Said = await answer(
        AboutInvoice(), "多久能好 发到哪", sender="web:ann", focus=at_hand(invoice=DELIVERED), order_id=None
    )
    assert told.responses == [f"utter_invoice_comes_{response}"]
    assert (email or DELIVERED) in told.text


async def test_where_it_comes_while_it_is_asked_for(mall: SqlMall) -> None:
    told = await answer(AboutInvoice(), "发到哪里", stack=[frame("request_invoice")], sender="web:ann")
    assert told.responses == ["utter_invoice_comes_unsent"]


@pytest.mark.parametrize(
    ("words", "acts", "kind", "problem"),
    [
        ("那开个人的吧", (), "personal", None),
        ("唔好公司啦 改開個人", (), "personal", None),
        ("税号手头没有", ("lost",), "company", "tax_number_none"),
        ("不填行不行", ("lost", "question"), "company", "tax_number_none"),
        ("没税号就开个人的好了", ("lost",), "personal", None),
    ],
)
async def test_a_company_without_its_number(
    mall: SqlMall, words: str, acts: tuple[str, ...], kind: str, problem: str | None
) -> None:
    known = {"order_id": DELIVERED, "proved": DELIVERED, "invoice_kind": "company", "invoice_title": "青禾文具有限公司"}
    customer = Customer("request_invoice", **known)
    customer.frame["asked"] = "tax_number"
    slots = await customer.says(words, acts=acts).hears(InvoiceValidation())
    assert slots["invoice_kind"] == kind
    assert (slots.get("problem") or {}).get("name") == problem


# ---- prices


@pytest.mark.parametrize(
    ("price", "age", "text", "response"),
    [
        (9900, 3, "现在多少钱", "same_in_time"),
        (8900, 3, "我室友用券买便宜20 算不算", "lower_in_time"),
        (8900, 20, "现在什么价", "lower_too_late"),
        (9900, 20, "页面多少", "same_too_late"),
    ],
)
async def test_the_price_today_beside_what_was_paid(
    session: AsyncSession, price: int, age: int, text: str, response: str
) -> None:
    async with session.begin():
        await session.execute(update(models.Price).where(models.Price.sku_id == SHOES).values(cents=price))
        placed = datetime.now(UTC) - timedelta(days=age)
        await session.execute(
            update(models.Order).where(models.Order.id == DELIVERED).values(placed_at=placed, paid_at=placed)
        )
    told = await answer(AboutPrice(), text, "ask_price", sender="web:ann", focus=at_hand(order=DELIVERED))
    assert told.responses == [f"utter_price_{response}"]
    assert "¥99" in told.text and (price == 9900 or "¥89" in told.text)
    assert ("不算" in told.text) is ("券" in text)


@pytest.mark.parametrize(
    ("price", "age", "text", "response", "verdict"),
    [
        (9900, 3, "能补不能补", "same_in_time", "没降"),
        (8900, 3, "一句话补还是不补", "lower_in_time", "补"),
        (8900, 20, "那就是不给补呗", "lower_too_late", "补"),
        (9900, 20, "到底降没降", "same_too_late", "补"),
    ],
)
async def test_a_plain_verdict_comes_first(
    session: AsyncSession, price: int, age: int, text: str, response: str, verdict: str
) -> None:
    async with session.begin():
        await session.execute(update(models.Price).where(models.Price.sku_id == SHOES).values(cents=price))
        placed = datetime.now(UTC) - timedelta(days=age)
        await session.execute(
            update(models.Order).where(models.Order.id == DELIVERED).values(placed_at=placed, paid_at=placed)
        )
    told = await answer(AboutPrice(), text, "ask_price", sender="web:ann", focus=at_hand(order=DELIVERED))
    assert told.responses == [f"utter_verdict_{response}"]
    assert verdict in told.text.splitlines()[0] and "¥99" in told.text


# ---- the money of an order that was cancelled


@pytest.mark.parametrize(
    ("text", "age", "told"),
    [
        ("取消的那单钱退了没", 0, "怎么算也要到"),
        ("空气炸锅那单取消了 退没退", 1, "原路"),
        ("取消了的单子退款到哪了", 20, "满 3 个工作日"),
        ("取消的话钱几天退", 20, None),
        ("取消的那单钱退了没", 90, None),
        ("空气炸锅那单取消了 退没退", 90, "满 3 个工作日"),
    ],
)
async def test_the_money_of_the_order_that_was_cancelled(
    mall: SqlMall, session: AsyncSession, text: str, age: int, told: str | None
) -> None:
    number = "ORD77712399001"
    async with session.begin():
        placed = datetime.now(UTC) - timedelta(days=age)
        session.add(an_order(number, FRYER, OrderStatus.CANCELLED, placed))
    said = await answer(TicketStatusAction(), text, "ticket_status", sender="web:ann")
    assert (said.responses == ["utter_order_cancelled"]) is (told is not None), said.responses
    if told:
        assert told in said.text and "¥99" in said.text


# ---- after a ticket was written


@pytest.mark.parametrize(
    ("text", "act", "response"),
    [
        ("寄完单号填哪个页面", "of_place", "utter_about_number"),
        ("退货寄到哪", "of_place", "utter_about_place"),
        ("8号前来不及寄到会不会就退不了", "of_day", "utter_about_sent_late"),
        ("钱什么时候到", "of_day", "utter_about_day_after_goods"),
    ],
)
async def test_how_goods_that_go_back_are_told_of(mall: SqlMall, text: str, act: str, response: str) -> None:
    request = TicketRequest(DELIVERED, TicketKind.RETURN, Reason.CHANGED_MIND, opened=False)
    ticket = await mall.create_ticket("web:ann", request, "numbered")
    told = await answer(
        AboutRequest(), text, "ask_policy", sender="web:ann", acts=(act, "question"), focus=at_hand(ticket=ticket.id)
    )
    assert told.responses == [response]


# ---- the queue for a person


async def test_who_is_taken_out_of_the_queue_is_remembered(mall: SqlMall) -> None:
    await answer(AskForPerson(), "转人工", "human_handoff", sender="web:ann")
    for acts, response in (
        (("of_record", "question"), "utter_on_record"),
        (("of_reading", "question"), "utter_seen_by_person"),
        (("of_call", "question"), "utter_no_call"),
        (("stays",), "utter_place_stays"),
    ):
        told = await answer(WhileWaiting(), "…", sender="web:ann", acts=acts, queued=True)
        assert told.responses == [response]
    leaving = await answer(Farewell(), "拜拜", "goodbye", sender="web:ann", stack=[frame("pattern_goodbye")])
    assert leaving.responses == ["utter_goodbye_waiting"]
    gone = await answer(NothingToCancel(), "不等了", "stop", sender="web:ann")
    assert gone.responses == ["utter_handoff_withdrawn"]
    assert gone.slots["queued"] is None and gone.focus["withdrew"]


@pytest.mark.parametrize(
    ("flow", "way", "response"),
    [
        ("cancel_ticket", "goodbye", "utter_goodbye_kept"),
        ("cancel_order", "leave", "utter_leave_kept"),
        ("cancel_ticket", "thank", "utter_thank_kept"),
        ("after_sales", "goodbye", "utter_goodbye_unsent"),
    ],
)
async def test_what_is_not_taken_back_is_not_unsent(mall: SqlMall, flow: str, way: str, response: str) -> None:
    beneath = frame(flow, status="parked", asks={"confirmed": 1})
    told = await answer(Farewell(), "…", stack=[beneath, frame(f"pattern_{way}_unsent")], sender="web:ann")
    assert told.responses == [response]


@pytest.mark.parametrize(("flow", "response"), [("cancel_ticket", "utter_kept"), ("after_sales", "utter_cancelled")])
async def test_a_stop_at_the_summary_of_taking_back_keeps_all(mall: SqlMall, flow: str, response: str) -> None:
    state = {"turn": 3, "attempt": 1, "stack": [], "ended": {"flow": flow, "intent": flow, "turn": 3}}
    told = await answer(Cancelled(), "先不撤了", "stop", sender="web:ann", dialogue=state)
    assert told.responses == [response]


# ---- a story of what was bought


@pytest.mark.parametrize(
    ("text", "response"),
    [("去年买的冰箱到现在没送来", "utter_ask_order_id_waited"), ("我的快递到哪了", "utter_ask_order_id")],
)
async def test_a_stranger_who_waits_is_asked_warmly(mall: SqlMall, text: str, response: str) -> None:
    customer = Customer("track_parcel", "web:guest")
    assert await customer.says(text, intent="track_parcel").meets(AskOrderId()) == [response]
