"""The experiment as it went: who was assigned to which variant, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.offers.events import OfferOutcome
from mall_adapter.offers.making import OfferAssigned, OfferSettled
from mall_adapter.values import OfferState
from storage import EventRow


@dataclass(frozen=True, slots=True)
class Assignment:
    customer_id: str  # as they are kept now
    variant: str
    assigned_at: datetime
    presale: bool
    offered_cents: int  # 0: withheld
    cost_cents: int  # of what was accepted
    cancelled: bool  # the order, within the days that are followed
    stars: int | None  # the last rating within them


async def assignments(session: AsyncSession, experiment: str, until: datetime) -> Sequence[Assignment]:
    """Those of an experiment up to ``until``, in their order; told by the events, as customers may be merged since."""
    offer, event = models.Offer, EventRow
    of_it = select(offer.id, offer.customer_id).where(
        offer.experiment == experiment, offer.variant != "", offer.made_at <= until
    )
    people = {f"offer:{each.id}": each.customer_id for each in await session.execute(of_it)}
    kinds = (OfferAssigned.kind, OfferSettled.kind, OfferOutcome.kind)
    found: dict[str, Assignment] = {}
    cost, cancelled, stars = dict[str, int](), set[str](), dict[str, int]()
    rows = select(event.kind, event.subject, event.at, event.data).where(event.kind.in_(kinds)).order_by(event.id)
    for kind, subject, at, data in await session.execute(rows):
        if subject not in people:
            continue
        if kind == OfferAssigned.kind:
            found[subject] = Assignment(
                people[subject], data["variant"], at, data["presale"], data["value_cents"], 0, False, None
            )
        elif kind == OfferSettled.kind and data["state"] == OfferState.ACCEPTED:
            cost[subject] = data["value_cents"]
        elif kind == OfferOutcome.kind and data["outcome"] == "cancelled":
            cancelled.add(subject)
        elif kind == OfferOutcome.kind:
            stars[subject] = data["stars"]
    return [
        Assignment(
            each.customer_id,
            each.variant,
            each.assigned_at,
            each.presale,
            each.offered_cents,
            cost.get(subject, 0),
            subject in cancelled,
            stars.get(subject),
        )
        for subject, each in found.items()
    ]
