"""What goods cost, computed from the list of prices: now and here, or then and there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, permissions, regions
from mall_adapter.errors import NotFound, StaleVersion
from mall_adapter.models import Price
from mall_adapter.promises import promises
from mall_adapter.values import NewPrice, PriceDrop, PriceEntry, PriceKind
from settings import SHANGHAI
from storage import Actor, Event, record

OPEN_TO_ALL = (PriceKind.LIST, PriceKind.CAMPAIGN)
"""Nobody is a member yet."""


COUNTS = and_(
    Price.kind.in_(OPEN_TO_ALL),
    Price.valid_from <= bindparam("at"),
    or_(Price.valid_until.is_(None), Price.valid_until > bindparam("at")),
    or_(Price.region.is_(None), Price.region.in_(bindparam("places", expanding=True))),
)
"""Prices that anybody could pay then and there, as a condition of a statement that is given :func:`then`."""


def then(at: datetime, region: str | None = None) -> dict[str, Any]:
    """The parameters of :data:`COUNTS`; without a region: prices that count anywhere."""
    return {"at": at, "places": regions.around(region) if region else ()}


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
    rows = await session.execute(query.where(Price.sku_id.in_(sku_ids), COUNTS), then(at, region))
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


# ---- setting them ----


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChanged(Event):
    kind: ClassVar[str] = "price_changed"
    price_kind: PriceKind
    cents: int
    before_cents: int | None  # of the list price that it follows
    valid_from: datetime
    valid_until: datetime | None


async def entries(session: AsyncSession, actor: Actor, sku_id: str) -> list[PriceEntry]:
    """All prices of a SKU that there ever were or will be, the earliest first. Raises NotFound."""
    await _own(session, actor, sku_id)
    rows = await session.scalars(select(Price).where(Price.sku_id == sku_id).order_by(Price.valid_from, Price.id))
    return [_entry(row) for row in rows]


async def change(session: AsyncSession, new: NewPrice, if_version: int | None, by: Actor, now: datetime) -> PriceEntry:
    """A list price closes the one before it, and ends where the next begins; ``if_version`` is of the one before.

    Raises NotFound, StaleVersion with what counts then, ValueError for a price that cannot be.
    """
    begins = new.valid_from or now
    if new.cents < 0 or begins < now:
        raise ValueError("a price is not negative, and does not begin in the past")
    if (new.kind is PriceKind.LIST) != (new.valid_until is None) or (new.valid_until and new.valid_until <= begins):
        raise ValueError("a campaign ends after it begins, and a list price with the next one")
    if new.region is not None and await session.get(models.Region, new.region) is None:
        raise NotFound("no such region")
    await _own(session, by, new.sku_id)
    # two who change one SKU's prices wait for each other
    await session.execute(select(models.Sku.id).where(models.Sku.id == new.sku_id).with_for_update())
    of_kind = select(Price).where(
        Price.sku_id == new.sku_id, Price.region.is_not_distinct_from(new.region), Price.kind == new.kind
    )
    rows = (await session.scalars(of_kind.order_by(Price.valid_from))).all()
    before = max((row for row in rows if row.valid_from <= begins), key=lambda row: row.valid_from, default=None)
    if if_version is not None and if_version != (before.version if before else 0):
        raise StaleVersion(_entry(before) if before else None)
    until, was = new.valid_until, None
    if new.kind is PriceKind.LIST:
        until = min((row.valid_from for row in rows if row.valid_from > begins), default=None)
        was = before.cents if before else None
    if new.kind is PriceKind.LIST and before and before.valid_from == begins:
        before.cents, before.version = new.cents, before.version + 1
        row = before
    else:
        if new.kind is PriceKind.LIST and before:
            before.valid_until = begins
        row = Price(
            sku_id=new.sku_id,
            region=new.region,
            kind=new.kind,
            cents=new.cents,
            valid_from=begins,
            valid_until=until,
            version=before.version + 1 if before else 1,
        )
        session.add(row)
    await session.flush()
    told = PriceChanged(
        subject=f"sku:{new.sku_id}",
        region=new.region,
        price_kind=new.kind,
        cents=new.cents,
        before_cents=was,
        valid_from=begins,
        valid_until=until,
    )
    record(session, told, by, now)
    return _entry(row)


async def _own(session: AsyncSession, actor: Actor, sku_id: str) -> None:
    supplier_id = await session.scalar(
        select(models.Product.supplier_id).join(models.Sku).where(models.Sku.id == sku_id)
    )
    if supplier_id is None:
        raise NotFound(sku_id)
    permissions.check_owner(actor, supplier_id)


def _entry(row: Price) -> PriceEntry:
    return PriceEntry(row.id, row.sku_id, row.region, row.kind, row.cents, row.valid_from, row.valid_until, row.version)
