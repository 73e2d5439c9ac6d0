"""What sending costs in the demo mall: the same with every supplier, whatever is in the parcel."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter

from mall_adapter import models, regions


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    regions: list[str | None]
    yuan: NonNegativeInt
    free_from: NonNegativeInt | None = None


@cache
def _terms() -> dict[str | None, _Entry]:
    """By the code of the region. Raises KeyError for a region that there is not."""
    content = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
    entries = TypeAdapter(list[_Entry]).validate_python(content)
    names = regions.tree().by_name
    return {names[name] if name else None: entry for entry in entries for name in entry.regions}


def cents(region: str, goods_cents: int) -> int:
    """For what one supplier sends of an order with so many cents of goods."""
    places = (*regions.around(region), None)
    entry = next(_terms()[place] for place in places if place in _terms())
    return 0 if entry.free_from is not None and goods_cents >= entry.free_from * 100 else entry.yuan * 100


def rows(suppliers: Collection[str]) -> Iterator[dict[str, Any]]:
    for supplier_id in suppliers:
        for region, entry in _terms().items():
            yield {
                "supplier_id": supplier_id,
                "region": region,
                "unit": models.FreightUnit.PIECE,
                "first_units": _ANY_NUMBER,
                "first_cents": entry.yuan * 100,
                "further_units": _ANY_NUMBER,
                "further_cents": 0,
                "free_from_cents": None if entry.free_from is None else entry.free_from * 100,
            }


_ANY_NUMBER = 1_000_000
