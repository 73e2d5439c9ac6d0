"""After-sales tickets: what the rules say of a request, making a ticket, and the steps that it may take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from mall_adapter import models, orders, ownership, parcels, stock
from mall_adapter.errors import InvalidTransition, NotAllowed, NotFound, TicketExists
from mall_adapter.policy import AfterSalesFacts, AfterSalesPolicy, working_day_after
from mall_adapter.values import (
    Decision,
    FreightPayer,
    OrderStatus,
    Ticket,
    TicketEvent,
    TicketKind,
    TicketRequest,
    TicketStatus,
)
from settings import SHANGHAI
from storage import Actor, Role, insert_numbered

_S = TicketStatus
_WHOLE_TICKETS = (
    select(models.Ticket)
    .options(
        joinedload(models.Ticket.lines)
        .joinedload(models.TicketLine.order_line)
        .load_only(models.OrderLine.sku_id)
        .joinedload(models.OrderLine.sku)
        .load_only(models.Sku.product_id)
        .joinedload(models.Sku.product)
        .load_only(models.Product.category),
        joinedload(models.Ticket.order).load_only(models.Order.status),
        joinedload(models.Ticket.events),
    )
    .execution_options(populate_existing=True)
)


def state_machine(kind: TicketKind, freight_payer: FreightPayer) -> dict[TicketStatus, set[TicketStatus]]:
    """Where such a ticket may go from each state. A state that is not named is the end."""
    settled = _S.EXCHANGED if kind is TicketKind.EXCHANGE else _S.REFUNDED
    machine = {
        _S.OPEN: {_S.APPROVED, _S.REJECTED, _S.CANCELLED},
        _S.APPROVED: {settled, _S.CANCELLED},
        settled: {_S.CLOSED},
    }
    if kind is not TicketKind.REFUND and freight_payer is not FreightPayer.NOBODY:  # first the goods come back
        machine |= {_S.APPROVED: {_S.GOODS_RECEIVED, _S.CANCELLED}, _S.GOODS_RECEIVED: {settled, _S.REJECTED}}
    return machine


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


async def assess(
    session: AsyncSession, policy: AfterSalesPolicy, order: models.Order, request: TicketRequest, now: datetime
) -> tuple[list[models.OrderLine], Decision]:
    """The lines that the request means, and what the rules say of them. Raises NotFound or TicketExists."""
    unknown = set(request.line_ids) - {line.id for line in order.lines}
    if unknown:
        raise NotFound("no such line in this order")
    lines = [line for line in order.lines if not request.line_ids or line.id in request.line_ids]
    for line in lines:
        if line.live_ticket:
            raise TicketExists(to_ticket(await read(session, line.live_ticket.ticket_id)))
    recent = await session.scalar(
        select(func.count())
        .select_from(models.Ticket)
        .join(models.Order, models.Order.id == models.Ticket.order_id)
        .where(
            models.Order.customer_id == order.customer_id,
            models.Ticket.created_at >= now - timedelta(days=90),
            models.Ticket.status != TicketStatus.CANCELLED,
        )
    )
    facts = []
    for line in lines:
        stand = parcels.of_line(order, line, now)
        days, hours = since_delivery(stand.delivered_at, now)
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
                amount_cents=line.quantity * line.unit_price_cents,
                tickets_last_90_days=recent or 0,
            )
        )
    return lines, policy.decide(*facts)


async def create(
    session: AsyncSession, policy: AfterSalesPolicy, order: models.Order, request: TicketRequest, now: datetime
) -> str:
    """The id of the new ticket; what the rules approve by themselves is approved at once. The caller holds
    :func:`mall_adapter.orders.lock`."""
    lines, decision = await assess(session, policy, order, request, now)
    if not decision.allowed:
        raise NotAllowed(decision)
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
            "summary": "、".join(_describe(line) for line in lines),
            "note": request.note,
            "rule": decision.rule,
            "freight_payer": decision.freight_payer,
            "auto_approve": decision.auto_approve,
            "handling_days": decision.handling_days,
            "refund_cents": decision.refund_cents,
            "due_on": working_day_after(now.astimezone(SHANGHAI).date(), decision.handling_days),
            "created_at": now,
        },
    )
    session.add_all(models.TicketLine(ticket_id=ticket_id, order_line_id=line.id) for line in lines)
    session.add(_event(ticket_id, now, TicketStatus.OPEN, "customer", ""))
    if decision.auto_approve:
        session.add(_event(ticket_id, now, TicketStatus.APPROVED, "rule", decision.rule))
    return ticket_id


async def advance(
    session: AsyncSession, ticket_id: str, to: TicketStatus, actor: str, note: str, now: datetime
) -> None:
    """One step of the state machine. Raises NotFound, or InvalidTransition where there is no such step."""
    order_id = await session.scalar(select(models.Ticket.order_id).where(models.Ticket.id == ticket_id))
    if order_id is None:
        raise NotFound(ticket_id)
    await orders.lock(session, order_id)
    ticket = await read(session, ticket_id)
    if to not in state_machine(ticket.kind, ticket.freight_payer).get(ticket.status, ()):
        raise InvalidTransition(f"a {ticket.kind} ticket cannot go from {ticket.status} to {to}")
    ticket.status = to
    session.add(_event(ticket_id, now, to, actor, note))
    if to in {TicketStatus.REJECTED, TicketStatus.CANCELLED}:
        for line in ticket.lines:
            line.live = False
    elif to is TicketStatus.REFUNDED:
        await _keep_unshipped(session, ticket, Actor(Role(actor)), now)


async def _keep_unshipped(session: AsyncSession, ticket: models.Ticket, actor: Actor, now: datetime) -> None:
    """Money back before shipping: the pieces stay in the shop, and an order of which nothing is left is cancelled."""
    refunded = {line.order_line_id for line in ticket.lines}
    order = await orders.read(session, ticket.order_id)
    waiting = orders.unsent(order)
    kept = [(line, waiting[line.id]) for line in order.lines if line.id in refunded and line.id in waiting]
    if not kept:
        return
    await stock.release(session, kept, stock.Cause(ticket.id, actor, now, order.id, ticket.id))
    for line, pieces in kept:
        line.released += pieces
    parcels.follow(session, order, actor, now)
    if not order.shipments and not orders.unsent(order):
        order.status = OrderStatus.CANCELLED


async def read(session: AsyncSession, ticket_id: str, *conditions: ColumnElement[bool]) -> models.Ticket:
    """Raises NotFound; without ``conditions`` it does not ask whose ticket it is."""
    found = await session.scalars(_WHOLE_TICKETS.where(models.Ticket.id == ticket_id, *conditions))
    ticket = found.unique().one_or_none()
    if ticket is None:
        raise NotFound(ticket_id)
    return ticket


def owned_by(sender: str) -> ColumnElement[bool]:
    """Tickets of the sender's orders, as a condition."""
    return models.Ticket.order_id.in_(ownership.owned_ids(sender))


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
        ),
        due_on=row.due_on,
        created_at=row.created_at,
        history=tuple(TicketEvent(event.time, event.status, event.actor, event.note) for event in row.events),
    )


def _event(ticket_id: str, now: datetime, status: TicketStatus, actor: str, note: str) -> models.TicketEvent:
    return models.TicketEvent(ticket_id=ticket_id, time=now, status=status, actor=actor, note=note)


def _describe(line: models.OrderLine) -> str:
    count = f" ×{line.quantity}" if line.quantity > 1 else ""
    return f"{line.product_name} {line.spec}{count}"
