"""Finding products by what a customer calls them: "那款跑鞋多少钱" finds 跑步鞋."""

from __future__ import annotations

import heapq
import math
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from mall_adapter import models
from mall_adapter.mall import NotFound, Product, Sku
from mall_adapter.names import Goods, names_of, plain, slipped, spelt

REFRESH_SECONDS = 20
"""A new product can be found after this time; prices and stock are always read afresh."""

ENOUGH = 0.4
"""Share of a question's weight that a product must cover to be an answer."""

FORGIVING_FROM = 4
"""A name of so many characters is recognised with a wrong one."""

LOOKED_AT = 20
"""Of how many likely products the names are compared with that much care."""

_QUESTION = re.compile(
    "多少钱|什么价格?|价格|价钱|几块钱?|怎么卖|怎么样|好不好|有没有|有货|还有|库存|我想|想要|想买|请问|问一下|看一下|看看|"
    "推荐|介绍|一下|哪[款个种]|[这那][款个种双件台盒瓶]|一[款个种双件台盒瓶]|你们|什么|可以|现在|[的吗呢啊吧么了是有买要]"
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A product as the whole catalogue shows it: its kinds only by what the cheapest and the dearest cost."""

    id: str
    name: str
    brand: str
    category: str
    supplier_id: str
    supplier: str
    price_min_cents: int
    price_max_cents: int
    in_stock: bool
    image: str | None
    attributes: Mapping[str, str]


async def read_catalogue(engine: AsyncEngine) -> list[Listing]:
    """Every product that is sold in at least one kind, by id."""
    product, sku = models.Product, models.Sku
    kinds = (
        select(
            sku.product_id,
            func.min(sku.price_cents).label("cheapest"),
            func.max(sku.price_cents).label("dearest"),
            func.max(sku.quantity - sku.allocated - sku.reserved).label("free"),
        )
        .group_by(sku.product_id)
        .subquery()
    )
    query = (
        select(
            *(product.id, product.name, product.brand, product.category, product.supplier_id, models.Supplier.name),
            *(kinds.c.cheapest, kinds.c.dearest, kinds.c.free > 0, product.image_path, product.attributes),
        )
        .join(models.Supplier)
        .join(kinds, kinds.c.product_id == product.id)
        .order_by(product.id)
    )
    async with engine.connect() as connection:
        return [Listing(*row) for row in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class _Entry:
    product_id: str
    goods: Goods
    names: tuple[str, str, str]  # the same, plain
    terms: frozenset[str]


class Catalogue:
    """The names of all products, a few thousand at most, kept in memory."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._weights: dict[str, float] = {}
        self._read_at = -math.inf

    async def find(self, session: AsyncSession, text: str, limit: int) -> Sequence[Product]:
        """Best first; empty when nothing fits."""
        if time.monotonic() - self._read_at > REFRESH_SECONDS:
            await self._refresh(session)
        ids = self._best(text, limit)
        rows = await session.scalars(
            select(models.Product)
            .where(models.Product.id.in_(ids))
            .options(selectinload(models.Product.skus), joinedload(models.Product.supplier))
        )
        products = {row.id: _to_product(row) for row in rows}
        return [products[product_id] for product_id in ids if product_id in products]

    async def product(self, session: AsyncSession, product_id: str) -> Product:
        """Raises NotFound."""
        row = await session.get(
            models.Product,
            product_id,
            options=[selectinload(models.Product.skus), joinedload(models.Product.supplier)],
        )
        if row is None:
            raise NotFound(product_id)
        return _to_product(row)

    async def _refresh(self, session: AsyncSession) -> None:
        columns = models.Product.id, models.Product.name, models.Product.brand, models.Product.category
        self._entries = [
            _Entry(
                row.id,
                (row.name, row.brand, row.category),
                (plain(row.name), plain(row.brand), plain(row.category)),
                _terms(" ".join(row[1:])),
            )
            for row in await session.execute(select(*columns).order_by(models.Product.id))
        ]
        seen = Counter(term for entry in self._entries for term in entry.terms)
        self._weights = {term: math.log(1 + len(self._entries) / count) for term, count in seen.items()}
        self._read_at = time.monotonic()

    def _best(self, text: str, limit: int) -> list[str]:
        whole = plain(text)
        asked = _terms(_QUESTION.sub(" ", whole))
        unknown = math.log(1 + len(self._entries))  # a term that no product has weighs as much as the rarest
        weight = sum(self._weights.get(term, unknown) for term in asked)
        scores: dict[str, float] = {}
        likely: list[tuple[float, str, Goods]] = []
        for entry in self._entries:
            shared = asked & entry.terms
            # one character alone, the 码 of 41码, names no product
            told = len(shared) > 1 or any(len(term) > 1 for term in shared)
            covered = sum(self._weights[term] for term in shared) / weight if told else 0.0
            named = sum(bonus for name, bonus in zip(entry.names, (2, 1, 1), strict=True) if name and name in whole)
            if named or covered >= ENOUGH:
                scores[entry.product_id] = named + covered
            if told:
                likely.append((named + covered, entry.product_id, entry.goods))
        letters = spelt(text)
        for score, product_id, goods in heapq.nlargest(LOOKED_AT, likely):
            names = [name for name in names_of(goods)[0] if len(name) >= FORGIVING_FROM]
            if any(name in letters or slipped(name, letters) for name in names):
                scores[product_id] = score + 2
        # of the C9 and the C9 Pro, "C9" is the one that is called nothing more
        more = {
            entry.product_id: sum(map(str.isascii, entry.terms - asked))
            for entry in self._entries
            if entry.product_id in scores
        }
        return sorted(scores, key=lambda product_id: (-scores[product_id], more[product_id], product_id))[:limit]


def _terms(text: str) -> frozenset[str]:
    """Latin words and numbers, Chinese characters, and pairs of neighbouring characters."""
    terms: set[str] = set()
    for run in re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]+", plain(text)):
        if run.isascii():
            terms.add(run)
        else:
            terms.update(run)
            terms.update(map("".join, pairwise(run)))
    return frozenset(terms)


def _to_product(row: models.Product) -> Product:
    return Product(
        id=row.id,
        name=row.name,
        brand=row.brand,
        category=row.category,
        supplier=row.supplier.name,
        attributes=row.attributes,
        skus=tuple(
            Sku(sku.id, sku.spec, sku.price_cents, sku.quantity - sku.allocated - sku.reserved) for sku in row.skus
        ),
    )
