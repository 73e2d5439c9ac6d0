"""Parcels: what of an order has left the shop, where it is, and what that makes of the order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, orders, permissions, stock
from mall_adapter.errors import InvalidTransition, NotFound, NotPermitted
from mall_adapter.promises import promises
from mall_adapter.values import OrderStatus, ParcelStatus, ParcelStep
from storage import Actor, Event, record

LONGEST = {"carrier": 40, "tracking_number": 64, "place": 60, "text": 200}
"""Characters."""

_SLOW_CLOCK = timedelta(hours=1)
"""By how much a carrier's clock may be ahead of ours."""

_WAY = list(ParcelStatus)


@dataclass(frozen=True, slots=True)
class Waybill:
    """Raises ValueError where a carrier or a number is missing or too long."""

    carrier: str
    tracking_number: str

    def __post_init__(self) -> None:
        for name in ("carrier", "tracking_number"):
            _check_length(name, getattr(self, name), 1)


@dataclass(frozen=True, slots=True)
class ParcelShipped(Event):
    kind: ClassVar[str] = "parcel_shipped"
    order_id: str
    carrier: str
    pieces: dict[str, int]  # by order line


@dataclass(frozen=True, slots=True)
class ParcelMoved(Event):
    """Recorded at the time of the step, also where it came too late to change anything."""

    kind: ClassVar[str] = "parcel_moved"
    order_id: str
    status: ParcelStatus
    expected_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderShipped(Event):
    """The last of what is to be sent has left."""

    kind: ClassVar[str] = "order_shipped"


@dataclass(frozen=True, slots=True)
class OrderDelivered(Event):
    """Its last parcel has arrived."""

    kind: ClassVar[str] = "order_delivered"


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one line of an order is, as the after-sales rules ask for it."""

    status: OrderStatus
    delivered_at: datetime | None
    lost: bool
    late: bool


def of_line(order: models.Order, line: models.OrderLine, now: datetime) -> Stand:
    """By the parcels that hold it; of a line in several the last and the worst count.

    A line of which any piece has left is shipped, even where the order still waits for the rest. Parcels of which
    nobody wrote down what is in them may hold anything.
    """
    told = any(parcel.lines for parcel in order.shipments)
    holding = [
        parcel for parcel in order.shipments if not told or any(held.order_line_id == line.id for held in parcel.lines)
    ]
    late = any(parcel.promised_by and (parcel.delivered_at or now) > parcel.promised_by for parcel in holding)
    lost = any(parcel.status == ParcelStatus.LOST for parcel in holding)
    if not told or not holding or order.delivered_at:
        return Stand(order.status, order.delivered_at, lost, late)
    arrived = [parcel.delivered_at for parcel in holding if parcel.delivered_at]
    if len(arrived) < len(holding) or line.id in orders.unsent(order):
        return Stand(OrderStatus.SHIPPED, None, lost, late)
    return Stand(OrderStatus.DELIVERED, max(arrived), lost, late)


# ---- sending ----


async def ship(
    session: AsyncSession,
    actor: Actor,
    order_id: str,
    waybill: Waybill,
    pieces: Mapping[str, int] | None,
    fulfilment_id: str | None,
    now: datetime,
) -> None:
    """See :meth:`mall_adapter.ports.BackOffice.ship`. What was paid back before it left stays in the shop."""
    await orders.lock(session, order_id)
    order = await orders.read(session, order_id)
    theirs = {line.id: line for line in order.lines if fulfilment_id in (None, line.fulfilment_id)}
    if not theirs or (pieces is not None and not pieces.keys() <= theirs.keys()):
        raise NotFound("no such fulfilment or line in this order")
    # what is another supplier's is neither sent nor touched
    theirs = {line_id: line for line_id, line in theirs.items() if permissions.owns(actor, _supplier(line))}
    if not theirs or (pieces is not None and not pieces.keys() <= theirs.keys()):
        raise NotPermitted("another supplier's lines")
    if pieces is not None and (not pieces or min(pieces.values()) < 1):
        raise ValueError("a parcel holds at least one piece of each of its lines")
    if order.status not in {OrderStatus.PAID, OrderStatus.PRESALE}:
        raise InvalidTransition(f"an order that is {order.status} cannot be shipped")
    waiting = {line_id: count for line_id, count in orders.unsent(order).items() if line_id in theirs}
    packed = waiting if pieces is None else dict(pieces)
    if not packed or any(count > waiting.get(line_id, 0) for line_id, count in packed.items()):
        raise InvalidTransition("so many pieces do not wait to be shipped")
    lines = [theirs[line_id] for line_id in sorted(packed)]
    if any(case.ticket.settled_at is None for line in lines for case in line.live_tickets):
        raise InvalidTransition("a line that has an open ticket cannot be shipped")
    parcel_id = f"{order_id}-S{len(order.shipments) + 1}"
    cause = stock.Cause(parcel_id, actor, now, order_id)
    await stock.ship(session, [(line, packed[line.id]) for line in lines], cause)
    senders = {line.fulfilment_id for line in lines}
    words = _words().shipped
    parcel = models.Shipment(
        id=parcel_id,
        order_id=order_id,
        fulfilment_id=senders.pop() if len(senders) == 1 else None,  # of several: packed together
        carrier=waybill.carrier,
        tracking_number=waybill.tracking_number,
        status=ParcelStatus.IN_TRANSIT,
        promised_by=now + promises().arrives_within,
        shipped_at=now,
        lines=[models.ShipmentLine(order_line_id=line.id, quantity=packed[line.id]) for line in lines],
        events=[
            models.TrackingEvent(
                time=now,
                place=words.place,
                text=words.text.format(carrier=waybill.carrier),
                status=ParcelStatus.IN_TRANSIT,
                recorded_at=now,
            )
        ],
    )
    order.shipments.append(parcel)
    event = ParcelShipped(
        subject=f"shipment:{parcel.id}",
        region=order.region,
        order_id=order_id,
        carrier=waybill.carrier,
        pieces={line.id: packed[line.id] for line in lines},
    )
    record(session, event, actor, now)
    follow(session, order, actor, now)


def follow(session: AsyncSession, order: models.Order, actor: Actor, now: datetime) -> None:
    """Lets the order go as far as its parcels have come. Where nothing has left, nothing happens."""
    if not order.shipments:
        return
    order.ships_by = orders.promise(order) or order.ships_by
    if order.status in {OrderStatus.PAID, OrderStatus.PRESALE} and not orders.unsent(order):
        order.status = OrderStatus.SHIPPED
        record(session, OrderShipped(subject=f"order:{order.id}", region=order.region), actor, now)
    arrived = [parcel.delivered_at for parcel in order.shipments if parcel.delivered_at]
    if order.status is OrderStatus.SHIPPED and len(arrived) == len(order.shipments):
        order.status, order.delivered_at = OrderStatus.DELIVERED, max(arrived)
        record(session, OrderDelivered(subject=f"order:{order.id}", region=order.region), actor, max(arrived))


# ---- on the way ----


async def move(session: AsyncSession, actor: Actor, shipment_id: str, step: ParcelStep, now: datetime) -> str:
    """The parcel's order; see :meth:`mall_adapter.ports.BackOffice.parcel_moved`."""
    _check(step, now)
    order_id = await session.scalar(select(models.Shipment.order_id).where(models.Shipment.id == shipment_id))
    if order_id is None:
        raise NotFound(shipment_id)
    await orders.lock(session, order_id)
    order = await orders.read(session, order_id)
    parcel = next(parcel for parcel in order.shipments if parcel.id == shipment_id)
    inside = {line.order_line_id for line in parcel.lines}
    if not any(permissions.owns(actor, _supplier(line)) for line in order.lines if not inside or line.id in inside):
        raise NotPermitted("another supplier's parcel")
    text = step.text or _words().of(step)
    told = (step.at, step.status, step.place, text)
    if any((event.time, event.status, event.place, event.text) == told for event in parcel.events):
        return order_id  # a carrier that says it twice
    newest = max((_turn(event.time, event.status) for event in parcel.events), default=None)
    if parcel.status != ParcelStatus.DELIVERED:
        if step.status is ParcelStatus.DELIVERED:
            parcel.status, parcel.delivered_at = step.status, step.at
        elif newest is None or _turn(step.at, step.status) > newest:
            parcel.status = step.status
            parcel.expected_by = step.expected_by or parcel.expected_by
    parcel.events.append(
        models.TrackingEvent(time=step.at, place=step.place, text=text, status=step.status, recorded_at=now)
    )
    moved = ParcelMoved(
        subject=f"shipment:{shipment_id}",
        region=order.region,
        order_id=order_id,
        status=step.status,
        expected_by=step.expected_by,
    )
    record(session, moved, actor, step.at)
    follow(session, order, actor, now)
    return order_id


def _turn(at: datetime, status: ParcelStatus | None) -> tuple[datetime, int]:
    """Of two steps of one minute, the one that is further on its way is the newer."""
    return at, _WAY.index(status) if status else 0


def _supplier(line: models.OrderLine) -> str:
    return line.sku.product.supplier_id


def _check(step: ParcelStep, now: datetime) -> None:
    """Raises ValueError."""
    if step.status is ParcelStatus.CREATED:
        raise ValueError("a parcel is created by shipping it")
    if step.at.tzinfo is None or step.at > now + _SLOW_CLOCK:
        raise ValueError("a step needs a time with its zone, and not one in the future")
    if (step.status is ParcelStatus.DELAYED) != (step.expected_by is not None):
        raise ValueError("a delay, and nothing else, has a new date")
    if step.expected_by is not None and (step.expected_by.tzinfo is None or step.expected_by <= step.at):
        raise ValueError("the new date needs its zone, and lies after the step")
    _check_length("place", step.place, 0)
    _check_length("text", step.text, 0)


def _check_length(name: str, value: str, least: int) -> None:
    if not least <= len(value.strip()) <= len(value) <= LONGEST[name]:
        raise ValueError(f"{name} needs {least} to {LONGEST[name]} characters")


# ---- what is said of a step ----

_Text = Annotated[str, Field(min_length=1, max_length=LONGEST["text"])]


class _Shipped(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: _Text
    place: str


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: _Text
    at: _Text  # where the place is known


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid")
    shipped: _Shipped
    in_transit: _Step
    delayed: _Step
    out_for_delivery: _Step
    lost: _Step
    delivered: _Step

    def of(self, step: ParcelStep) -> str:
        words: _Step = getattr(self, step.status)
        return words.at.format(place=step.place) if step.place else words.text


@cache
def _words() -> _Words:
    """Raises pydantic's ValidationError where a sentence is missing."""
    file = Path(__file__).parent / "rules" / "parcels.yml"
    return TypeAdapter(_Words).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
