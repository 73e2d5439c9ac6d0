"""What happens in the mall, read for offers: something that is to be made good without a word of the customer, and what
became of those who were offered something. No event is missed or counted twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, orders, parcels, people, presale
from mall_adapter.actors import RULES
from mall_adapter.desk import ConversationRated
from mall_adapter.notices import notify, wants_marketing
from mall_adapter.notices.events import READER as FACTS  # which come before what is offered
from mall_adapter.offers import making
from mall_adapter.offers.making import Rules
from mall_adapter.values import Feeling, OfferKind, ParcelStatus
from privacy import current_ring
from privacy.conversations import conversation_of
from settings import SHANGHAI
from storage import WRITES, Event, EventRow, locked_cursor, read_events, record

READER, LATE = "offers", "offers_late"
FOLLOWED = timedelta(days=14)
"""After an offer was assigned, what its customer does is put down to it for so long."""

_TROUBLE = frozenset({ParcelStatus.DELAYED, ParcelStatus.LOST})
KINDS = (presale.PresaleMoved.kind, parcels.ParcelMoved.kind, orders.OrderRefunded.kind, ConversationRated.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferOutcome(Event):
    """``subject`` is the offer, also one that was withheld: its order was cancelled, or its customer rated the service,
    within :data:`FOLLOWED`."""

    kind: ClassVar[str] = "offer_outcome"
    outcome: Literal["cancelled", "rated"]
    stars: int | None = None


async def read_on(engine: AsyncEngine, rules: Rules, now: datetime) -> bool:
    """Reads the next events; whether there may be more. Any number may read at once: each goes on where the last one
    ended."""

    async def take(session: AsyncSession, event: EventRow) -> None:
        await _read(session, rules, event, now)

    return await read_events(engine, READER, KINDS, take, behind=FACTS)


async def _read(session: AsyncSession, rules: Rules, event: EventRow, now: datetime) -> None:
    _, _, subject = event.subject.partition(":")
    match event.kind:
        case presale.PresaleMoved.kind:
            await _unasked(session, rules, subject, now)
        case parcels.ParcelMoved.kind:
            if event.data["status"] in _TROUBLE:
                await _unasked(session, rules, event.data["order_id"], now)
        case orders.OrderRefunded.kind:
            of_order = models.Offer.order_id == subject
            await _follow(session, of_order, event, now, OfferOutcome(subject="", outcome="cancelled"))
        case ConversationRated.kind:
            theirs = (
                models.Offer.customer_id
                == select(models.Principal.customer_id)
                .where(models.Principal.id == event.principal_id)
                .scalar_subquery()
            )
            rated = OfferOutcome(subject="", outcome="rated", stars=event.data["stars"])
            await _follow(session, theirs, event, now, rated)


async def _follow(session: AsyncSession, which: Any, event: EventRow, now: datetime, outcome: OfferOutcome) -> None:
    """Of the newest offer that was assigned lately; of each customer and outcome the last one counts."""
    offer = models.Offer
    assigned = select(offer.id).where(which, offer.variant != "", offer.made_at <= event.at)
    assigned = assigned.where(offer.made_at > event.at - FOLLOWED).order_by(offer.made_at.desc()).limit(1)
    if offer_id := await session.scalar(assigned):
        told = OfferOutcome(subject=f"offer:{offer_id}", outcome=outcome.outcome, stars=outcome.stars)
        record(session, told, RULES, event.at)


async def _unasked(session: AsyncSession, rules: Rules, order_id: str, now: datetime) -> None:
    """Something went wrong with the order: its customer hears what is offered, if they want to hear of offers; where
    money is not the answer, colleagues do."""
    await orders.lock(session, order_id)
    order = await orders.read(session, order_id)
    senders = await people.heard(session, order.customer_id)
    if not senders:
        return
    wanted = await wants_marketing(session, order.customer_id)
    offer = await making.propose(session, rules, order, Feeling.UNASKED, now, costly=wanted)
    if offer is None:
        return
    if offer.kind in (OfferKind.PERSON, OfferKind.FASTER):
        conversation = conversation_of(current_ring(), senders[0][0])
        await making.ask_colleagues(session, offer, conversation, now)
        return
    about = f"offer:{offer.id}"
    values = _values(offer)
    await notify(session, order.customer_id, "offer", values, about=about, cause=about, at=now, now=now)


def _values(offer: models.Offer) -> Mapping[str, str]:
    until = offer.good_until.astimezone(SHANGHAI)
    anything = offer.kind is OfferKind.COUPON and not offer.min_spend_cents
    return {
        "form": "coupon_for_anything" if anything else str(offer.kind),
        "offer_id": offer.id,
        "order_id": offer.order_id,
        "yuan": f"{offer.value_cents / 100:.2f}".removesuffix(".00"),
        "least": f"{offer.min_spend_cents / 100:.2f}".removesuffix(".00"),
        "days": str(offer.valid_days),
        "points": str(offer.points),
        "month": str(until.month),
        "day": str(until.day),
        "time": f"{until:%H:%M}",
        "date": f"{until:%Y-%m-%d}",
    }


async def offer_for_late_parcels(engine: AsyncEngine, rules: Rules, now: datetime) -> None:
    """No event tells that a promised day is over: those parcels whose was over since the last look."""
    parcel = models.Shipment
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        cursor = await locked_cursor(session, LATE, int(now.timestamp()))
        since = datetime.fromtimestamp(cursor.position, UTC)
        late = select(parcel.order_id).where(
            parcel.delivered_at.is_(None), parcel.promised_by > since, parcel.promised_by <= now
        )
        for order_id in dict.fromkeys(await session.scalars(late.order_by(parcel.promised_by, parcel.id))):
            await _unasked(session, rules, order_id, now)
        cursor.position = max(cursor.position, int(now.timestamp()))


async def expire(engine: AsyncEngine, now: datetime) -> bool:
    """Ends some of those that nobody has accepted in time; whether there may be more."""
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        return await making.expire(session, now)
