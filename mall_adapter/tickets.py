"""After-sales tickets: which pieces a request means, what the rules say of it, making a ticket and reading it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from mall_adapter import models, orders, ownership, parcels, refunds
from mall_adapter.actors import RULES
from mall_adapter.errors import InvalidQuantity, NotAllowed, NotFound, TicketExists
from mall_adapter.facts import WINDOW
from mall_adapter.policy import AfterSalesFacts, AfterSalesPolicy
from mall_adapter.promises import promises
from mall_adapter.values import (
    Decision,
    FreightPayer,
    OfferKind,
    OfferState,
    OrderStatus,
    Reason,
    Ticket,
    TicketEvent,
    TicketKind,
    TicketLine,
    TicketRequest,
    TicketStatus,
)
from mall_adapter.working_days import working_day_after
from settings import SHANGHAI
from storage import Actor, Event, insert_numbered, record

_WHOLE_TICKETS = select(models.Ticket).options(
    joinedload(models.Ticket.lines)
    .joinedload(models.TicketLine.order_line)
    .joinedload(models.OrderLine.sku)
    .load_only(models.Sku.product_id)
    .joinedload(models.Sku.product)
    .load_only(models.Product.category),
    joinedload(models.Ticket.order).load_only(models.Order.status),
    joinedload(models.Ticket.events),
)

Pieces = Mapping[str, int]
"""By the ids of an order's lines."""


@dataclass(frozen=True, slots=True)
class TicketOpened(Event):
    kind: ClassVar[str] = "ticket_opened"
    order_id: str
    wish: TicketKind
    reason: Reason
    rule: str
    approved: bool  # by the rules alone
    pieces: dict[str, int]
    refund_cents: int


def since_delivery(delivered_at: datetime | None, now: datetime) -> tuple[int | None, float | None]:
    """Calendar days in Asia/Shanghai and hours from ``delivered_at`` to ``now``; None and None where not delivered.

    A limit in days counts from the day after delivery, at whatever hour that was, and lasts to the end of its last
    day (《网络购买商品七日无理由退货暂行办法》): what arrives on the 1st may go back until the end of the 8th.
    """
    if delivered_at is None:
        return None, None
    delivered_at = min(delivered_at, now)  # by another clock than ours
    days = now.astimezone(SHANGHAI).date() - delivered_at.astimezone(SHANGHAI).date()
    return days.days, (now - delivered_at) / timedelta(hours=1)


# ---- what a request means ----


async def assess(
    session: AsyncSession, policy: AfterSalesPolicy, order: models.Order, request: TicketRequest, now: datetime
) -> tuple[Pieces, Decision]:
    """The pieces that the request means, and what the rules say of them.

    Raises NotFound, InvalidQuantity, or TicketExists where no piece of a line is free.
    """
    asked = await _pieces(session, order, request)
    past = await _cases_of(session, order.id)
    recent, customer_cents = await _of_customer(session, order.customer_id, now - WINDOW)
    order_cents = sum(case.paid_cents for cases in past.values() for case in cases if case.live)
    facts = []
    for line in order.lines:
        if line.id not in asked:
            continue
        cases = past.get(line.id, [])
        stand = parcels.of_line(order, line, now)
        days, hours = since_delivery(_arrived_again(cases, asked[line.id]) or stand.delivered_at, now)
        facts.append(
            AfterSalesFacts(
                kind=request.kind,
                reason=request.reason,
                order_status=stand.status,
                days_since_delivery=days,
                hours_since_delivery=hours,
                parcel_lost=stand.lost,
                parcel_late=stand.late,
                trade=line.sku.product.trade,
                fresh=line.sku.product.fresh,
                custom_made=line.sku.product.custom_made,
                opened=True if line.activated_at else request.opened,
                amount_cents=refunds.paid_for(line, asked[line.id]),
                tickets_last_90_days=recent,
                rejected_before=any(case.ticket.status is TicketStatus.REJECTED for case in cases),
                order_cents_before=order_cents,
                customer_cents_before=customer_cents,
            )
        )
    decision = policy.decide(*facts, freight_cents=_freight(order, asked))
    if decision.freight_payer is FreightPayer.CUSTOMER and await _freight_is_promised(session, order.id):
        decision = replace(decision, freight_payer=FreightPayer.SHOP)
    return asked, decision


async def _freight_is_promised(session: AsyncSession, order_id: str) -> bool:
    """Whether what goes back of the order goes back at the shop's cost: it was offered, and accepted."""
    offer = models.Offer
    promised = exists().where(offer.order_id == order_id, offer.kind == OfferKind.FREIGHT)
    return bool(await session.scalar(select(promised.where(offer.state == OfferState.ACCEPTED))))


async def _pieces(session: AsyncSession, order: models.Order, request: TicketRequest) -> dict[str, int]:
    quantities = request.quantities or {}
    meant = set(request.line_ids) or set(quantities) or {line.id for line in order.lines}
    if not meant <= {line.id for line in order.lines} or not quantities.keys() <= meant:
        raise NotFound("no such line in this order")
    asked = {}
    for line in order.lines:
        if line.id not in meant:
            continue
        free = refunds.free_pieces(line)
        if not free:
            newest = orders.newest_last(line.live_tickets)[-1]
            raise TicketExists(to_ticket(await read(session, newest.ticket_id)))
        asked[line.id] = quantities.get(line.id, free)
        if not 1 <= asked[line.id] <= free:
            raise InvalidQuantity(line.id, free)
    return asked


async def _cases_of(session: AsyncSession, order_id: str) -> dict[str, list[models.TicketLine]]:
    """Everything that was ever asked for the order's lines, by line."""
    query = (
        select(models.TicketLine)
        .join(models.TicketLine.ticket)
        .where(models.Ticket.order_id == order_id)
        .options(joinedload(models.TicketLine.ticket))
    )
    found: dict[str, list[models.TicketLine]] = {}
    for case in await session.scalars(query):
        found.setdefault(case.order_line_id, []).append(case)
    return found


async def _of_customer(session: AsyncSession, customer_id: str, since: datetime) -> tuple[int, int]:
    """How many requests the customer made that were not taken back, and what was paid for the pieces in them."""
    query = (
        select(
            func.count(models.Ticket.id.distinct()),
            func.coalesce(func.sum(models.TicketLine.paid_cents).filter(models.TicketLine.live), 0),
        )
        .join(models.Order, models.Order.id == models.Ticket.order_id)
        .join(models.TicketLine, models.TicketLine.ticket_id == models.Ticket.id)
        .where(
            models.Order.customer_id == customer_id,
            models.Ticket.created_at >= since,
            models.Ticket.status != TicketStatus.CANCELLED,
        )
    )
    count, cents = (await session.execute(query)).one()
    return count, int(cents)


def _arrived_again(cases: Sequence[models.TicketLine], pieces: int) -> datetime | None:
    """From when the days of so many pieces count that were exchanged; None where not all of them were.

    From the day by which the new ones have arrived as the shop promises, counted from when they were sent. Pieces that
    were asked for since then are taken for exchanged ones, too.
    """
    exchanged = [case for case in cases if case.ticket.kind is TicketKind.EXCHANGE and case.ticket.settled_at]
    times = sorted((case.ticket.settled_at, case.pieces) for case in exchanged if case.ticket.settled_at)
    if not times:
        return None
    pieces += sum(case.pieces for case in cases if case.live and case.ticket.created_at >= times[0][0])
    for sent_at, count in reversed(times):
        pieces -= count
        if pieces <= 0:
            return sent_at + promises().arrives_within
    return None


def _freight(order: models.Order, asked: Pieces) -> int:
    """What of the freight would go back with these pieces: before shipping with the last of them only."""
    if order.status in orders.UNSHIPPED and not refunds.takes_the_rest(order, asked):
        return 0
    return refunds.freight_free(order)


# ---- making one ----


async def create(
    session: AsyncSession,
    policy: AfterSalesPolicy,
    order: models.Order,
    request: TicketRequest,
    actor: Actor,
    now: datetime,
) -> str:
    """The id of the new ticket; what the rules approve by themselves is approved at once. The caller holds
    :func:`mall_adapter.orders.lock`."""
    # the limits of a customer count over all orders: two requests at once must not both be the last that fits
    customer = select(models.Customer.id).where(models.Customer.id == order.customer_id)
    await session.execute(customer.with_for_update(key_share=True))
    asked, decision = await assess(session, policy, order, request, now)
    if not decision.allowed:
        raise NotAllowed(decision)
    lines = [line for line in order.lines if line.id in asked]
    paid = {line.id: refunds.paid_for(line, asked[line.id]) for line in lines}
    ticket_id = await insert_numbered(
        session,
        models.Ticket,
        "RT",
        now,
        lambda _: {
            "order_id": order.id,
            "kind": request.kind,
            "status": TicketStatus.APPROVED if decision.auto_approve else TicketStatus.OPEN,
            "reason": request.reason,
            "summary": summary((line, asked[line.id]) for line in lines),
            "note": request.note,
            "rule": decision.rule,
            "freight_payer": decision.freight_payer,
            "auto_approve": decision.auto_approve,
            "handling_days": decision.handling_days,
            "refund_cents": decision.refund_cents,
            "freight_cents": decision.freight_cents,
            "due_on": working_day_after(now.astimezone(SHANGHAI).date(), decision.handling_days),
            "created_at": now,
        },
    )
    session.add_all(
        models.TicketLine(ticket_id=ticket_id, order_line_id=line.id, quantity=asked[line.id], paid_cents=paid[line.id])
        for line in lines
    )
    await hold(session, asked)
    session.add(event(ticket_id, now, TicketStatus.OPEN, actor, ""))
    if decision.auto_approve:
        session.add(event(ticket_id, now, TicketStatus.APPROVED, RULES, decision.rule))
    opened = TicketOpened(
        subject=f"ticket:{ticket_id}",
        region=order.region,
        order_id=order.id,
        wish=request.kind,
        reason=request.reason,
        rule=decision.rule,
        approved=decision.auto_approve,
        pieces=dict(asked),
        refund_cents=decision.refund_cents,
    )
    record(session, opened, actor, now)
    return ticket_id


async def hold(session: AsyncSession, pieces: Pieces) -> None:
    """Counts so many more pieces of these lines as in tickets, fewer where negative. The database keeps the count
    between none and what was bought: whoever would go beyond gets an IntegrityError, and has changed nothing."""
    line = models.OrderLine
    for line_id, count in pieces.items():
        if count:
            await session.execute(
                update(line)
                .where(line.id == line_id)
                .values(in_tickets=line.in_tickets + count)
                .execution_options(synchronize_session=False)
            )


# ---- reading ----


async def read(session: AsyncSession, ticket_id: str, *conditions: ColumnElement[bool]) -> models.Ticket:
    """As it is now. Raises NotFound; without ``conditions`` it does not ask whose ticket it is."""
    await session.flush()
    session.expire_all()
    return await _read(session, ticket_id, *conditions)


async def _read(session: AsyncSession, ticket_id: str, *conditions: ColumnElement[bool]) -> models.Ticket:
    """What the session has of it already stays as it is."""
    found = await session.scalars(_WHOLE_TICKETS.where(models.Ticket.id == ticket_id, *conditions))
    ticket = found.unique().one_or_none()
    if ticket is None:
        raise NotFound(ticket_id)
    return ticket


async def read_all(session: AsyncSession, ids: Sequence[str]) -> Sequence[models.Ticket]:
    """In no particular order; one that there is not is left out."""
    return (await session.scalars(_WHOLE_TICKETS.where(models.Ticket.id.in_(ids)))).unique().all()


def owned_by(sender: str) -> ColumnElement[bool]:
    """Tickets of the sender's orders, as a condition."""
    return models.Ticket.order_id.in_(ownership.owned_ids(sender))


async def read_with_order(
    session: AsyncSession, ticket_id: str, *conditions: ColumnElement[bool]
) -> tuple[models.Ticket, models.Order]:
    """Raises NotFound."""
    order_id = await session.scalar(select(models.Ticket.order_id).where(models.Ticket.id == ticket_id, *conditions))
    if order_id is None:
        raise NotFound(ticket_id)
    order = await orders.read(session, order_id)
    return await _read(session, ticket_id), order


async def read_locked(session: AsyncSession, ticket_id: str) -> tuple[models.Ticket, models.Order]:
    """With its order, which nobody else writes to now. Raises NotFound."""
    order_id = await session.scalar(select(models.Ticket.order_id).where(models.Ticket.id == ticket_id))
    if order_id is not None:
        await orders.lock(session, order_id)
    session.expire_all()
    return await read_with_order(session, ticket_id)


async def newest_owned(session: AsyncSession, sender: str, limit: int) -> Sequence[models.Ticket]:
    order = models.Ticket.created_at.desc(), models.Ticket.id.desc()
    chosen = select(models.Ticket.id).where(owned_by(sender)).order_by(*order).limit(limit)
    return (await session.scalars(_WHOLE_TICKETS.where(models.Ticket.id.in_(chosen)).order_by(*order))).unique().all()


def to_ticket(row: models.Ticket) -> Ticket:
    return Ticket(
        id=row.id,
        order_id=row.order_id,
        kind=row.kind,
        status=row.status,
        reason=row.reason,
        line_ids=tuple(line.order_line_id for line in row.lines),
        summary=row.summary,
        categories=tuple(line.order_line.sku.product.category for line in row.lines),
        in_transit=row.order.status is OrderStatus.SHIPPED,
        decision=Decision(
            allowed=True,
            rule=row.rule,
            freight_payer=row.freight_payer,
            auto_approve=row.auto_approve,
            handling_days=row.handling_days,
            refund_cents=row.refund_cents,
            freight_cents=row.freight_cents,
        ),
        due_on=row.due_on,
        created_at=row.created_at,
        history=tuple(TicketEvent(event.time, event.status, event.actor, event.note) for event in row.events),
        lines=tuple(
            TicketLine(
                line_id=line.order_line_id,
                title=f"{line.order_line.product_name} {line.order_line.spec}".strip(),
                quantity=line.quantity,
                received=line.received,
                paid_cents=line.paid_cents,
            )
            for line in row.lines
        ),
        refunded_cents=row.refunded_cents,
    )


def event(ticket_id: str, now: datetime, status: TicketStatus, actor: Actor, note: str) -> models.TicketEvent:
    by = "rule" if actor == RULES else actor.role.value
    return models.TicketEvent(ticket_id=ticket_id, time=now, status=status, actor=by, note=note)


def summary(pieces: Iterable[tuple[models.OrderLine, int]]) -> str:
    """Names and specs, for people; how many only where the line has several."""
    counted = (
        (f"{line.product_name} {line.spec}", f" ×{count}" if line.quantity > 1 else "") for line, count in pieces
    )
    return "、".join(f"{name}{times}" for name, times in counted)
