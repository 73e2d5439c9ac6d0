"""The experiment as it went: who was assigned to which variant, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.offers.events import OfferOutcome
from mall_adapter.offers.making import OfferAssigned, OfferSettled
from mall_adapter.values import OfferState
from storage import EventRow

KINDS = (OfferAssigned.kind, OfferSettled.kind, OfferOutcome.kind)
AT_ONCE = 500
"""Offers whose events are read by one statement."""


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


async def assigned(session: AsyncSession, experiment: str, until: datetime) -> Sequence[Assignment]:
    """Those of an experiment up to ``until``, in their order; told by the events, as customers may be merged since."""
    offer = models.Offer
    of_it = select(offer.id, offer.customer_id).where(
        offer.experiment == experiment, offer.variant != "", offer.made_at <= until
    )
    people = {f"offer:{each.id}": each.customer_id for each in await session.execute(of_it)}
    found: dict[str, Assignment] = {}
    cost, cancelled, stars = dict[str, int](), set[str](), dict[str, int]()
    for kind, subject, at, data in await _events(session, sorted(people)):
        if kind == OfferAssigned.kind:
            told = data["variant"], at, data["presale"], data["value_cents"]
            found[subject] = Assignment(people[subject], *told, cost_cents=0, cancelled=False, stars=None)
        elif kind == OfferSettled.kind and data["state"] == OfferState.ACCEPTED:
            cost[subject] = data["value_cents"]
        elif kind == OfferOutcome.kind and data["outcome"] == "cancelled":
            cancelled.add(subject)
        elif kind == OfferOutcome.kind:
            stars[subject] = data["stars"]
    return [
        replace(each, cost_cents=cost.get(subject, 0), cancelled=subject in cancelled, stars=stars.get(subject))
        for subject, each in found.items()
    ]


async def _events(session: AsyncSession, subjects: Sequence[str]) -> list[Any]:
    """In their order, for each subject."""
    event, found = EventRow, list[Any]()
    columns = select(event.kind, event.subject, event.at, event.data).where(event.kind.in_(KINDS))
    for first in range(0, len(subjects), AT_ONCE):
        some = subjects[first : first + AT_ONCE]
        found += await session.execute(columns.where(event.subject.in_(some)).order_by(event.subject, event.id))
    return found
