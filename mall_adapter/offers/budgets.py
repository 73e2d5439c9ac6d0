"""What may be spent on offers by day, customer and supplier: a row each, locked while it is looked at and written.

A day has one for money and one for points; those of a customer and of a supplier are for both. Rows are always locked
in this order: the customer's, the day's, the supplier's.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.offers.rules import OfferLimits
from mall_adapter.values import OfferKind
from settings import SHANGHAI
from storage import insert


def today(now: datetime) -> date:
    return now.astimezone(SHANGHAI).date()


def customer_scope(customer_id: str, on: date) -> str:
    return f"customer:{customer_id}:{on:%Y-%m}"


def day_scope(on: date, *, points: bool) -> str:
    return f"{'points' if points else 'day'}:{on.isoformat()}"


def _scopes(kind: OfferKind, customer_id: str, supplier_id: str | None, on: date) -> list[str]:
    supplier = [f"supplier:{supplier_id}:{on:%Y-%m}"] if supplier_id else []
    return [customer_scope(customer_id, on), day_scope(on, points=kind is OfferKind.POINTS), *supplier]


async def hold(session: AsyncSession, scope: str) -> int:
    """What is spent of it; nobody else writes it until the transaction ends."""
    budget = models.OfferBudget
    new = insert(session, budget).values(scope=scope, spent_cents=0, limit_cents=0)
    await session.execute(new.on_conflict_do_nothing())
    # a statement of its own, see orders.lock
    spent = await session.scalar(select(budget.spent_cents).where(budget.scope == scope).with_for_update())
    return int(spent or 0)


async def reserve(
    session: AsyncSession,
    limits: OfferLimits,
    kind: OfferKind,
    customer_id: str,
    supplier_id: str | None,
    cents: int,
    on: date,
) -> bool:
    """Whether all of them have so much left: then it is spent, of each."""
    budgets = limits.budgets
    of_day = budgets.points_day_cents if kind is OfferKind.POINTS else budgets.day_cents
    most = (budgets.customer_month_cents, of_day, budgets.supplier_month_cents)
    asked = list(zip(_scopes(kind, customer_id, supplier_id, on), most, strict=False))
    spent = {scope: await hold(session, scope) for scope, _ in asked}
    if any(spent[scope] + cents > limit for scope, limit in asked):
        return False
    budget = models.OfferBudget
    for scope, limit in asked:
        changed = {"spent_cents": spent[scope] + cents, "limit_cents": limit}
        await session.execute(update(budget).where(budget.scope == scope).values(changed))
    return True


async def give_back(session: AsyncSession, offer: models.Offer) -> None:
    """It is offered no more."""
    budget = models.OfferBudget
    for scope in _scopes(offer.kind, offer.customer_id, offer.supplier_id, offer.charged_on):
        less = budget.spent_cents - offer.value_cents
        await session.execute(update(budget).where(budget.scope == scope).values(spent_cents=less))


async def merge(session: AsyncSession, kept_id: str, gone_id: str) -> None:
    """What was spent on a customer counts as spent on whom they were merged into, also where that is too much."""
    budget = models.OfferBudget
    theirs = (
        select(budget).where(budget.scope.startswith(f"customer:{gone_id}:", autoescape=True)).order_by(budget.scope)
    )
    for row in (await session.scalars(theirs.with_for_update())).all():
        scope = f"customer:{kept_id}:{row.scope.rpartition(':')[2]}"
        spent = await hold(session, scope) + row.spent_cents
        limit = max(spent, row.limit_cents)
        await session.execute(update(budget).where(budget.scope == scope).values(spent_cents=spent, limit_cents=limit))
        await session.delete(row)
