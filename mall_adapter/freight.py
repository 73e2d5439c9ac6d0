"""What sending costs the customer, by the templates of suppliers."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, or_

from mall_adapter import regions
from mall_adapter.models import FreightTemplate, FreightUnit

HERE = or_(FreightTemplate.region.is_(None), FreightTemplate.region.in_(bindparam("places", expanding=True)))
"""Templates for one of the places, as a condition."""


def by_supplier(found: Iterable[FreightTemplate], region: str) -> dict[str, FreightTemplate]:
    """Of those that are for an address in the region each supplier's for the smallest place."""
    order = {place: steps for steps, place in enumerate((*regions.around(region), None))}
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
