"""What a customer looks for: a shelf, and what the goods on it have to be; and which of them are so.

A wish grows over several messages (``continued``). Which goods fulfil it is decided over the pages of the shelf,
wherever they come from (``choose``); where none does, it is said what stands in the way.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf
from typing import Any

from bot import patterns
from bot.actions.knowledge_base import GraphKnowledgeBase, Object
from bot.actions.product_words import AGE, QUALITIES, SAID, UNITS, Quality, ways_to_write
from bot.spelling import number, plain
from knowledge_graph import products
from mall_adapter.values import Listing, Product

SHELF = 200
"""So many products of a category are enough to learn its words."""

OF_ALL = 1000
"""The same where no shelf is named."""

LOOKED_AT = 30
"""So many more are read of a larger shelf, for each condition."""

ROUND_ABOUT = 0.25
"""一千左右: a quarter more or less."""

FAR = 2
"""Goods that cost more than so many times of what was said are not the nearest."""

RARE = 12
"""A word that stands on so few pages tells what is looked for where no shelf is named."""

A_FEW = 3
"""So many goods are a choice."""

LEAST_BUDGET = 2000
"""Cents from which a bare sum is one: 三百, and no 10."""

_BUDGETS = patterns.read(patterns.FOLDER / "budget.yml")

# --- budget ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Budget:
    min_cents: int | None
    max_cents: int | None

    @property
    def near_cents(self) -> int | None:
        """Of 一千左右 the thousand."""
        if not (self.min_cents and self.max_cents):
            return None
        near = round(self.min_cents / (1 - ROUND_ABOUT))
        return near if round(near * (1 + ROUND_ABOUT)) == self.max_cents else None

    def allows(self, prices: Sequence[int]) -> bool:
        """Whether one of the kinds may be had for it."""
        return any(
            (self.min_cents is None or price >= self.min_cents) and (self.max_cents is None or price <= self.max_cents)
            for price in prices
        )


def read_budget(text: str, bare: bool = False) -> tuple[Budget | None, str]:
    """``("200以内的面霜")`` → at most 20000 cents, and the text with the budget blanked out. A ``bare`` sum at the end
    ("给老人用的 三百") is one where goods are talked of."""
    written = plain(text)
    for name, pattern in _BUDGETS.items():
        match = pattern.search(written) if bare or name != "round" else None
        if match and (budget := _budget({name: found for name, found in match.groupdict().items() if found})):
            if name == "round" and (budget.max_cents or 0) < LEAST_BUDGET:
                continue
            return budget, text[: match.start()] + " " * len(match.group()) + text[match.end() :]
    return None, text


def _budget(found: dict[str, str]) -> Budget | None:
    if "hundreds" in found:  # 一两百
        low, high = (_cents(digit + found["power"]) for digit in found["hundreds"])
        return Budget(low, high) if low < high else None
    sums = {name: _cents(figures) for name, figures in found.items()}
    if near := sums.get("near"):
        return Budget(round(near * (1 - ROUND_ABOUT)), round(near * (1 + ROUND_ABOUT)))
    low_cents, high_cents = sums.get("low"), sums.get("high") or sums.get("bare")
    if low_cents and high_cents and low_cents > high_cents:
        low_cents, high_cents = high_cents, low_cents
    return Budget(low_cents or None, high_cents or None) if low_cents or high_cents else None


def _cents(figures: str) -> int:
    return round((number(figures) or 0) * 100)


# --- measures --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """So much of a unit: 65w以上."""

    unit: str
    low: float | None
    high: float | None

    def fits(self, page: Object) -> bool:
        if self.unit == AGE and self.low is not None:
            told = [one for written in page["attributes"].values() for one in ages(written)]
            return not told or any(low <= self.low <= high for low, high in told)
        return any(
            (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
            for written in page["attributes"].values()
            for value in _amounts(products.plain(written), self.unit)
        )


def read_measure(text: str) -> tuple[Measure | None, str]:
    """None where the number has no bound: 10公斤的 is a word like others."""
    match = SAID["measure"].search(plain(text))
    if match is None or not (match["least"] or match["from"] or match["to"] or match["near"]):
        return None, text
    unit, amount = UNITS.get(match["unit"], match["unit"]), float(match["number"])
    if match["to"]:
        measure = Measure(unit, None, amount)
    elif match["near"]:
        measure = Measure(unit, amount * (1 - ROUND_ABOUT), amount * (1 + ROUND_ABOUT))
    else:
        measure = Measure(unit, amount, None)
    return measure, text[: match.start()] + " " * len(match.group()) + text[match.end() :]


def read_age(text: str) -> tuple[Measure | None, list[str], str]:
    """``("孙子八岁了")`` → what is for that age, the quality that goods for that age have, and the text without it."""
    match = SAID["age"].search(plain(text))
    years = number(match["years"]) if match else None
    if match is None or years is None:
        return None, [], text
    qualities = [name for name, one in QUALITIES.items() if one.ages and one.ages[0] <= years <= one.ages[1]]
    rest = text[: match.start()] + " " * len(match.group()) + text[match.end() :]
    return Measure(AGE, years, years), qualities, rest


def ages(written: str) -> list[tuple[float, float]]:
    """``6 至 12 岁`` → (6, 12), ``3 岁以上`` → (3, ∞): whom a page says that it is for."""
    return [
        (float(one["low"]), float(one["high"]) if one["high"] else inf)
        for one in SAID["ages"].finditer(products.plain(written))
    ]


def _amounts(written: str, unit: str) -> list[float]:
    return [float(one) for one in re.findall(rf"([0-9]+(?:\.[0-9]+)?){re.escape(unit)}(?![a-z])", written)]


# --- words -----------------------------------------------------------------------------------------------------------

_RUN = re.compile(r"[\u4e00-\u9fff]+|[a-z0-9][a-z0-9.+-]*")
_LOOSE_UNIT = re.compile(r"(?<=[0-9]) +(?=[a-z])")


def telling(text: str) -> str:
    """The words that could name something of a product: without politeness and question words."""
    if text.startswith("/"):
        return ""
    return SAID["says_nothing"].sub(" ", _LOOSE_UNIT.sub("", plain(text)))


def shared(text: str, vocabulary: str) -> list[str]:
    """The longest pieces of ``text``, of two characters and more, that stand in ``vocabulary``; Latin words whole."""
    return list(dict.fromkeys(_shared(telling(text), vocabulary)))


def _shared(text: str, vocabulary: str) -> Iterator[str]:
    for run in _RUN.findall(text):
        if run.isascii():
            if len(run) > 1 and re.search(rf"(?<![a-z0-9]){re.escape(run)}(?![0-9])", vocabulary):
                yield run
            continue
        start = 0
        while start < len(run) - 1:
            end = next((end for end in range(len(run), start + 1, -1) if run[start:end] in vocabulary), start)
            if end > start:
                yield run[start:end]
            start = max(end, start + 1)


def words_of(product: Object) -> str:
    """Its name, and its attributes and their values, a line each."""
    attributes: dict[str, str] = product["attributes"]
    return "\n".join(map(products.plain, [product["name"], *attributes, *attributes.values()]))


def telling_apart(text: str, shelf: Sequence[Object]) -> list[str]:
    """Words of ``text`` that stand on some products of the shelf and not on all; the longest, the surest, first."""
    pages = [words_of(product) for product in shelf]
    found = shared(text, "\n\n".join(pages))
    return sorted((word for word in found if not all(word in page for page in pages)), key=len, reverse=True)


def says(product: Object, word: str) -> bool:
    """Whether the page says the word, or the quality of that name. ``防水：否`` is no answer to 防水."""
    attributes: dict[str, str] = product["attributes"]
    lines = [product["name"], *(f"{name}{value}" for name, value in attributes.items())]
    page = "\n".join(map(products.plain, lines))
    never = QUALITIES[word].never if word in QUALITIES else ()
    if not any(way in page for way in ways_to_write(word)) or any(one in page for one in never):
        return False
    return not any(word in plain(name) and SAID["denied"].match(plain(value)) for name, value in attributes.items())


def proofs(attributes: Mapping[str, str], words: Sequence[str]) -> dict[str, str]:
    """The attributes that say so."""
    ways = [way for word in words for way in ways_to_write(word)]
    return {
        name: value
        for name, value in attributes.items()
        if any(way in products.plain(f"{name}{value}") for way in ways)
    }


# --- wishes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What is looked for, as it has become over several messages."""

    shelves: tuple[str, ...] = ()
    brand: str | None = None
    budget: Budget | None = None
    measure: Measure | None = None
    words: tuple[str, ...] = ()  # words of pages, and names of qualities
    text: str = ""  # what was said besides, not yet held against the pages

    @property
    def names_a_shelf(self) -> bool:
        return bool(self.shelves or self.brand)

    @property
    def asks_more(self) -> bool:
        """Whether it says what the goods on the shelf have to be."""
        return bool(self.budget or self.measure or self.words)

    def stored(self) -> dict[str, Any]:
        """For a slot."""
        return {
            "shelves": list(self.shelves),
            "brand": self.brand,
            "budget": [self.budget.min_cents, self.budget.max_cents] if self.budget else None,
            "measure": [self.measure.unit, self.measure.low, self.measure.high] if self.measure else None,
            "words": list(self.words),
        }

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Wish:
        return cls(
            tuple(stored["shelves"]),
            stored["brand"],
            Budget(*stored["budget"]) if stored["budget"] else None,
            Measure(*stored["measure"]) if stored["measure"] else None,
            tuple(stored["words"]),
        )


def continued(before: Wish | None, said: Wish) -> Wish:
    """The wish so far with what was just said: another shelf is another wish, another price takes the place of the old
    one, and what goods have to be is added to what they had to be."""
    narrower = before is not None and set(said.shelves) <= set(before.shelves) and said.asks_more
    another = said.names_a_shelf and before is not None and before.names_a_shelf and not narrower
    if before is None or another:
        return said
    return Wish(
        before.shelves or said.shelves,
        said.brand or before.brand,
        said.budget or before.budget,
        said.measure or before.measure,
        tuple(dict.fromkeys([*before.words, *said.words])),
        said.text,
    )


Condition = Budget | Measure | str
"""A price, a measure, or a word that has to stand on the page."""


def _holds(condition: Condition, page: Object) -> bool:
    if isinstance(condition, Budget):
        low, high = condition.min_cents, condition.max_cents
        return (high is None or page["price_min_cents"] <= high) and (low is None or page["price_max_cents"] >= low)
    return condition.fits(page) if isinstance(condition, Measure) else says(page, condition)


@dataclass(frozen=True, slots=True)
class Found:
    ids: tuple[str, ...]
    wish: Wish  # what holds for them
    missing: tuple[Condition, ...] = ()  # what nothing fulfils, or not together with the rest
    words: tuple[str, ...] = ()  # that this message told, and that hold

    @property
    def exact(self) -> bool:
        return not self.missing


def choose(pages: Sequence[Object], wish: Wish, limit: int, firm: bool = False) -> Found:
    """The goods of a shelf that fulfil the wish. Where none does: those that come nearest, and what stands in the way.
    A word that no page of the shelf knows is no condition, nor is a quality that is only a hint. A ``firm`` price is
    not given up."""
    pages = _for_anybody(pages, wish)
    shelves = plain("".join(wish.shelves))  # 取暖的 of 取暖器 says nothing more
    fresh = [word for word in telling_apart(wish.text, pages) if word not in wish.words and word not in shelves]
    known = [word for word in wish.words if not _is_hint(word) or any(says(page, word) for page in pages)]
    told: list[Condition] = [one for one in (wish.budget, wish.measure) if one]
    conditions = [*told, *known, *fresh]
    _let_go(conditions, pages)
    if firm and wish.budget:
        pages, conditions = [one for one in pages if _holds(wish.budget, one)], conditions[1:]
    fit, missing = _nearest(pages, conditions)
    kept = [one for one in (*told, *conditions) if one not in missing]
    held = replace(
        wish,
        budget=wish.budget if wish.budget in kept else None,
        measure=wish.measure if wish.measure in kept else None,
        words=tuple(one for one in kept if isinstance(one, str)),
        text="",
    )
    ids = tuple(page["id"] for page in fit[:limit])
    return Found(ids, held, tuple(missing), tuple(word for word in fresh if word in kept))


def _for_anybody(pages: Sequence[Object], wish: Wish) -> Sequence[Object]:
    """Without what is for children and the like, unless that is wished; behind the others where these are few."""
    others = [one for one in QUALITIES.values() if one.named and not _wishes(wish, one)]
    rest = [page for page in pages if not any(name in page["name"] for one in others for name in one.named)]
    return rest if len(rest) >= A_FEW else [*rest, *(page for page in pages if page not in rest)]


def _wishes(wish: Wish, quality: Quality) -> bool:
    """Also by another quality that is written alike (适合男孩), by the name of a shelf, or by a word of the page."""
    alike = any(set(QUALITIES[word].written) & set(quality.named) for word in wish.words if word in QUALITIES)
    return alike or bool(quality.asked.search(plain(" ".join([*wish.shelves, *wish.words, wish.text]))))


def _let_go(conditions: list[Condition], pages: Sequence[Object]) -> None:
    """Of several hints (给老人, 送礼) those after the first are let go that nothing fulfils beside them."""
    hints = [one for one in conditions if isinstance(one, str) and _is_hint(one)]
    held = [page for page in pages if hints and _holds(hints[0], page)]
    for hint in hints[1:]:
        if some := [page for page in held if _holds(hint, page)]:
            held = some
        else:
            conditions.remove(hint)


def of_several_shelves(pages: Sequence[Object], wish: Wish, limit: int) -> Found:
    """Where no shelf is named: of each shelf one, what fits best first, then the nearest to the price, which is one in
    the middle where none was told."""
    pages = [page for page in pages if page["in_stock"]]
    words = {word: [page for page in pages if says(page, word)] for word in telling_apart(wish.text, pages)}
    rare = tuple(word for word, some in words.items() if 0 < len(some) <= RARE)
    top = wish.budget.max_cents if wish.budget else None
    asked = replace(wish, budget=Budget(None, top) if top else wish.budget, text="")
    found = choose(pages, asked, len(pages))
    some = {page["id"]: page for page in pages}
    ranked = [some[one] for one in found.ids]
    prices = sorted(int(page["price_min_cents"]) for page in ranked)
    middle = top if top and asked.budget not in found.missing else prices[len(prices) // 2] if prices else 0
    ranked.sort(key=lambda page: abs(int(page["price_min_cents"]) - middle))
    ranked.sort(key=lambda page: -sum(says(page, word) for word in rare))
    of_each: dict[str, Object] = {}
    for page in ranked:
        of_each.setdefault(page["category"], page)
    told = sum(map(len, rare)) * 2 >= len(re.sub(r"\W", "", telling(wish.text)))  # not 夏天 of a wedding in summer
    return replace(found, ids=tuple(page["id"] for page in [*of_each.values()][:limit]), words=rare if told else ())


def _is_hint(word: str) -> bool:
    return word in QUALITIES and QUALITIES[word].soft


def _nearest(pages: Sequence[Object], conditions: Sequence[Condition]) -> tuple[list[Object], list[Condition]]:
    """What fulfils as many of the conditions as can be had, and the conditions that it does not fulfil. Where each of
    several alone is in the way, the nearest of each way are taken in turn."""
    held = {id(page): [_holds(one, page) for one in conditions] for page in pages}
    everything = [page for page in pages if all(held[id(page)])]
    if everything or not conditions:
        return everything, []
    for dropped in range(1, len(conditions) + 1):
        ways = []
        for out in combinations(range(len(conditions)), dropped):
            some = [page for page in pages if all(h for place, h in enumerate(held[id(page)]) if place not in out)]
            if some:
                ways.append((out, _by_distance(some, [conditions[place] for place in out])))
        if ways:
            places = sorted({place for out, _ in ways for place in out})
            turns = [page for rank in range(len(pages)) for _, some in ways for page in some[rank : rank + 1]]
            return list({page["id"]: page for page in turns}.values()), [conditions[place] for place in places]
    return list(pages), list(conditions)


def _by_distance(pages: list[Object], dropped: Sequence[Condition]) -> list[Object]:
    """From a price that cannot be had, the nearest first, and nothing that is far from it."""
    budget = next((one for one in dropped if isinstance(one, Budget)), None)
    if budget is None:
        return pages
    if budget.max_cents is None:
        return sorted(pages, key=lambda page: (not page["in_stock"], -int(page["price_max_cents"])))
    near = [page for page in pages if page["price_min_cents"] <= budget.max_cents * FAR]
    return near or pages[:1]


# --- search ----------------------------------------------------------------------------------------------------------

Finder = Callable[[Wish, Sequence[str], int], Awaitable[list[Object]]]
"""The pages of the shelf and the brand, within the budget, on which the words stand: the cheapest, and so many."""


async def search(find: Finder, wish: Wish, limit: int, firm: bool = False) -> Found:
    """Of a shelf that is too large to be read whole, those pages are read, too, that fulfil a part of the wish."""
    shelf, most = replace(wish, budget=None), SHELF if wish.names_a_shelf else OF_ALL
    pages = await find(shelf, (), most)
    if len(pages) >= most:
        told = telling_apart(wish.text, pages)
        if wish.measure and wish.measure.unit == AGE:
            told.append(AGE)
        for word in [*wish.words, *told]:
            for way in ways_to_write(word):
                pages += await find(shelf, (way,), LOOKED_AT) + await find(wish, (way,), LOOKED_AT)
        pages += await find(wish, (), LOOKED_AT)
        pages = list({page["id"]: page for page in pages}.values())
        pages.sort(key=lambda page: (not page["in_stock"], page["price_min_cents"], page["id"]))
    if not wish.names_a_shelf:
        return await asyncio.to_thread(of_several_shelves, pages, wish, limit)
    return await asyncio.to_thread(choose, pages, wish, limit, firm)


def in_graph(base: GraphKnowledgeBase) -> Finder:
    async def find(wish: Wish, words: Sequence[str], limit: int) -> list[Object]:
        constraints: list[dict[str, Any]] = [{"name": "word", "value": word} for word in words]
        if wish.brand:
            constraints.append({"name": "brand", "value": wish.brand})
        if wish.budget:
            constraints.append({"name": "min_cents", "value": wish.budget.min_cents})
            constraints.append({"name": "max_cents", "value": wish.budget.max_cents})
        shelves = [[{"name": "category", "value": name}] for name in wish.shelves] or [[]]
        found = [one for shelf in shelves for one in await base.get_objects("product", [*constraints, *shelf], limit)]
        return sorted(found, key=lambda one: (not one["in_stock"], one["price_min_cents"], one["id"]))[:limit]

    return find


def on_pages(goods: Sequence[Product]) -> Finder:
    """Of what the mall alone has found."""
    pages = [
        {
            "id": one.id,
            "name": one.name,
            "brand": one.brand,
            "category": one.category,
            "attributes": dict(one.attributes),
            "price_min_cents": min(sku.price_cents for sku in one.skus),
            "price_max_cents": max(sku.price_cents for sku in one.skus),
            "in_stock": any(sku.available > 0 for sku in one.skus),
        }
        for one in goods
    ]
    pages.sort(key=lambda page: (not page["in_stock"], page["price_min_cents"], page["id"]))

    async def find(wish: Wish, words: Sequence[str], limit: int) -> list[Object]:
        return [
            page
            for page in pages
            if (not wish.shelves or page["category"] in wish.shelves)
            and wish.brand in (None, page["brand"])
            and (wish.budget is None or _holds(wish.budget, page))
            and all(says(page, word) for word in words)
        ][:limit]

    return find


async def categories_called(listings: Mapping[str, Listing], text: str) -> list[str]:
    """A category may be called by one end of its name: 平板 for 平板电脑."""
    return await asyncio.to_thread(called, sorted({one.category for one in listings.values()}), text)


def called(names: Sequence[str], text: str) -> list[str]:
    ends = {
        name: {
            end
            for size in range(2, len(name) + 1)
            for end in (name[:size], name[-size:])
            if end == name or not SAID["no_name"].search(plain(end))
        }
        for name in names
    }
    said = telling(text)
    longest = max((len(end) for some in ends.values() for end in some if end in said), default=0)
    return [name for name, some in ends.items() if any(len(end) == longest and end in said for end in some)]


def made_by(brand: str, name: str) -> tuple[str, str]:
    """Brand and model, by which other pages call the product."""
    return brand, next(iter(name.removeprefix(brand).split()), name)


async def companions(base: GraphKnowledgeBase, product: Object, categories: Sequence[str], limit: int) -> list[str]:
    """What goes with the product although nobody has paired them: pages that name its brand and model."""
    words = made_by(product["brand"], product["name"])
    found = await in_graph(base)(Wish(tuple(categories)), words, SHELF)
    return [one["id"] for one in found if one["category"] != product["category"]][:limit]
