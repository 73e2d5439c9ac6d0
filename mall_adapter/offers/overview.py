"""What operators see of offers: the newest, with why one was refused, and how much of the budgets is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, permissions
from mall_adapter.offers.budgets import day_scope, today
from mall_adapter.offers.rules import OfferLimits
from mall_adapter.values import OfferKind, OfferState
from storage import Actor


@dataclass(frozen=True, slots=True)
class Made:
    id: str
    order_id: str
    kind: OfferKind
    rule: str
    variant: str
    value_cents: int
    state: OfferState
    why: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Spent:
    """``supplier_id``: None of the day, which has one for money and one for points."""

    supplier_id: str | None
    points: bool
    spent_cents: int
    limit_cents: int


async def newest(session: AsyncSession, actor: Actor, limit: int) -> Sequence[Made]:
    """Raises NotPermitted."""
    permissions.check(actor, "offers")
    offer = models.Offer
    rows = await session.scalars(select(offer).order_by(offer.made_at.desc(), offer.id.desc()).limit(limit))
    return [
        Made(row.id, row.order_id, row.kind, row.rule, row.variant, row.value_cents, row.state, row.why, row.made_at)
        for row in rows
    ]


async def spent(session: AsyncSession, actor: Actor, limits: OfferLimits, now: datetime) -> Sequence[Spent]:
    """Of this day, of money and of points, then of this month by supplier. Raises NotPermitted."""
    permissions.check(actor, "offers")
    budget, on, most = models.OfferBudget, today(now), limits.budgets
    money, points = day_scope(on, points=False), day_scope(on, points=True)
    theirs = or_(budget.scope.in_((money, points)), budget.scope.like(f"supplier:%:{on:%Y-%m}"))
    found = {row.scope: row.spent_cents for row in await session.scalars(select(budget).where(theirs))}
    suppliers = sorted(found.keys() - {money, points})
    return [
        Spent(None, False, found.get(money, 0), most.day_cents),
        Spent(None, True, found.get(points, 0), most.points_day_cents),
        *(Spent(one.split(":")[1], False, found[one], most.supplier_month_cents) for one in suppliers),
    ]
