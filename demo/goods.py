"""The goods of the demo mall, as written in ``catalogue/*.yml``: one file a trade, prices in yuan.

A product's SKUs are the combinations of its ``axes``; ``price`` is one for all or differs by the options of one axis.
``season`` (of a category or a product) says when it sells, ``presale_days`` that it ships so many days after the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import product as combinations
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from demo.seasons import Season
from mall_adapter.policy import Trade

_FOLDER = Path(__file__).parent / "catalogue"


@dataclass(frozen=True, slots=True)
class Supplier:
    id: str
    name: str
    trade: Trade
    region: str


@dataclass(frozen=True, slots=True)
class Sku:
    id: str
    spec: str
    price_cents: int


@dataclass(frozen=True, slots=True)
class Article:
    id: str
    supplier: Supplier
    name: str
    brand: str
    category: str
    fresh: bool
    custom_made: bool
    attributes: dict[str, str]
    season: Season | None
    presale_days: int  # 0: ships at once
    was_cents: int  # what every kind cost until ``fell_days`` before today; 0: as now
    fell_days: int
    skus: tuple[Sku, ...]


def load_articles() -> list[Article]:
    """Raises pydantic's ValidationError, or ValueError for a price that no SKU can have, naming the product."""
    articles: list[Article] = []
    suppliers = 0
    for path in sorted(_FOLDER.glob("*.yml")):
        # every scalar stays text: "1:1" and "30" are what a customer reads, not numbers
        page = _Page.model_validate(yaml.load(path.read_text(encoding="utf-8"), yaml.CBaseLoader))  # noqa: S506
        by_brand: dict[str, Supplier] = {}
        for company in page.suppliers:
            suppliers += 1
            supplier = Supplier(f"S{suppliers:02}", company.name, page.trade, company.region)
            by_brand |= dict.fromkeys(company.brands, supplier)
        for category in page.categories:
            for entry in category.products:
                article_id = f"P{len(articles) + 1:03}"
                articles.append(
                    Article(
                        id=article_id,
                        supplier=by_brand[entry.brand],
                        name=entry.name,
                        brand=entry.brand,
                        category=category.name,
                        fresh=entry.fresh,
                        custom_made=entry.custom_made,
                        attributes=entry.attributes,
                        season=entry.season or category.season,
                        presale_days=entry.presale_days,
                        was_cents=int(entry.was.price * 100) if entry.was else 0,
                        fell_days=entry.was.days if entry.was else 0,
                        skus=tuple(_skus(article_id, entry)),
                    )
                )
    return articles


def _skus(article_id: str, entry: _Product) -> list[Sku]:
    specs = list(combinations(*entry.axes.values()))
    skus = []
    for number, options in enumerate(specs, 1):
        if isinstance(entry.price, Decimal):
            prices = [entry.price]
        else:
            prices = [entry.price[option] for option in options if option in entry.price]
        if len(prices) != 1:
            raise ValueError(f"{entry.name}: {' '.join(options)} has {len(prices)} prices")
        skus.append(Sku(f"{article_id}-{number}", " ".join(options), int(prices[0] * 100)))
    return skus


# What a catalogue file may hold; a misspelt key is an error.

_Price = Annotated[Decimal, Field(gt=0, decimal_places=2)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Supplier(_Entry):
    name: str
    region: str
    brands: list[str]


class _Was(_Entry):
    price: _Price
    days: Annotated[int, Field(ge=1)]  # since then it is cheaper


class _Product(_Entry):
    name: str
    brand: str
    price: _Price | dict[str, _Price]
    was: _Was | None = None
    axes: dict[str, list[str]]
    attributes: Annotated[dict[str, str], Field(min_length=8)]
    season: Season | None = None
    fresh: bool = False
    custom_made: bool = False
    presale_days: int = 0


class _Category(_Entry):
    name: str
    season: Season | None = None
    products: list[_Product]


class _Page(_Entry):
    trade: Trade
    suppliers: list[_Supplier]
    categories: list[_Category]
