"""Orders: reading and cancelling them, and the stock that moves with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import CompoundSelect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from mall_adapter import coupons, models, refunds, stock
from mall_adapter.errors import InvalidTransition, OrderNotFound
from mall_adapter.stock import Cause
from mall_adapter.values import Order, OrderLine, OrderStatus, Shipment, TrackingEvent
from storage import Actor, Event, record

UNSHIPPED = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE})
"""States in which an order's pieces are allocated and still in the warehouse."""


@dataclass(frozen=True, slots=True)
class OrderRefunded(Event):
    """An order that was cancelled is paid back as a whole."""

    kind: ClassVar[str] = "order_refunded"
    cents: int


_line = joinedload(models.Order.lines)
WHOLE_ORDERS = (
    select(models.Order)
    .options(
        _line.joinedload(models.OrderLine.sku)
        .load_only(models.Sku.product_id)
        .joinedload(models.Sku.product)
        .load_only(
            *(models.Product.supplier_id, models.Product.category, models.Product.trade, models.Product.fresh),
            *(models.Product.custom_made, models.Product.presale_days, models.Product.made_days),
        ),
        _line.joinedload(models.OrderLine.fulfilment),
        _line.joinedload(models.OrderLine.live_tickets).joinedload(models.TicketLine.ticket),
        selectinload(models.Order.shipments).options(
            joinedload(models.Shipment.events), selectinload(models.Shipment.lines)
        ),
    )
    .execution_options(populate_existing=True)
)
"""Orders with everything that :func:`to_order` and the rules read, in three queries."""


# ---- reading ----


async def lock(session: AsyncSession, order_id: str) -> None:
    """Makes writers of one order, its tickets and its proofs of ownership wait for each other.

    A statement of its own: on PostgreSQL only the next statement sees what the one that held the lock has committed.
    """
    await session.execute(select(models.Order.id).where(models.Order.id == order_id).with_for_update())


async def lock_all_of(session: AsyncSession, customer_id: str) -> None:
    """:func:`lock` for every order that the customer has now."""
    theirs = select(models.Order.id).where(models.Order.customer_id == customer_id).order_by(models.Order.id)
    await session.execute(theirs.with_for_update())


async def read(session: AsyncSession, order_id: str) -> models.Order:
    """Without asking whose it is. Raises OrderNotFound."""
    order = (await session.scalars(WHOLE_ORDERS.where(models.Order.id == order_id))).unique().one_or_none()
    if order is None:
        raise OrderNotFound(order_id)
    return order


async def newest(session: AsyncSession, ids: CompoundSelect[str], limit: int) -> Sequence[models.Order]:
    order = models.Order.placed_at.desc(), models.Order.id.desc()
    chosen = select(models.Order.id).where(models.Order.id.in_(ids)).order_by(*order).limit(limit)
    return (await session.scalars(WHOLE_ORDERS.where(models.Order.id.in_(chosen)).order_by(*order))).unique().all()


def unsent(order: models.Order) -> dict[str, int]:
    """Pieces by line that have still to leave the shop; the lines of which none has are left out."""
    if order.status not in UNSHIPPED:
        return {}
    left = Counter[str]()
    for parcel in order.shipments:
        left.update({line.order_line_id: line.quantity for line in parcel.lines})
    rest = {line.id: line.quantity - line.released - left[line.id] for line in order.lines}
    return {line_id: pieces for line_id, pieces in rest.items() if pieces > 0}


def promise(order: models.Order) -> datetime | None:
    """By when the next of its parcels is promised to leave; None where nothing waits."""
    waiting = unsent(order)
    own = (line.fulfilment.ships_by for line in order.lines if line.id in waiting and line.fulfilment)
    return min((ships_by for ships_by in own if ships_by), default=None)


def to_order(row: models.Order) -> Order:
    waiting = unsent(row)
    return Order(
        id=row.id,
        status=row.status,
        placed_at=row.placed_at,
        total_cents=row.total_cents,
        ships_by=row.ships_by,
        delivered_at=row.delivered_at,
        lines=tuple(_to_line(line, waiting.get(line.id, 0)) for line in row.lines),
        shipments=tuple(_to_shipment(shipment) for shipment in row.shipments),
        discount_cents=row.discount_cents,
        freight_cents=row.freight_cents,
        paid_at=row.paid_at,
        pay_by=row.pay_by,
    )


def _to_line(row: models.OrderLine, waiting: int) -> OrderLine:
    return OrderLine(
        id=row.id,
        sku_id=row.sku_id,
        product_id=row.sku.product_id,
        product_name=row.product_name,
        spec=row.spec,
        category=row.sku.product.category,
        quantity=row.quantity,
        unit_price_cents=row.unit_price_cents,
        free=refunds.free_pieces(row),
        ticket_ids=tuple(case.ticket_id for case in newest_last(row.live_tickets)),
        unsent=waiting,
        discount_cents=row.discount_cents,
        ships_by=row.ships_by,
    )


def newest_last(cases: Iterable[models.TicketLine]) -> list[models.TicketLine]:
    return sorted(cases, key=lambda case: (case.ticket.created_at, case.ticket_id))


def _to_shipment(row: models.Shipment) -> Shipment:
    return Shipment(
        id=row.id,
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        status=row.status,
        promised_by=row.promised_by,
        shipped_at=row.shipped_at,
        delivered_at=row.delivered_at,
        events=tuple(TrackingEvent(event.time, event.place, event.text) for event in row.events),
        lines={line.order_line_id: line.quantity for line in row.lines},
        expected_by=row.expected_by,
    )


# ---- cancelling ----


async def cancel(session: AsyncSession, order: models.Order, by: Actor, now: datetime) -> None:
    """Before any of it has left; a line that has a live ticket is settled by that ticket. What was paid goes back, but
    no coupon: only where nothing was paid may it be used again. The caller holds :func:`lock`."""
    if order.status not in UNSHIPPED or order.shipments or any(line.live_tickets for line in order.lines):
        raise InvalidTransition(f"an order that is {order.status}, has a parcel or a ticket cannot be cancelled")
    unpaid = order.status is OrderStatus.PENDING_PAYMENT
    if not unpaid and (cents := refunds.pay_back_order(order)):
        record(session, OrderRefunded(subject=f"order:{order.id}", region=order.region, cents=cents), by, now)
    order.status = OrderStatus.CANCELLED
    for line in order.lines:
        line.released = line.quantity
    cause = Cause(f"{order.id}:cancelled", by, now, order.id)
    await stock.release(session, [(line, line.quantity) for line in order.lines], cause)
    if unpaid and order.coupon_id:
        await coupons.give_back(session, order.coupon_id)
