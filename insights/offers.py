"""Whether offers to worried customers keep presale orders from being cancelled, and what that costs, by variant.

Customers are compared as they were assigned, whether or not they accepted. Each counts once, with what they were
assigned first, and only when the days are over in which what they do is put down to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from insights.intervals import difference, share
from mall_adapter.offers import FOLLOWED, Assignment, assigned

CONTROL = "none"
"""The variant that gets nothing, with which the others are compared."""


@dataclass(frozen=True, slots=True)
class VariantReport:
    """Shares are from 0 to 1, intervals of 95 per cent; ``against_control`` is None of the control itself."""

    variant: str
    customers: int
    accepted: int
    presales: int  # customers who were assigned for a presale order
    cancelled: int  # of these orders
    cancel_rate: float
    cancel_interval: tuple[float, float]
    against_control: tuple[float, float] | None
    cost_cents: int
    cost_cents_each: float  # for each customer
    rated: int
    stars: float | None  # their mean


@dataclass(frozen=True, slots=True)
class OfferReport:
    experiment: str
    until: datetime  # the last assignment that counts
    variants: Sequence[VariantReport]


async def report_offers(engine: AsyncEngine, experiment: str, now: datetime) -> OfferReport:
    """Of an experiment of ``rules/budgets.yml``, by its name."""
    until = now - FOLLOWED
    async with AsyncSession(engine) as session:
        found = await assigned(session, experiment, until)
    first: dict[str, Assignment] = {}
    for each in found:
        first.setdefault(each.customer_id, each)
    by_variant: dict[str, list[Assignment]] = {}
    for each in first.values():
        by_variant.setdefault(each.variant, []).append(each)
    control = by_variant.get(CONTROL, [])
    names = sorted(by_variant, key=lambda name: (name != CONTROL, name))
    return OfferReport(experiment, until, [_report(name, by_variant[name], control) for name in names])


def _report(variant: str, theirs: Sequence[Assignment], control: Sequence[Assignment]) -> VariantReport:
    cancelled, presales = _cancelled(theirs)
    stars = [each.stars for each in theirs if each.stars is not None]
    cost = sum(each.cost_cents for each in theirs)
    return VariantReport(
        variant=variant,
        customers=len(theirs),
        accepted=sum(each.cost_cents > 0 for each in theirs),
        presales=presales,
        cancelled=cancelled,
        cancel_rate=cancelled / presales if presales else 0.0,
        cancel_interval=share(cancelled, presales),
        against_control=None if variant == CONTROL else difference(cancelled, presales, *_cancelled(control)),
        cost_cents=cost,
        cost_cents_each=cost / len(theirs),
        rated=len(stars),
        stars=sum(stars) / len(stars) if stars else None,
    )


def _cancelled(theirs: Sequence[Assignment]) -> tuple[int, int]:
    """Presale orders that were cancelled, and all of them."""
    presales = [each for each in theirs if each.presale]
    return sum(each.cancelled for each in presales), len(presales)
