"""What sending costs the customer, by the templates of suppliers."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, regions
from mall_adapter.models import FreightTemplate, FreightUnit


async def templates(session: AsyncSession, suppliers: Collection[str], region: str) -> dict[str, FreightTemplate]:
    """By supplier, for an address in the region; who has none sends for nothing."""
    places = regions.around(region)
    table = models.FreightTemplate
    here = or_(table.region.is_(None), table.region.in_(places))
    found = await session.scalars(select(table).where(table.supplier_id.in_(suppliers), here))
    order = {place: steps for steps, place in enumerate((*places, None))}
    # the smallest region last, to stay
    return {one.supplier_id: one for one in sorted(found, key=lambda one: order[one.region], reverse=True)}


def cents(template: FreightTemplate, goods_cents: int, pieces: int, weight_g: int) -> int:
    """For what one supplier sends of an order with so many cents of goods. Goods
    whose weight nobody knows weigh no more than the first units."""
    if template.free_from_cents is not None and goods_cents >= template.free_from_cents:
        return 0
    units = pieces if template.unit is FreightUnit.PIECE else weight_g
    further = max(0, -(-(units - template.first_units) // template.further_units))
    return template.first_cents + further * template.further_cents
