"""The back office's lists: what waits, how it is found, page by page, and for whom."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain, product

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models, people
from mall_adapter.errors import InvalidCursor, NotFound, NotPermitted
from mall_adapter.facts import Trade
from mall_adapter.ticket_steps import state_machine
from mall_adapter.values import (
    FreightPayer,
    OrderFilter,
    OrderQueue,
    Page,
    Reason,
    Ticket,
    TicketFilter,
    TicketKind,
    TicketQueue,
    TicketRequest,
    TicketStatus,
)
from mall_adapter.worklists import LARGEST_PAGE, ticket_queues
from privacy import current_ring
from privacy.conversations import conversation_of
from privacy.tables import conversation_event
from storage import WRITES, Actor, Role
from tests.mall_adapter.offices import OPERATOR, advance_ticket, office

from .conftest import NOW, Clock

SUPPLIER = Actor(Role.SUPPLIER, "P-s1", supplier_id="S1")
OTHER = Actor(Role.SUPPLIER, "P-s2", supplier_id="S2")

DISLIKED = TicketRequest("ORD10001", TicketKind.RETURN, Reason.DISLIKE, opened=False, note="颜色不喜欢")
BROKEN = TicketRequest("ORD10002", TicketKind.REFUND, Reason.DAMAGED, ("ORD10002-1",), note="鞋底裂了")
UNSENT = TicketRequest("ORD10003", TicketKind.REFUND, Reason.CHANGED_MIND, ("ORD10003-2",))


@pytest.fixture
async def three(mall: SqlMall, clock: Clock, engine: AsyncEngine) -> list[str]:
    """Numbers of tickets: one whose goods come back, one that a person has to look at, one to be paid back."""
    made = []
    for request in (DISLIKED, BROKEN, UNSENT):
        clock.advance(minutes=1)
        made.append((await mall.create_ticket("web:zhou", request, request.order_id)).id)
    return made


async def write(engine: AsyncEngine, *statements: object) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for statement in statements:
            await session.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
async def sent_by(engine: AsyncEngine) -> None:
    """S1 sends everything but the lipstick of ORD10003, which is S2's."""
    supplier = {"id": "S2", "name": "花间美妆", "trade": Trade.BEAUTY, "region": "310000"}
    warehouse = {"id": "W-S2", "supplier_id": "S2", "region": "310000", "name": "上海仓"}
    theirs = {"id": "ORD10003-F2", "order_id": "ORD10003", "supplier_id": "S2", "warehouse_id": "W-S2"}
    await write(
        engine,
        insert(models.Supplier).values(supplier),
        insert(models.Warehouse).values(warehouse),
        update(models.Product).where(models.Product.id == "P2").values(supplier_id="S2"),
        insert(models.Fulfilment).values(theirs),
        update(models.OrderLine).where(models.OrderLine.id == "ORD10003-2").values(fulfilment_id="ORD10003-F2"),
    )


def ids(page: Page[Ticket]) -> list[str]:
    return [each.id for each in page.items]


async def test_what_a_ticket_waits_for(mall: SqlMall, three: list[str], clock: Clock) -> None:
    back, look, pay = three
    desk = office(mall)
    for queue, waits in ((TicketQueue.GOODS, back), (TicketQueue.APPROVAL, look), (TicketQueue.SETTLEMENT, pay)):
        assert ids(await desk.tickets(OPERATOR, TicketFilter(queue))) == [waits]
    assert dict((await desk.waiting(OPERATOR)).tickets) == dict.fromkeys(TicketQueue, 1)

    await advance_ticket(mall, back, TicketStatus.GOODS_RECEIVED, "operator", "", "r")
    assert ids(await desk.tickets(OPERATOR, TicketFilter(TicketQueue.SETTLEMENT))) == [back, pay]
    await advance_ticket(mall, back, TicketStatus.REFUNDED, "operator", "", "p")
    await advance_ticket(mall, look, TicketStatus.REJECTED, "operator", "看不出裂痕", "n")
    assert ids(await desk.tickets(OPERATOR, TicketFilter(TicketQueue.SETTLEMENT))) == [pay]
    assert (await desk.waiting(OPERATOR)).tickets == {"approval": 0, "goods": 0, "settlement": 1}


async def test_the_queues_are_those_of_the_state_machine(mall: SqlMall, three: list[str], engine: AsyncEngine) -> None:
    """Whatever kind, freight and state a ticket has: it waits where a step of the machine leads on from, or nowhere."""
    leads = {
        TicketQueue.APPROVAL: {TicketStatus.APPROVED},
        TicketQueue.GOODS: {TicketStatus.GOODS_RECEIVED},
        TicketQueue.SETTLEMENT: {TicketStatus.REFUNDED, TicketStatus.EXCHANGED},
    }
    ticket, theirs = models.Ticket, models.Ticket.id == three[0]
    for kind, payer in product(TicketKind, FreightPayer):
        machine = state_machine(kind, payer)
        for status in {*machine, *chain.from_iterable(machine.values())}:
            await write(engine, update(ticket).where(theirs).values(kind=kind, freight_payer=payer, status=status))
            async with AsyncSession(engine) as session:
                queues = {
                    queue
                    for queue, condition in ticket_queues().items()
                    if await session.scalar(select(ticket.id).where(theirs, condition))
                }
            steps = machine.get(status, set())
            assert queues == {queue for queue, to in leads.items() if steps & to}, (kind, payer, status)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TicketFilter(), "012"),
        (TicketFilter(newest_first=True), "210"),
        (TicketFilter(kind=TicketKind.REFUND), "12"),
        (TicketFilter(kind=TicketKind.REFUND, reason=Reason.DAMAGED), "1"),
        (TicketFilter(reason=Reason.WRONG_SIZE), ""),
        (TicketFilter(supplier_id="S2"), "2"),
        (TicketFilter(supplier_id="S1"), "01"),
        (TicketFilter(text="ord10002"), "1"),
        (TicketFilter(text=" ＯＲＤ１０００２ "), "1"),
        (TicketFilter(text="1000"), "012"),
        (TicketFilter(text="RT260311"), "012"),
        (TicketFilter(text="138 0000 5678"), "012"),
        (TicketFilter(text="13900004321"), ""),
        (TicketFilter(text="%"), ""),
        (TicketFilter(text="_"), ""),
        (TicketFilter(text="' OR 1=1 --"), ""),
        (TicketFilter(waiting_days=1), ""),
    ],
)
async def test_tickets_are_found(
    mall: SqlMall, three: list[str], sent_by: None, wanted: TicketFilter, found: str
) -> None:
    page = await office(mall).tickets(OPERATOR, wanted)
    assert ids(page) == [three[int(place)] for place in found]
    assert page.next is None


async def test_what_is_overdue_or_old(mall: SqlMall, three: list[str], clock: Clock) -> None:
    desk, late = office(mall), TicketFilter(overdue=True)
    assert ids(await desk.tickets(OPERATOR, late)) == []
    clock.advance(days=20)
    assert ids(await desk.tickets(OPERATOR, late)) == three
    assert ids(await desk.tickets(OPERATOR, TicketFilter(waiting_days=7))) == three
    await advance_ticket(mall, three[2], TicketStatus.REFUNDED, "operator", "", "p")
    assert ids(await desk.tickets(OPERATOR, late)) == three[:2]  # what is settled is late no more


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_follow_each_other_though_rows_come_and_go(
    mall: SqlMall, three: list[str], clock: Clock, newest_first: bool
) -> None:
    desk = office(mall)
    order = three[::-1] if newest_first else three
    wanted = TicketFilter(newest_first=newest_first)
    first = await desk.tickets(OPERATOR, wanted, None, 1)
    assert (ids(first), first.next is None) == (order[:1], False)
    clock.advance(minutes=1)
    later = await mall.create_ticket(
        "web:zhou", TicketRequest("ORD10002", TicketKind.EXCHANGE, Reason.QUALITY, ("ORD10002-2",), opened=False), "k"
    )
    second = await desk.tickets(OPERATOR, wanted, first.next, 1)
    third = await desk.tickets(OPERATOR, wanted, second.next, 1)
    assert ids(second) + ids(third) == order[1:]
    rest = await desk.tickets(OPERATOR, wanted, third.next, 1) if third.next else None
    assert (ids(rest) if rest else []) == ([] if newest_first else [later.id])


@pytest.mark.parametrize(
    "cursor", ["", "x", "W10=", "eyJhIjoxfQ==", "WyIyMDI2LTAzLTExIiwgIlJUMSJd", "é", "W251bGwsIDFd"]
)
async def test_a_cursor_that_nobody_gave_is_refused(mall: SqlMall, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await office(mall).tickets(OPERATOR, TicketFilter(), cursor)
    with pytest.raises(InvalidCursor):
        await office(mall).orders(OPERATOR, OrderFilter(), cursor)


async def test_a_page_has_an_end(mall: SqlMall, three: list[str]) -> None:
    assert LARGEST_PAGE == 200
    assert len((await office(mall).tickets(OPERATOR, TicketFilter(), None, 10**9)).items) == 3
    assert len((await office(mall).tickets(OPERATOR, TicketFilter(), None, 0)).items) == 1


async def test_a_case_has_what_is_needed_to_decide(mall: SqlMall, three: list[str]) -> None:
    case = await office(mall).ticket(OPERATOR, three[1])
    assert case.note == "鞋底裂了"
    assert (case.customer.id, case.customer.name) == ("C1", "周琳")
    assert [line.id for line in case.order.lines] == ["ORD10002-1", "ORD10002-2"]
    assert case.ticket.line_ids == ("ORD10002-1",)
    assert case.steps == (TicketStatus.APPROVED, TicketStatus.REJECTED, TicketStatus.CANCELLED)
    with pytest.raises(NotFound):
        await office(mall).ticket(OPERATOR, "RT0")


async def test_a_supplier_is_offered_what_suppliers_may_say(mall: SqlMall, three: list[str]) -> None:
    assert (await office(mall).ticket(SUPPLIER, three[1])).steps == ()
    assert (await office(mall).ticket(SUPPLIER, three[0])).steps == (TicketStatus.GOODS_RECEIVED,)


async def test_the_way_to_what_was_said(mall: SqlMall, three: list[str], engine: AsyncEngine) -> None:
    """Of the customer, and of somebody who has proved the order, where they have said something; for operators."""
    await mall.prove_ownership("web:friend", "ORD10002", "5678", "p")
    await mall.prove_ownership("web:other", "ORD10001", "5678", "p")
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for sender in ("web:friend", "web:other"):  # as the gateway does with their first message
            await people.meet(session, sender, NOW)
    spoken = [conversation_of(current_ring(), sender) for sender in ("web:zhou", "web:friend", "web:other", "web:he")]
    rows = [{"conversation": each, "position": 0, "length": 1, "session": 0, "sealed": b""} for each in spoken]
    await write(engine, delete(conversation_event), insert(conversation_event).values(rows))
    case = await office(mall).ticket(OPERATOR, three[1])
    assert set(case.conversations) == set(spoken[:2])
    assert set((await office(mall).order(OPERATOR, "ORD10001")).conversations) == {spoken[0], spoken[2]}
    assert (await office(mall).ticket(SUPPLIER, three[1])).conversations == ()
    await write(engine, delete(conversation_event))
    assert (await office(mall).ticket(OPERATOR, three[1])).conversations == ()


async def test_an_order_with_where_it_goes(mall: SqlMall, three: list[str]) -> None:
    case = await office(mall).order(OPERATOR, "ORD10003")
    assert (case.delivery.phone, case.delivery.address) == ("13800005678", "送货地址")
    assert [ticket.id for ticket in case.tickets] == [three[2]]
    with pytest.raises(NotFound):
        await office(mall).order(OPERATOR, "ORD9")


async def test_orders_that_somebody_has_to_look_at(
    mall: SqlMall, sent_by: None, clock: Clock, engine: AsyncEngine
) -> None:
    desk = office(mall)

    async def queued(queue: OrderQueue) -> list[str]:
        return [each.id for each in (await desk.orders(OPERATOR, OrderFilter(queue))).items]

    assert await queued(OrderQueue.TO_SHIP) == ["ORD10003"]
    assert await queued(OrderQueue.LATE) == await queued(OrderQueue.LOST) == []
    clock.advance(days=2)
    assert await queued(OrderQueue.LATE) == ["ORD10003"]

    parcel = models.Shipment
    on_its_way = {"delivered_at": None, "status": "in_transit", "promised_by": NOW - timedelta(days=1)}
    theirs = update(parcel).where(parcel.id == "ORD20001-S1")
    await write(engine, theirs.values(on_its_way))
    assert await queued(OrderQueue.LATE) == ["ORD20001", "ORD10003"]
    await write(engine, theirs.values(status="lost"))
    assert await queued(OrderQueue.LATE) == ["ORD10003"]
    assert await queued(OrderQueue.LOST) == ["ORD20001"]
    assert (await desk.waiting(OPERATOR)).orders == {"to_ship": 1, "late": 1, "lost": 1}

    await write(engine, update(models.Order).where(models.Order.id == "ORD20001").values(status="shipped"))
    request = TicketRequest("ORD20001", TicketKind.REFUND, Reason.LATE_DELIVERY)
    ticket = await mall.create_ticket("web:he", request, "k")
    assert await queued(OrderQueue.LOST) == ["ORD20001"]
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", "a")
    await advance_ticket(mall, ticket.id, TicketStatus.REFUNDED, "operator", "", "p")
    assert await queued(OrderQueue.LOST) == []  # made good


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ord1000", ["ORD10004", "ORD10001", "ORD10002", "ORD10003"]),
        ("20001", ["ORD20001"]),
        ("sf 10002", ["ORD10002"]),
        ("13900004321", ["ORD20001"]),
        ("1390000", []),
        ("%", []),
    ],
)
async def test_orders_are_found(mall: SqlMall, text: str, found: list[str]) -> None:
    page = await office(mall).orders(OPERATOR, OrderFilter(text=text))
    assert [each.id for each in page.items] == found


async def test_a_supplier_sees_what_is_theirs(mall: SqlMall, three: list[str], sent_by: None) -> None:
    desk = office(mall)
    assert ids(await desk.tickets(SUPPLIER, TicketFilter())) == three[:2]
    assert ids(await desk.tickets(OTHER, TicketFilter())) == three[2:]
    assert ids(await desk.tickets(OTHER, TicketFilter(supplier_id="S1"))) == []
    (order,) = (await desk.orders(OTHER, OrderFilter())).items
    assert [line.id for line in order.lines] == ["ORD10003-2"]
    assert [line.id for line in (await desk.order(SUPPLIER, "ORD10003")).order.lines] == ["ORD10003-1"]
    assert [ticket.id for ticket in (await desk.order(OTHER, "ORD10003")).tickets] == three[2:]
    assert (await desk.order(SUPPLIER, "ORD10003")).tickets == ()
    assert (await desk.waiting(OTHER)).tickets == {"approval": 0, "goods": 0, "settlement": 1}
    assert (await desk.waiting(OTHER)).orders == {"to_ship": 1, "late": 0, "lost": 0}
    for refused in (desk.ticket(OTHER, three[0]), desk.order(OTHER, "ORD10001")):
        with pytest.raises(NotFound):
            await refused


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SALES, Role.TRAINER, Role.SUPPLIER])
async def test_others_see_nothing(mall: SqlMall, role: Role) -> None:
    """Nor does a supplier's person of no supplier."""
    desk, actor = office(mall), Actor(role, "P-x")
    for refused in (
        desk.waiting(actor),
        desk.tickets(actor, TicketFilter()),
        desk.ticket(actor, "RT1"),
        desk.orders(actor, OrderFilter()),
        desk.order(actor, "ORD10001"),
        desk.suppliers(actor),
    ):
        with pytest.raises(NotPermitted):
            await refused


async def test_suppliers_by_name(mall: SqlMall, sent_by: None) -> None:
    assert [(each.id, each.name) for each in await office(mall).suppliers(OPERATOR)] == [
        ("S1", "百货一号"),
        ("S2", "花间美妆"),
    ]
