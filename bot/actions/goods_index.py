"""All that the mall sells, as it was some seconds ago: what goods are called ("那款跑鞋多少钱" finds 跑步鞋), and
about what they cost, for budgets and "cheapest first". What is told to customers is read afresh."""

from __future__ import annotations

import asyncio
import heapq
import math
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mall_adapter import CustomerMall
from mall_adapter.names import Goods, names_of, plain, slipped, spelt
from mall_adapter.values import Listing, Product

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
class _Entry:
    product_id: str
    goods: Goods
    names: tuple[str, str, str]  # the same, plain
    terms: frozenset[str]


class GoodsIndex:
    """The names of all products, a few thousand at most, kept in memory."""

    def __init__(self, mall: CustomerMall) -> None:
        self.mall = mall
        self._listings: dict[str, Listing] = {}
        self._entries: list[_Entry] = []
        self._weights: dict[str, float] = {}
        self._read_at = -math.inf
        self._reading = asyncio.Lock()

    async def listings(self) -> Mapping[str, Listing]:
        """All by their ids: what is in stock first, then the cheapest. Read at most once in REFRESH_SECONDS."""
        if self._is_old():
            async with self._reading:
                if self._is_old():
                    self._take(await self.mall.catalogue())
        return self._listings

    def _is_old(self) -> bool:
        return time.monotonic() - self._read_at > REFRESH_SECONDS

    async def find(self, text: str, limit: int = 5) -> Sequence[Product]:
        """Best first; empty when nothing fits."""
        await self.listings()
        return await self.mall.products(self._best(text, limit))

    def _take(self, listings: Sequence[Listing]) -> None:
        by_price = sorted(listings, key=lambda one: (not one.in_stock, one.price_min_cents, one.id))
        self._listings = {one.id: one for one in by_price}
        self._entries = [
            _Entry(
                one.id,
                (one.name, one.brand, one.category),
                (plain(one.name), plain(one.brand), plain(one.category)),
                _terms(f"{one.name} {one.brand} {one.category}"),
            )
            for one in listings
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
