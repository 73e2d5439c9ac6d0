"""What happened in the mall, read in its order, and what of it somebody is told: no event is missed or told twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, parcels, presale, ticket_steps
from mall_adapter.notices.kinds import KindName
from mall_adapter.notices.telling import notify
from mall_adapter.values import ParcelStatus, TicketStatus
from settings import SHANGHAI
from storage import EventRow, Role, read_events

READER = "notices"
TICKET_STEPS = {
    ticket_steps.GoodsReceived.kind: TicketStatus.GOODS_RECEIVED,
    ticket_steps.Refunded.kind: TicketStatus.REFUNDED,
    ticket_steps.TicketAdvanced.kind: None,  # as it says itself
}
TOLD_STEPS = frozenset(
    {
        TicketStatus.APPROVED,
        TicketStatus.REJECTED,
        TicketStatus.GOODS_RECEIVED,
        TicketStatus.REFUNDED,
        TicketStatus.EXCHANGED,
    }
)
"""A ticket that is closed had its end told before; one that was cancelled, the customer or a person has cancelled."""

KINDS = (*TICKET_STEPS, parcels.ParcelMoved.kind, presale.PresaleMoved.kind)


Told = tuple[str, KindName, Mapping[str, str], str]
"""The customer, the kind, what is filled in, and what it is about."""


async def read_on(engine: AsyncEngine, now: datetime) -> bool:
    """Reads the next events and writes down what is to be told; whether there may be more. Any number may read at once:
    each goes on where the last one ended."""

    async def take(session: AsyncSession, event: EventRow) -> None:
        if told := await _told(session, event):
            customer_id, kind, values, about = told
            cause = f"event:{event.id}"
            await notify(session, customer_id, kind, values, about=about, cause=cause, at=event.at, now=now)

    return await read_events(engine, READER, KINDS, take)


async def _told(session: AsyncSession, event: EventRow) -> Told | None:
    if event.role is Role.CUSTOMER:  # who did it knows it
        return None
    _, _, subject = event.subject.partition(":")
    match event.kind:
        case parcels.ParcelMoved.kind:
            return await _of_parcel(session, subject, event.data)
        case presale.PresaleMoved.kind:
            return await _of_presale(session, subject, event.data)
    return await _of_ticket(session, subject, event)


async def _of_ticket(session: AsyncSession, ticket_id: str, event: EventRow) -> Told | None:
    status = TICKET_STEPS[event.kind] or TicketStatus(event.data["to"])
    query = select(models.Order.customer_id, models.Ticket.order_id, models.Ticket.summary)
    found = (await session.execute(query.join(models.Order).where(models.Ticket.id == ticket_id))).one_or_none()
    if found is None or status not in TOLD_STEPS:
        return None
    values = {"status": str(status), "ticket_id": ticket_id, "order_id": found.order_id, "goods": found.summary}
    if "cents" in event.data:
        values["yuan"] = f"{event.data['cents'] / 100:.2f}"
    return found.customer_id, "ticket_moved", values, f"ticket:{ticket_id}"


async def _of_parcel(session: AsyncSession, shipment_id: str, data: Mapping[str, Any]) -> Told | None:
    """Only what is still so: carriers tell late, twice and out of order."""
    query = select(models.Shipment, models.Order.customer_id).join(models.Order)
    found = (await session.execute(query.where(models.Shipment.id == shipment_id))).one_or_none()
    if found is None or found.Shipment.status != data["status"]:
        return None
    values = {"order_id": found.Shipment.order_id, "carrier": found.Shipment.carrier}
    about = f"shipment:{shipment_id}"
    if data["status"] == ParcelStatus.DELIVERED:
        return found.customer_id, "parcel_delivered", values, about
    expected_by = found.Shipment.expected_by
    if data["status"] != ParcelStatus.DELAYED or expected_by != datetime.fromisoformat(data["expected_by"]):
        return None
    return found.customer_id, "parcel_delayed", values | day(expected_by), about


async def _of_presale(session: AsyncSession, order_id: str, data: Mapping[str, Any]) -> Told | None:
    query = select(models.Order.customer_id, models.Order.ships_by, models.Product.name)
    found = (
        await session.execute(query.where(models.Order.id == order_id, models.Product.id == data["product_id"]))
    ).one_or_none()
    ships_by = datetime.fromisoformat(data["ships_by"])
    if found is None:
        return None
    values = {"order_id": order_id, "product": found.name} | day(ships_by)
    return found.customer_id, "presale_moved", values, f"order:{order_id}"


def day(moment: datetime) -> dict[str, str]:
    """A day of Asia/Shanghai, as either language fills it in."""
    here = moment.astimezone(SHANGHAI)
    return {"month": str(here.month), "day": str(here.day), "date": f"{here:%Y-%m-%d}"}
