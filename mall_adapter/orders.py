"""Orders: whose they are, reading, placing, shipping and cancelling them, and the stock that moves with them."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import CompoundSelect, Select, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from mall_adapter import models
from mall_adapter.database import insert_numbered
from mall_adapter.mall import (
    InvalidTransition,
    NotFound,
    Order,
    OrderLine,
    OrderLocked,
    OrderNotFound,
    OrderStatus,
    OutOfStock,
    OwnershipRequired,
    Shipment,
    TicketStatus,
    TrackingEvent,
    WrongPhoneTail,
)

UNSHIPPED = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE})
"""States in which an order's pieces are allocated and still in the warehouse."""
PAID_BACK = frozenset({TicketStatus.REFUNDED, TicketStatus.CLOSED})
"""States of a ticket whose money has gone back."""

WRONG_TRIES = 5
LOCKED_FOR = timedelta(hours=1)
SHIPS_WITHIN = timedelta(hours=48)
ARRIVES_WITHIN = timedelta(days=4)


# ---- whose order it is ----


def owned_ids(sender: str) -> CompoundSelect[str]:
    """Ids of the orders of the sender's customer and of those that the sender has proved to own."""
    who = models.sender_index(sender)
    account, attempt = models.ChannelAccount, models.OwnershipAttempt
    return union_all(
        select(models.Order.id)
        .join(account, account.customer_id == models.Order.customer_id)
        .where(account.sender_index == who),
        select(attempt.order_id).where(attempt.sender_index == who, attempt.proven_at.is_not(None)),
    )


async def owned(session: AsyncSession, sender: str, order_id: str, now: datetime) -> models.Order:
    """The order if it is this sender's; else raises OrderNotFound, OwnershipRequired or OrderLocked."""
    locked_until = (
        select(models.OwnershipAttempt.locked_until)
        .where(
            models.OwnershipAttempt.sender_index == models.sender_index(sender),
            models.OwnershipAttempt.order_id == models.Order.id,
        )
        .scalar_subquery()
    )
    query = whole_orders().add_columns(models.Order.id.in_(owned_ids(sender)), locked_until)
    found = (await session.execute(query.where(models.Order.id == order_id))).unique().one_or_none()
    if found is None:
        raise OrderNotFound(order_id)
    order: models.Order = found[0]
    is_owner, until = found[1:]
    if is_owner:
        return order
    if until is not None and until > now:
        raise OrderLocked(until)
    raise OwnershipRequired(order_id)


async def prove(
    session: AsyncSession, sender: str, order_id: str, phone_tail: str, now: datetime
) -> WrongPhoneTail | OrderLocked | None:
    """Compares ``phone_tail`` with the order's; None when it is (or already was) proved.

    A refusal is returned and not raised, so that the transaction commits the counted try.
    """
    await lock(session, order_id)
    try:
        order = await owned(session, sender, order_id, now)
    except OrderLocked as locked:
        return locked
    except OwnershipRequired:
        order = await session.get_one(models.Order, order_id)
    else:
        return None
    who = models.sender_index(sender)
    attempt = await session.get(models.OwnershipAttempt, (who, order_id))
    if attempt is None:
        attempt = models.OwnershipAttempt(sender_index=who, order_id=order_id, wrong_tries=0)
        session.add(attempt)
    if attempt.locked_until is not None:  # an hour has passed
        attempt.wrong_tries, attempt.locked_until = 0, None
    if hmac.compare_digest(models.phone_tail_index(order_id, phone_tail), order.phone_tail_index):
        attempt.proven_at = now
        return None
    attempt.wrong_tries += 1
    if attempt.wrong_tries < WRONG_TRIES:
        return WrongPhoneTail(WRONG_TRIES - attempt.wrong_tries)
    attempt.locked_until = now + LOCKED_FOR
    return OrderLocked(attempt.locked_until)


# ---- reading ----


def whole_orders() -> Select[models.Order]:
    """Orders with everything that :func:`to_order` reads, in two queries."""
    line = joinedload(models.Order.lines)
    return (
        select(models.Order)
        .options(
            line.joinedload(models.OrderLine.sku)
            .load_only(models.Sku.product_id)
            .joinedload(models.Sku.product)
            .load_only(models.Product.category, models.Product.trade, models.Product.fresh, models.Product.custom_made),
            line.joinedload(models.OrderLine.live_ticket).joinedload(models.TicketLine.ticket),
            selectinload(models.Order.shipments).joinedload(models.Shipment.events),
        )
        .execution_options(populate_existing=True)
    )


async def lock(session: AsyncSession, order_id: str) -> None:
    """Makes writers of one order, its tickets and its proofs of ownership wait for each other.

    A statement of its own: on PostgreSQL only the next statement sees what the one that held the lock has committed.
    """
    await session.execute(select(models.Order.id).where(models.Order.id == order_id).with_for_update())


async def read(session: AsyncSession, order_id: str) -> models.Order:
    """Without asking whose it is. Raises OrderNotFound."""
    order = (await session.scalars(whole_orders().where(models.Order.id == order_id))).unique().one_or_none()
    if order is None:
        raise OrderNotFound(order_id)
    return order


async def newest_owned(session: AsyncSession, sender: str, limit: int) -> Sequence[models.Order]:
    newest = (
        select(models.Order.id)
        .where(models.Order.id.in_(owned_ids(sender)))
        .order_by(models.Order.placed_at.desc(), models.Order.id.desc())
        .limit(limit)
    )
    query = whole_orders().where(models.Order.id.in_(newest))
    return (await session.scalars(query.order_by(models.Order.placed_at.desc(), models.Order.id.desc()))).unique().all()


def to_order(row: models.Order) -> Order:
    return Order(
        id=row.id,
        status=row.status,
        placed_at=row.placed_at,
        total_cents=row.total_cents,
        ships_by=row.ships_by,
        delivered_at=row.delivered_at,
        lines=tuple(_to_line(line) for line in row.lines),
        shipments=tuple(_to_shipment(shipment) for shipment in row.shipments),
    )


def _to_line(row: models.OrderLine) -> OrderLine:
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
    )


# ---- placing, shipping, cancelling ----


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
    await _allocate(session, items)

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


async def ship(session: AsyncSession, order_id: str, carrier: str, tracking_number: str, now: datetime) -> None:
    """Hands the order's pieces to a carrier; lines that were refunded before stay in the shop.

    Raises InvalidTransition unless the order is waiting to be shipped and no ticket on it is still being handled.
    """
    await lock(session, order_id)
    order = await read(session, order_id)
    if order.status not in {OrderStatus.PAID, OrderStatus.PRESALE} or any(
        line.live_ticket and line.live_ticket.ticket.status not in PAID_BACK for line in order.lines
    ):
        raise InvalidTransition(f"an order that is {order.status} or has an open ticket cannot be shipped")
    for sku_id, pieces in _pieces(line for line in order.lines if not line.live_ticket):
        await session.execute(
            update(models.Sku)
            .where(models.Sku.id == sku_id)
            .values(quantity=models.Sku.quantity - pieces, allocated=models.Sku.allocated - pieces)
        )
    order.status = OrderStatus.SHIPPED
    session.add(
        models.Shipment(
            id=f"{order_id}-S1",
            order_id=order_id,
            carrier=carrier,
            tracking_number=tracking_number,
            status="in_transit",
            promised_by=now + ARRIVES_WITHIN,
            shipped_at=now,
            events=[models.TrackingEvent(time=now, place="商家仓库", text=f"商家已发货,{carrier}已揽收")],
        )
    )


async def cancel(session: AsyncSession, sender: str, order_id: str, now: datetime) -> None:
    """Before shipping only; a line that already has a live ticket is settled by that ticket, not by a cancellation."""
    await lock(session, order_id)
    order = await owned(session, sender, order_id, now)
    if order.status not in UNSHIPPED or any(line.live_ticket for line in order.lines):
        raise InvalidTransition(f"an order that is {order.status} or has a ticket cannot be cancelled")
    order.status = OrderStatus.CANCELLED
    await release(session, order.lines)


# ---- stock; SKUs always in the same order, so that two orders cannot wait for each other in a circle ----


async def _allocate(session: AsyncSession, items: Mapping[str, int]) -> None:
    free = models.Sku.quantity - models.Sku.allocated - models.Sku.reserved
    for sku_id, pieces in sorted(items.items()):
        taken = await session.scalar(
            update(models.Sku)
            .where(models.Sku.id == sku_id, free >= pieces)
            .values(allocated=models.Sku.allocated + pieces)
            .returning(models.Sku.id)
        )
        if taken is None:
            raise OutOfStock(sku_id)


async def release(session: AsyncSession, lines: Iterable[models.OrderLine]) -> None:
    """Gives back the allocated pieces of lines that will not be shipped."""
    for sku_id, pieces in _pieces(lines):
        await session.execute(
            update(models.Sku).where(models.Sku.id == sku_id).values(allocated=models.Sku.allocated - pieces)
        )


def _pieces(lines: Iterable[models.OrderLine]) -> list[tuple[str, int]]:
    """Pieces by SKU, in the order in which SKUs are locked."""
    pieces: Counter[str] = Counter()
    for line in lines:
        pieces[line.sku_id] += line.quantity
    return sorted(pieces.items())
