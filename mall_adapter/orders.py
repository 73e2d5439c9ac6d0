"""Orders: reading, placing and cancelling them, and the stock that moves with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import CompoundSelect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from mall_adapter import models, stock
from mall_adapter.errors import InvalidTransition, NotFound, OrderNotFound
from mall_adapter.values import Order, OrderLine, OrderStatus, Shipment, TicketStatus, TrackingEvent
from storage import insert_numbered

UNSHIPPED = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE})
"""States in which an order's pieces are allocated and still in the warehouse."""
PAID_BACK = frozenset({TicketStatus.REFUNDED, TicketStatus.CLOSED})
"""States of a ticket whose money has gone back."""

SHIPS_WITHIN = timedelta(hours=48)
ARRIVES_WITHIN = timedelta(days=4)


_line = joinedload(models.Order.lines)
WHOLE_ORDERS = (
    select(models.Order)
    .options(
        _line.joinedload(models.OrderLine.sku)
        .load_only(models.Sku.product_id)
        .joinedload(models.Sku.product)
        .load_only(
            models.Product.supplier_id,
            models.Product.category,
            models.Product.trade,
            models.Product.fresh,
            models.Product.custom_made,
        ),
        _line.joinedload(models.OrderLine.live_ticket).joinedload(models.TicketLine.ticket),
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
        open_ticket_id=row.live_ticket.ticket_id if row.live_ticket else None,
        unsent=waiting,
    )


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


# ---- placing, cancelling ----


async def place(session: AsyncSession, customer_id: str, items: Mapping[str, int], now: datetime) -> str:
    """The id of a new paid order. Raises NotFound (customer or SKU), OutOfStock, or ValueError for a bad quantity."""
    if not items or any(quantity < 1 for quantity in items.values()):
        raise ValueError("an order needs at least one piece of each of its items")
    customer = await session.get(models.Customer, customer_id)
    found = await session.scalars(
        select(models.Sku)
        .where(models.Sku.id.in_(items))
        .options(joinedload(models.Sku.product))
        .order_by(models.Sku.id)
    )
    skus = found.all()
    if customer is None or len(skus) < len(items):
        raise NotFound("no such customer or SKU")
    await stock.allocate(session, items)

    order_id = await insert_numbered(
        session,
        models.Order,
        "ORD",
        now,
        lambda order_id: {
            "customer_id": customer_id,
            "status": OrderStatus.PAID,
            "placed_at": now,
            "ships_by": now + SHIPS_WITHIN,
            "total_cents": sum(sku.price_cents * items[sku.id] for sku in skus),
            "region": customer.region,
            "recipient_name": customer.name,
            "recipient_phone": customer.phone,
            "recipient_address": customer.address,
            "phone_tail_index": models.phone_tail_index(order_id, customer.phone),
        },
    )
    session.add_all(
        models.OrderLine(
            id=f"{order_id}-{position}",
            order_id=order_id,
            sku_id=sku.id,
            product_name=sku.product.name,
            spec=sku.spec,
            quantity=items[sku.id],
            unit_price_cents=sku.price_cents,
        )
        for position, sku in enumerate(skus, 1)
    )
    return order_id


async def cancel(session: AsyncSession, order: models.Order) -> None:
    """Before any of it has left; a line that has a live ticket is settled by that ticket. The caller holds
    :func:`lock`."""
    if order.status not in UNSHIPPED or order.shipments or any(line.live_ticket for line in order.lines):
        raise InvalidTransition(f"an order that is {order.status}, has a parcel or a ticket cannot be cancelled")
    order.status = OrderStatus.CANCELLED
    for line in order.lines:
        line.released = line.quantity
    await stock.release(session, [(line, line.quantity) for line in order.lines])
