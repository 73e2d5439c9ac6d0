"""Which goods go together, told from what the catalogue says (兼容机型 拓光年 T7, 适用电池 TB-70), and which can stand
in for each other."""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Protocol

from knowledge_graph.products import Product, plain

SAYS_SO = re.compile("兼容|适配|适用|配套")
"""In the name of an attribute."""

MODEL = re.compile(r"(?<![a-z0-9])[a-z]+-?[0-9][a-z0-9]*(?![a-z0-9])")
"""T7, TB-70, C9; not 5G or 65 W."""

SUBSTITUTES = 6
"""More than are ever shown, because some will be out of stock."""

NEAR = 0.3
"""A substitute costs at most this share more or less."""


class Offered(Protocol):
    """What the mall says of a product."""

    @property
    def id(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def price_min_cents(self) -> int: ...


def nearest_in_price(goods: Iterable[Offered]) -> dict[str, tuple[str, ...]]:
    """For each those of its category that cost about as much now, by their ids; the prices stay where they are."""
    shelves: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for one in goods:
        shelves[one.category].append((one.price_min_cents, one.id))
    found: dict[str, tuple[str, ...]] = {}
    for shelf in shelves.values():
        shelf.sort()
        for place, (cents, key) in enumerate(shelf):
            beside = shelf[max(0, place - SUBSTITUTES) : place] + shelf[place + 1 : place + 1 + SUBSTITUTES]
            near = [(abs(other - cents), other_key) for other, other_key in beside]
            best = heapq.nsmallest(SUBSTITUTES, (pair for pair in near if pair[0] <= cents * NEAR))
            found[key] = tuple(sorted(other_key for _, other_key in best))
    return found


def pairs_that_fit(products: Sequence[Product]) -> list[tuple[str, str]]:
    """Ids of a product and of one of its brand (or of a brand that it names) whose model it says it fits.

    A model that several products of the brand bear fits none: rather nothing is said than something wrong.
    """
    bearers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in products:
        for model in _models(one.name):
            bearers[one.brand, model].append(one.id)
    brands = {one.brand for one in products}
    pairs = set()
    for one in products:
        for said in (value for name, value in one.attributes.items() if SAYS_SO.search(name)):
            makers = {brand for brand in brands if brand in said} or {one.brand}
            for maker, model in product(makers, _models(said)):
                match bearers.get((maker, model)):
                    case [other] if other != one.id:
                        pairs.add((min(one.id, other), max(one.id, other)))
    return sorted(pairs)


def _models(text: str) -> set[str]:
    # word by word, because plain() joins T7 and what follows
    return {match.replace("-", "") for word in text.split() for match in MODEL.findall(plain(word))}
