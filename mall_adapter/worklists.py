"""The back office's lists: tickets and orders by what they wait for, found by what is known of them, a page at a time.

Every list is in the order of one time and the id, and a cursor names the last row of a page: what comes or goes
meanwhile neither doubles a row nor hides one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mall_adapter import delivery, evidence, models, orders, people, permissions, regions, ticket_steps, tickets
from mall_adapter.cursors import from_cursor, to_cursor
from mall_adapter.errors import InvalidCursor, NotFound
from mall_adapter.values import (
    UNSETTLED,
    Customer,
    FreightPayer,
    Order,
    OrderCase,
    OrderFilter,
    OrderQueue,
    OrderStatus,
    Page,
    Supplier,
    Ticket,
    TicketCase,
    TicketFilter,
    TicketKind,
    TicketQueue,
    TicketStatus,
    Waiting,
)
from privacy.tables import conversation_event
from settings import SHANGHAI
from storage import Actor, EventRow, Role

LARGEST_PAGE = 200
MOST_CONVERSATIONS = 5
_FOREVER = 36_500  # days: nothing has waited for longer, and no date is before the calendar

_TO_SHIP = (OrderStatus.PAID, OrderStatus.PRESALE)
_MADE_GOOD = (TicketStatus.REFUNDED, TicketStatus.EXCHANGED, TicketStatus.CLOSED)

Condition = ColumnElement[bool]
Queue = TypeVar("Queue", bound=StrEnum)


# ---- what waits ----


def ticket_queues() -> Mapping[TicketQueue, Condition]:
    """In which states of :func:`mall_adapter.ticket_steps.state_machine` a ticket waits for what."""
    ticket = models.Ticket
    goods_come_back = and_(ticket.kind != TicketKind.REFUND, ticket.freight_payer != FreightPayer.NOBODY)
    return {
        TicketQueue.APPROVAL: ticket.status == TicketStatus.OPEN,
        TicketQueue.GOODS: and_(ticket.status == TicketStatus.APPROVED, goods_come_back),
        TicketQueue.SETTLEMENT: and_(
            ticket.status.in_((TicketStatus.APPROVED, TicketStatus.GOODS_RECEIVED)),
            or_(ticket.status == TicketStatus.GOODS_RECEIVED, ~goods_come_back),
        ),
    }


def order_queues(now: datetime) -> Mapping[OrderQueue, Condition]:
    order = models.Order
    to_ship = order.status.in_(_TO_SHIP)
    late_parcel = _parcel(models.Shipment.promised_by < now, models.Shipment.status != "lost")
    return {
        OrderQueue.TO_SHIP: to_ship,
        OrderQueue.LATE: or_(and_(to_ship, order.ships_by < now), order.id.in_(late_parcel)),
        OrderQueue.LOST: order.id.in_(_parcel(models.Shipment.status == "lost")),
    }


def _parcel(*conditions: Condition) -> Select[str]:
    """Orders with such a parcel on its way, in which there is something that has not been made good by a ticket."""
    parcel, inside, made_good = models.Shipment, models.ShipmentLine, models.Ticket.status.in_(_MADE_GOOD)
    lines = select(models.TicketLine.order_line_id).join(models.Ticket).where(made_good)
    whole = select(models.Ticket.order_id).where(made_good)  # where nobody wrote down what is in a parcel
    unsettled = or_(
        inside.order_line_id.not_in(lines), and_(inside.order_line_id.is_(None), parcel.order_id.not_in(whole))
    )
    return (
        select(parcel.order_id)
        .outerjoin(inside, inside.shipment_id == parcel.id)
        .where(parcel.delivered_at.is_(None), unsettled, *conditions)
    )


async def waiting(session: AsyncSession, actor: Actor, now: datetime) -> Waiting:
    of_tickets, of_orders = ticket_queues(), order_queues(now)
    counts = [
        *(
            _count(models.Ticket.id, condition, _seen(actor, "ticket", models.Ticket.id))
            for condition in of_tickets.values()
        ),
        *(
            _count(models.Order.id, condition, _seen(actor, "order", models.Order.id))
            for condition in of_orders.values()
        ),
    ]
    found = tuple((await session.execute(select(*counts))).one())
    return Waiting(
        dict(zip(of_tickets, found, strict=False)), dict(zip(of_orders, found[len(of_tickets) :], strict=True))
    )


def _count(number: InstrumentedAttribute[str], *conditions: Condition) -> ColumnElement[int]:
    return select(func.count(number)).where(*conditions).scalar_subquery()


# ---- for whom ----


def _seen(actor: Actor, kind: str, number: InstrumentedAttribute[str], supplier_id: str | None = None) -> Condition:
    """Tickets or orders that the actor may see, and that hold something of the supplier's, where one is named."""
    own = permissions.own(actor, kind)
    named = None if supplier_id is None else permissions.sent_by(kind, supplier_id)
    return and_(true(), *(number.in_(ids) for ids in (own, named) if ids is not None))


async def _own_lines(session: AsyncSession, actor: Actor, found: Sequence[Order]) -> Sequence[Order]:
    """The orders as the actor may see them: a supplier without what others send."""
    if actor.role is not Role.SUPPLIER:
        return found
    theirs = {line.id for order in found for line in order.lines}
    sent = select(models.OrderLine.id).join(models.Fulfilment).where(models.Fulfilment.supplier_id == actor.supplier_id)
    own = set(await session.scalars(sent.where(models.OrderLine.id.in_(theirs))))
    return [replace(order, lines=tuple(line for line in order.lines if line.id in own)) for order in found]


# ---- tickets ----


async def find_tickets(
    session: AsyncSession, actor: Actor, wanted: TicketFilter, cursor: str | None, limit: int, now: datetime
) -> Page[Ticket]:
    ticket = models.Ticket
    conditions = [
        _seen(actor, "ticket", ticket.id, wanted.supplier_id),
        None if wanted.queue is None else ticket_queues()[wanted.queue],
        None if wanted.kind is None else ticket.kind == wanted.kind,
        None if wanted.reason is None else ticket.reason == wanted.reason,
        and_(ticket.status.in_(UNSETTLED), ticket.due_on < now.astimezone(SHANGHAI).date()) if wanted.overdue else None,
        ticket.created_at <= now - timedelta(days=min(wanted.waiting_days, _FOREVER)) if wanted.waiting_days else None,
        _ticket_named(wanted.text),
    ]
    ids, following = await _page(session, ticket.created_at, ticket.id, conditions, wanted.newest_first, cursor, limit)
    by_id = {row.id: tickets.to_ticket(row) for row in await tickets.read_all(session, ids)}
    return Page(tuple(by_id[each] for each in ids), following)


async def ticket_case(session: AsyncSession, actor: Actor, ticket_id: str) -> TicketCase:
    """Raises NotFound."""
    row, order = await tickets.read_with_order(session, ticket_id, _seen(actor, "ticket", models.Ticket.id))
    ticket = tickets.to_ticket(row)
    note = await session.scalar(select(models.Ticket.note).where(models.Ticket.id == ticket_id))
    due, most = (0, 0) if row.kind is TicketKind.EXCHANGE else ticket_steps.payable(row, order)
    possible = ticket_steps.state_machine(row.kind, row.freight_payer).get(row.status, set())
    (shown,) = await _own_lines(session, actor, [orders.to_order(order)])
    return TicketCase(
        ticket=ticket,
        note=note or "",
        order=shown,
        customer=await _customer(session, ticket.order_id),
        steps=tuple(status for status in TicketStatus if status in possible and permissions.may_say(actor, status)),
        due_cents=due,
        most_cents=most,
        hands=await _hands(session, actor, ticket),
        conversations=await _conversations(session, actor, ticket.order_id),
    )


async def _hands(session: AsyncSession, actor: Actor, ticket: Ticket) -> tuple[str | None, ...]:
    """By the events that the steps have left; colleagues' names are for colleagues."""
    if actor.role is not Role.OPERATOR:
        return (None,) * len(ticket.history)
    event, person = EventRow, models.Principal
    query = (
        select(event.at, person.name)
        .join(person, person.id == event.principal_id)
        .where(event.subject == f"ticket:{ticket.id}", person.name.is_not(None))
    )
    names = {row.at: row.name for row in await session.execute(query)}
    return tuple(names.get(step.time) for step in ticket.history)


# ---- orders ----


async def find_orders(
    session: AsyncSession, actor: Actor, wanted: OrderFilter, cursor: str | None, limit: int, now: datetime
) -> Page[Order]:
    order = models.Order
    conditions = [
        _seen(actor, "order", order.id, wanted.supplier_id),
        None if wanted.queue is None else order_queues(now)[wanted.queue],
        order.placed_at <= now - timedelta(days=min(wanted.waiting_days, _FOREVER)) if wanted.waiting_days else None,
        _order_named(wanted.text),
    ]
    ids, following = await _page(session, order.placed_at, order.id, conditions, wanted.newest_first, cursor, limit)
    rows = (await session.scalars(orders.WHOLE_ORDERS.where(order.id.in_(ids)))).unique().all()
    by_id = {each.id: each for each in await _own_lines(session, actor, [orders.to_order(row) for row in rows])}
    return Page(tuple(by_id[each] for each in ids), following)


async def order_case(session: AsyncSession, actor: Actor, order_id: str) -> OrderCase:
    """Raises NotFound."""
    found = select(models.Order.id).where(models.Order.id == order_id, _seen(actor, "order", models.Order.id))
    if await session.scalar(found) is None:
        raise NotFound(order_id)
    row = await orders.read(session, order_id)
    (order,) = await _own_lines(session, actor, [orders.to_order(row)])
    of_order = select(models.Ticket.id).where(
        models.Ticket.order_id == order_id, _seen(actor, "ticket", models.Ticket.id)
    )
    newest = of_order.order_by(models.Ticket.created_at.desc(), models.Ticket.id.desc())
    ids = (await session.scalars(newest)).all()
    by_id = {each.id: tickets.to_ticket(each) for each in await tickets.read_all(session, ids)}
    return OrderCase(
        order=order,
        customer=await _customer(session, order_id),
        delivery=await delivery.read(session, row),
        tickets=tuple(by_id[each] for each in ids),
        conversations=await _conversations(session, actor, order_id),
    )


async def suppliers(session: AsyncSession) -> Sequence[Supplier]:
    rows = await session.execute(select(models.Supplier.id, models.Supplier.name).order_by(models.Supplier.name))
    return [Supplier(*row) for row in rows]


async def _customer(session: AsyncSession, order_id: str) -> Customer:
    query = select(models.Customer).join(models.Order).where(models.Order.id == order_id)
    row = (await session.scalars(query)).one()
    return Customer(row.id, row.name, regions.name_of(row.region))


async def _conversations(session: AsyncSession, actor: Actor, order_id: str) -> tuple[str, ...]:
    """For those who may look into them: what the customer, or somebody who has proved the order, has said."""
    if actor.role is not Role.OPERATOR:
        return ()
    account, said = models.ChannelAccount, conversation_event
    query = (
        select(account.conversation)
        .where(
            evidence.accounts_of(select(models.Order.id).where(models.Order.id == order_id)),
            exists().where(said.c.conversation == account.conversation),
        )
        .order_by(account.first_seen_at.desc(), account.conversation)
        .limit(MOST_CONVERSATIONS)
    )
    return tuple(each for each in await session.scalars(query) if each)


# ---- what people type to find something ----

_PHONE = re.compile(r"1[3-9][0-9]{9}")


def _typed(text: str) -> str:
    """Numbers as they are stored: full width, small letters and spaces are forgiven."""
    return "".join(unicodedata.normalize("NFKC", text).upper().split())


def _ticket_named(text: str) -> Condition | None:
    if not (typed := _typed(text)):
        return None
    ticket = models.Ticket
    return or_(
        _begins(ticket.id, "RT", typed), _begins(ticket.order_id, "ORD", typed), ticket.order_id.in_(_orders_of(typed))
    )


def _order_named(text: str) -> Condition | None:
    if not (typed := _typed(text)):
        return None
    parcel = select(models.Shipment.order_id).where(models.Shipment.tracking_number == typed)
    order_id = models.Order.id
    return or_(_begins(order_id, "ORD", typed), order_id.in_(parcel), order_id.in_(_orders_of(typed)))


def _begins(number: InstrumentedAttribute[str], letters: str, typed: str) -> Condition:
    return number.startswith(letters + typed if typed.isdigit() else typed, autoescape=True)


def _orders_of(phone: str) -> Select[str]:
    """Orders of the customer with this phone, or who had it before they were merged with another."""
    query = select(models.Order.id)
    if not _PHONE.fullmatch(phone):
        return query.where(false())
    customer = models.Customer
    owner = select(people.kept(customer.id)).where(customer.phone_index == models.phone_index(phone))
    return query.where(models.Order.customer_id.in_(owner))


# ---- a page at a time ----


async def _page(
    session: AsyncSession,
    time: InstrumentedAttribute[datetime],
    number: InstrumentedAttribute[str],
    conditions: Sequence[Condition | None],
    newest_first: bool,
    cursor: str | None,
    limit: int,
) -> tuple[Sequence[str], str | None]:
    """The ids of a page, and the cursor of the next."""
    limit = max(1, min(limit, LARGEST_PAGE))
    query = select(number, time).where(*(condition for condition in conditions if condition is not None))
    if cursor is not None:
        at, last = _opened(cursor)
        after = or_(time < at, number < last) if newest_first else or_(time > at, number > last)
        query = query.where(time <= at if newest_first else time >= at, after)
    order = (time.desc(), number.desc()) if newest_first else (time, number)
    rows = (await session.execute(query.order_by(*order).limit(limit + 1))).all()
    page: Sequence[Any] = rows[:limit]
    following = to_cursor(page[-1][1].isoformat(), page[-1][0]) if len(rows) > limit else None
    return [row[0] for row in page], following


def _opened(cursor: str) -> tuple[datetime, str]:
    at, number = from_cursor(cursor, 2)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise InvalidCursor("no such page")
    return moment, number
