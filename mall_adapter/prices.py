"""What goods cost, computed from the list of prices: now and here, or then and there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, regions
from mall_adapter.models import Price, PriceKind
from mall_adapter.promises import promises
from mall_adapter.values import PriceDrop
from settings import SHANGHAI

OPEN_TO_ALL = (PriceKind.LIST, PriceKind.CAMPAIGN)
"""Nobody is a member yet."""


def counts(at: datetime, region: str | None = None) -> ColumnElement[bool]:
    """Prices that anybody in the region could pay at the time, as a condition; without a region: anywhere."""
    places = regions.around(region) if region else ()
    return and_(
        Price.kind.in_(OPEN_TO_ALL),
        Price.valid_from <= at,
        or_(Price.valid_until.is_(None), Price.valid_until > at),
        or_(Price.region.is_(None), Price.region.in_(places)) if places else Price.region.is_(None),
    )


def cheapest(found: Iterable[tuple[PriceKind, str | None, int]], region: str | None = None) -> int | None:
    """Of (kind, region, cents) that count: the list price of the smallest region, or a campaign that is below it.

    None where there is no list price: what has none is not sold.
    """
    order = {place: steps for steps, place in enumerate((*(regions.around(region) if region else ()), None))}
    found = list(found)
    listed = [(order[place], cents) for kind, place, cents in found if kind is PriceKind.LIST]
    if not listed:
        return None
    return min([min(listed)[1], *(cents for kind, _, cents in found if kind is PriceKind.CAMPAIGN)])


async def of_skus(
    session: AsyncSession, sku_ids: Collection[str], at: datetime, region: str | None = None
) -> dict[str, int]:
    """Cents by SKU; one that is not sold then and there is left out."""
    query = select(Price.sku_id, Price.kind, Price.region, Price.cents)
    rows = await session.execute(query.where(Price.sku_id.in_(sku_ids), counts(at, region)))
    return by_sku(((row.sku_id, row.kind, row.region, row.cents) for row in rows), region)


def by_sku(rows: Iterable[tuple[str, PriceKind, str | None, int]], region: str | None) -> dict[str, int]:
    """Of (SKU, kind, region, cents) that count."""
    found: dict[str, list[tuple[PriceKind, str | None, int]]] = {}
    for sku_id, kind, place, cents in rows:
        found.setdefault(sku_id, []).append((kind, place, cents))
    prices = {sku_id: cheapest(some, region) for sku_id, some in found.items()}
    return {sku_id: cents for sku_id, cents in prices.items() if cents is not None}


async def drops(session: AsyncSession, order: models.Order, now: datetime) -> list[PriceDrop]:
    """What each line's goods cost now where the order goes, beside what was paid for them."""
    prices = await of_skus(session, {line.sku_id for line in order.lines}, now, order.region)
    since = (order.paid_at or order.placed_at).astimezone(SHANGHAI).date()
    until = since + timedelta(days=promises().price_days)
    return [
        PriceDrop(line.id, line.quantity, line.unit_price_cents, prices.get(line.sku_id), until) for line in order.lines
    ]
