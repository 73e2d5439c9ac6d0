"""What the table of offers may ask about an order, as it stands in the mall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, orders
from mall_adapter.facts import WINDOW, OfferFacts
from mall_adapter.presale import PresaleMoved
from mall_adapter.values import Feeling, OfferState, OrderStatus, ParcelStatus, Standing, TicketStatus
from storage import EventRow

FEWEST = 5
"""Parcels of a supplier from which their share of late ones says something."""

_ARRIVED = frozenset({OrderStatus.DELIVERED, OrderStatus.COMPLETED})
_NOTHING_BOUGHT = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Case:
    """An order about which somebody may worry. ``reason``: for what it is made good, once."""

    facts: OfferFacts
    reason: str
    supplier_id: str | None


async def look_at(session: AsyncSession, order: models.Order, feeling: Feeling, now: datetime) -> Case | None:
    """None where there is nothing to make good: it is not paid, or its goods are on their way back."""
    if order.status in _NOTHING_BOUGHT or any(line.live_tickets for line in order.lines):
        return None
    standing = standing_of(order, now)
    moved = standing is Standing.PRESALE and await _moved(session, order.id)
    supplier_id = _supplier(order, now)
    facts = OfferFacts(
        feeling=feeling,
        standing=standing,
        promise_moved=moved,
        paid_cents=order.total_cents - order.refunded_cents,
        tickets_last_90_days=await _tickets(session, order.customer_id, now),
        offers_last_90_days=await _accepted(session, order.customer_id, now),
        supplier_late_percent=await _late_percent(session, supplier_id, now),
    )
    return Case(facts, "presale_moved" if moved else str(standing), supplier_id)


def standing_of(order: models.Order, now: datetime) -> Standing:
    """Of several parcels that of the one which went worst."""
    travelling = [parcel for parcel in order.shipments if parcel.delivered_at is None]
    if any(parcel.status == ParcelStatus.LOST for parcel in travelling):
        return Standing.LOST
    if order.status in _ARRIVED:
        return Standing.DELIVERED
    overdue = order.status in orders.UNSHIPPED and order.ships_by is not None and order.ships_by < now
    if overdue or _late(travelling, now):
        return Standing.LATE
    return Standing.PRESALE if order.status is OrderStatus.PRESALE else Standing.WAITING


def _late(parcels: Iterable[models.Shipment], now: datetime) -> list[models.Shipment]:
    """Those that were promised before now, and those that the carrier expects after what was promised."""
    return [
        parcel
        for parcel in parcels
        if parcel.promised_by and (parcel.promised_by < now or (parcel.expected_by or now) > parcel.promised_by)
    ]


def _supplier(order: models.Order, now: datetime) -> str | None:
    """Who sends the parcel that is late, else whose part is the first."""
    late = [parcel.fulfilment_id for parcel in _late(order.shipments, now)]
    parts = [line.fulfilment for line in order.lines]
    return next((part.supplier_id for part in parts if part.id in late), parts[0].supplier_id if parts else None)


async def _moved(session: AsyncSession, order_id: str) -> bool:
    """Whether its promise was moved to a later day."""
    event = EventRow
    moves = select(event.data).where(event.subject == f"order:{order_id}", event.kind == PresaleMoved.kind)
    return any(data.get("promised") and data["promised"] < data["ships_by"] for data in await session.scalars(moves))


async def _tickets(session: AsyncSession, customer_id: str, now: datetime) -> int:
    ticket, order = models.Ticket, models.Order
    theirs = select(func.count()).select_from(ticket).join(order, order.id == ticket.order_id)
    theirs = theirs.where(order.customer_id == customer_id, ticket.created_at >= now - WINDOW)
    return int(await session.scalar(theirs.where(ticket.status != TicketStatus.CANCELLED)) or 0)


async def _accepted(session: AsyncSession, customer_id: str, now: datetime) -> int:
    offer = models.Offer
    theirs = select(func.count()).where(offer.customer_id == customer_id, offer.made_at >= now - WINDOW)
    return int(await session.scalar(theirs.where(offer.state == OfferState.ACCEPTED)) or 0)


async def _late_percent(session: AsyncSession, supplier_id: str | None, now: datetime) -> int:
    """Of the parcels that they sent in the last 90 days."""
    parcel, part = models.Shipment, models.Fulfilment
    late = or_(
        parcel.delivered_at > parcel.promised_by,
        and_(parcel.delivered_at.is_(None), parcel.promised_by < now),
    )
    sent = (
        select(func.count(), func.count().filter(late))
        .select_from(parcel)
        .join(part, part.id == parcel.fulfilment_id)
        .where(part.supplier_id == supplier_id, parcel.shipped_at >= now - WINDOW)
    )
    parcels, of_them_late = (await session.execute(sent)).one()
    return round(100 * of_them_late / parcels) if parcels >= FEWEST else 0
