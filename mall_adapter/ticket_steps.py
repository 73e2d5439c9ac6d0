"""What becomes of after-sales tickets: the steps of their state machine, goods that come back, money that goes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, orders, parcels, refunds, stock, tickets
from mall_adapter.errors import InvalidQuantity, InvalidRefund, InvalidTransition, NotFound
from mall_adapter.tickets import Pieces
from mall_adapter.values import FreightPayer, OrderStatus, TicketKind, TicketStatus
from storage import Actor, Event, record

_S = TicketStatus


@dataclass(frozen=True, slots=True)
class TicketAdvanced(Event):
    """A step that moves neither goods nor money."""

    kind: ClassVar[str] = "ticket_advanced"
    order_id: str
    to: TicketStatus


@dataclass(frozen=True, slots=True)
class GoodsReceived(Event):
    kind: ClassVar[str] = "goods_received"
    order_id: str
    announced: dict[str, int]  # pieces by order line
    received: dict[str, int]


@dataclass(frozen=True, slots=True)
class Refunded(Event):
    kind: ClassVar[str] = "refunded"
    order_id: str
    cents: int
    freight_cents: int  # of them
    whole: bool  # nothing is left of what was promised


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


async def advance(
    session: AsyncSession, ticket_id: str, to: TicketStatus, actor: Actor, note: str, now: datetime
) -> None:
    """One step: all goods came back, all money goes back. Raises NotFound, or InvalidTransition where there is no such
    step."""
    if to is _S.GOODS_RECEIVED:
        return await receive(session, ticket_id, None, None, actor, note, now)
    if to is _S.REFUNDED:
        return await refund(session, ticket_id, None, actor, note, now)
    ticket, order = await tickets.read_locked(session, ticket_id)
    _step(session, ticket, to, actor, note, now)
    if to is _S.EXCHANGED:
        ticket.settled_at = now
        await _put_back(session, ticket, actor, now)
    if to in {_S.REJECTED, _S.CANCELLED, _S.EXCHANGED}:  # what was exchanged may have a case again
        await _let_go(session, ticket.lines)
    event = TicketAdvanced(subject=f"ticket:{ticket_id}", region=order.region, order_id=order.id, to=to)
    record(session, event, actor, now)
    return None


async def receive(
    session: AsyncSession,
    ticket_id: str,
    came: Pieces | None,
    sellable: Pieces | None,
    actor: Actor,
    note: str,
    now: datetime,
) -> None:
    """See :meth:`mall_adapter.ports.BackOffice.receive_goods`."""
    ticket, order = await tickets.read_locked(session, ticket_id)
    announced = {line.order_line_id: line.quantity for line in ticket.lines}
    came = announced if came is None else {line: came.get(line, 0) for line in announced | dict(came)}
    sellable = sellable or {}
    if not came.keys() | sellable.keys() <= announced.keys():
        raise NotFound("no such line in this ticket")
    for line_id, count in came.items():
        if not 0 <= count <= announced[line_id] or not any(came.values()):
            raise InvalidQuantity(line_id, announced[line_id])
        if not 0 <= sellable.get(line_id, 0) <= count:
            raise InvalidQuantity(line_id, count)
    _step(session, ticket, _S.GOODS_RECEIVED, actor, note, now)
    for line in ticket.lines:
        line.received, line.sellable = came[line.order_line_id], sellable.get(line.order_line_id, 0)
        if missing := line.quantity - line.received:
            line.paid_cents = line.paid_cents * line.received // line.quantity
            line.live = line.received > 0
            await tickets.hold(session, {line.order_line_id: -missing})
    if came != announced:
        here = [line for line in ticket.lines if line.received]
        ticket.summary = tickets.summary((line.order_line, line.pieces) for line in here)
        if ticket.kind is not TicketKind.EXCHANGE:
            ticket.refund_cents = sum(line.paid_cents for line in here) + ticket.freight_cents
    event = GoodsReceived(
        subject=f"ticket:{ticket_id}",
        region=order.region,
        order_id=order.id,
        announced=announced,
        received=dict(came),
    )
    record(session, event, actor, now)


async def refund(
    session: AsyncSession,
    ticket_id: str,
    cents: int | None,
    actor: Actor,
    note: str,
    now: datetime,
    if_refunded: int | None = None,
) -> None:
    """See :meth:`mall_adapter.ports.BackOffice.refund`."""
    ticket, order = await tickets.read_locked(session, ticket_id)
    if if_refunded not in (None, ticket.refunded_cents):
        raise InvalidTransition(f"{ticket.refunded_cents} cents have been paid back, and not {if_refunded}")
    further = ticket.status is _S.REFUNDED and cents is not None
    due, most = payable(ticket, order)
    _step(session, ticket, _S.REFUNDED, actor, note, now, anyway=further)
    ticket.settled_at = ticket.settled_at or now
    lines = [line for line in ticket.lines if line.live]
    left = [line.paid_cents - line.refunded_cents for line in lines]
    if cents is None:
        cents = due
    elif not 0 < cents <= most:
        raise InvalidRefund(most)
    for line, share in zip(lines, refunds.share(min(cents, sum(left)), left), strict=True):
        line.refunded_cents += share
        line.order_line.refunded_cents += share
    order.refunded_cents += cents
    ticket.refunded_cents += cents
    if not further:
        await _put_back(session, ticket, actor, now)
        await _keep_unshipped(session, ticket, order, actor, now)
    event = Refunded(
        subject=f"ticket:{ticket_id}",
        region=order.region,
        order_id=order.id,
        cents=cents,
        freight_cents=max(0, cents - sum(left)),
        whole=ticket.refunded_cents >= ticket.refund_cents,
    )
    record(session, event, actor, now)


def payable(ticket: models.Ticket, order: models.Order) -> tuple[int, int]:
    """Cents that are due back now, and the most that may go.

    Freight goes back whole where nothing of an order was sent, or will be; else what was promised with the ticket."""
    pieces = sum(line.paid_cents - line.refunded_cents for line in ticket.lines if line.live)
    freight = refunds.freight_left(order)
    if order.status in orders.UNSHIPPED:
        due = freight if refunds.nothing_is_kept(order, ticket) else 0
    else:
        due = min(ticket.freight_cents, freight)
    return pieces + due, pieces + freight


def _step(
    session: AsyncSession,
    ticket: models.Ticket,
    to: TicketStatus,
    actor: Actor,
    note: str,
    now: datetime,
    *,
    anyway: bool = False,
) -> None:
    """Raises InvalidTransition where there is no such step."""
    if not anyway and to not in state_machine(ticket.kind, ticket.freight_payer).get(ticket.status, ()):
        raise InvalidTransition(f"a {ticket.kind} ticket cannot go from {ticket.status} to {to}")
    ticket.status = to
    session.add(tickets.event(ticket.id, now, to, actor, note))


async def _let_go(session: AsyncSession, lines: Iterable[models.TicketLine]) -> None:
    """Their pieces may have another ticket."""
    for line in lines:
        if line.live:
            line.live = False
            await tickets.hold(session, {line.order_line_id: -line.pieces})


async def _put_back(session: AsyncSession, ticket: models.Ticket, actor: Actor, now: datetime) -> None:
    """What came back and can be sold again lies in the warehouse again, now that it is the shop's."""
    pieces = [(line.order_line, line.sellable) for line in ticket.lines if line.sellable]
    cause = stock.Cause(f"{ticket.id}:settled", actor, now, ticket.order_id, ticket.id)
    await stock.take_back(session, pieces, cause)


async def _keep_unshipped(
    session: AsyncSession, ticket: models.Ticket, order: models.Order, actor: Actor, now: datetime
) -> None:
    """Money back before shipping: the pieces stay in the shop, and an order of which nothing is left is cancelled."""
    waiting = orders.unsent(order)
    known = ((case.order_line, min(case.pieces, waiting.get(case.order_line_id, 0))) for case in ticket.lines)
    kept = [(line, pieces) for line, pieces in known if pieces]
    if not kept:
        return
    await stock.release(session, kept, stock.Cause(f"{ticket.id}:unsent", actor, now, order.id, ticket.id))
    for line, pieces in kept:
        line.released += pieces
    parcels.follow(session, order, actor, now)
    if not order.shipments and not orders.unsent(order):
        order.status = OrderStatus.CANCELLED
