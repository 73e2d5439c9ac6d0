"""Products side by side: a table, and which is ahead where its values are numbers that can be compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rasa_sdk import Tracker

from bot.actions.product_search import made_by, says
from bot.actions.product_words import ASPECTS, SAID, SAME, Aspect, aspects_in, qualities_in
from bot.actions.shop_product import ShopProduct, attributes_in, price_range, stock_word
from bot.actions.wording import Domain, word, yuan
from bot.spelling import plain

ROWS = 8
MISSING = "—"
MARKS = "①②③④"

_ASIDE = re.compile(r"[（(][^）)]*[）)]")

Interval = tuple[str, float, float]
"""Unit, from, to."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: list[str]
    rows: list[list[str]]
    asked: int = 0  # so many rows, the first, answer the question

    def as_custom(self) -> dict[str, Any]:
        return {"columns": self.columns, "rows": self.rows}

    def as_text(self, rows: int) -> str:
        """For channels without tables: the products get marks, which stand for them in each line."""
        heads = [f"{mark} {name}" for mark, name in zip(MARKS, self.columns[1:], strict=False)]
        lines = [
            f"{label}：" + "；".join(f"{mark} {value}" for mark, value in zip(MARKS, values, strict=False))
            for label, *values in self.rows[:rows]
        ]
        return "\n".join([*heads, *lines])


def compare(tracker: Tracker, domain: Domain, products: Sequence[ShopProduct], question: str) -> Table:
    """What the question names, then price and stock, then what differs; what is the same need not be read."""
    names = list(dict.fromkeys(name for product in products for name in product.attributes))
    asked = {name for product in products for name in attributes_in(product, question)}
    rows = {name: [product.attributes.get(name, MISSING) for product in products] for name in names}
    differing = [name for name in names if name not in asked and len(set(rows[name])) > 1]
    price = [word(tracker, domain, "price"), *(price_range(product.live.skus) for product in products)]
    stock = [word(tracker, domain, "stock"), *(stock_word(tracker, domain, product.live.skus) for product in products)]
    first = [[name, *rows[name]] for name in names if name in asked]
    about_price = any(aspect.name == "price" for aspect in aspects_in(question))
    ordered = [price, *first, stock] if about_price else [*first, price, stock]
    return Table(
        ["", *(product.name for product in products)],
        [*ordered, *([name, *rows[name]] for name in differing)][:ROWS],
        asked=len(first) + about_price,
    )


def verdict(tracker: Tracker, domain: Domain, products: Sequence[ShopProduct], question: str) -> str | None:
    """``更轻的是…（172 g）``: what the question asks for, where some are ahead of the others; where it asks for nothing
    in particular, what speaks for each."""

    def say(which: str, **values: str) -> str:
        return word(tracker, domain, which).format(**values)

    grade = "better" if len(products) == 2 else "best"
    for name in qualities_in(question)[0]:
        fit = [one for one in products if says({"name": one.name, "attributes": one.attributes}, name)]
        if 0 < len(fit) < len(products):
            return say("verdict_quality", quality=name, name=say("and").join(one.name for one in fit))
    asked = [aspect for aspect in aspects_in(question) if aspect.better]
    for aspect in asked:
        if best := _best_in(products, aspect):
            product, value = best
            better = word(tracker, domain, f"{grade}_{aspect.name}")
            return say("verdict", better=better, name=product.name, value=value)
    if told := _told(products, question):
        return say("verdict_told", **told)
    of_a_kind = len({one.live.category for one in products}) == 1
    if asked:
        return None
    if SAID["taste"].search(plain(question)):
        return say("verdict_taste")
    if not of_a_kind:
        return say("verdict_kinds") if SAID["in_all"].search(plain(question)) else None
    merits: dict[str, list[str]] = {}
    for aspect in ASPECTS:
        if aspect.better and (best := _best_in(products, aspect)):
            product, value = best
            better = word(tracker, domain, f"{grade}_{aspect.name}")
            merits.setdefault(product.id, []).append(say("merit", better=better, value=value))
    each = [
        say("merits", name=one.name, merits=say("beside_each").join(merits[one.id]))
        for one in products
        if one.id in merits
    ]
    if not SAID["in_all"].search(plain(question)):
        return None
    if not each:
        return None
    return say("verdict_each" if len(each) > 1 else "verdict_one", each=say("each_then").join(each))


def _told(products: Sequence[ShopProduct], question: str) -> dict[str, str] | None:
    """Of what the question asks, and no number puts in order: what each page says."""
    asked = {name for product in products for name in attributes_in(product, question, by_value=False)}
    name = next((name for name in _shared_names(products) if name in asked and _differs(products, name)), None)
    return _side_by_side(products, name) if name else None


def _shared_names(products: Sequence[ShopProduct]) -> list[str]:
    return [name for name in products[0].attributes if all(name in one.attributes for one in products)]


def _differs(products: Sequence[ShopProduct], name: str) -> bool:
    return len({one.attributes[name] for one in products}) > 1


def _side_by_side(products: Sequence[ShopProduct], name: str) -> dict[str, str]:
    each = [f"{' '.join(made_by(one.live.brand, one.name))}（{one.attributes[name]}）" for one in products]
    return {"aspect": name, "each": "、".join(each)}


def _best_in(products: Sequence[ShopProduct], aspect: Aspect) -> tuple[ShopProduct, str] | None:
    """The one that is ahead of all others, and by which value; None where that cannot be said."""
    if aspect.name == "price":
        values = [yuan(product.price_cents) for product in products]
        prices: list[list[Interval] | None] = [
            [("cents", product.price_cents, product.price_cents)] for product in products
        ]
        best = ahead(prices, lower=True)
        return None if best is None else (products[best], values[best])
    for part in aspect.attributes:
        for name in products[0].attributes:
            if part in name and all(name in product.attributes for product in products):
                values = [product.attributes[name] for product in products]
                best = ahead([quantities(value) for value in values], aspect.lower_is_better)
                return None if best is None else (products[best], values[best])
    return None


def ranked(products: Sequence[ShopProduct], aspect: Aspect) -> list[ShopProduct]:
    """The best in it first; what does not say it at all is left out."""
    if aspect.name == "price":
        return sorted(products, key=lambda one: one.price_cents)
    name = next(
        (name for part in aspect.attributes for one in products for name in one.attributes if part in name), None
    )
    if name is None:
        return []
    measured = [(quantities(one.attributes.get(name, "")), one) for one in products]
    unit = next((found[0][0] for found, _ in measured if found), None)
    known = [(found[0][1], one) for found, one in measured if found and found[0][0] == unit]
    return [one for _, one in sorted(known, key=lambda pair: pair[0] if aspect.lower_is_better else -pair[0])]


def best_first(products: Sequence[ShopProduct], question: str) -> list[ShopProduct]:
    """In the first thing that the question asks for and that pages tell."""
    ways = (ranked(products, aspect) for aspect in aspects_in(question) if aspect.better and aspect.name != "price")
    return next((some for some in ways if some), list(products))


def quantities(value: str) -> list[Interval] | None:
    """``洗 48 dB、甩 68 dB`` → both, in order; None where there is no number with a unit."""
    found: list[Interval] = []
    for match in SAID["quantity"].finditer(plain(_ASIDE.sub("", value))):
        unit, factor = SAME.get(match["unit"], (match["unit"], 1.0))
        low = float(match["low"]) * factor
        found.append((unit, low, float(match["high"]) * factor if match["high"] else low))
    return found or None


def ahead(measured: Sequence[Sequence[Interval] | None], lower: bool) -> int | None:
    """Which is better than every other in each number that all of them tell; None where that cannot be said."""
    known = [one for one in measured if one]
    if len(known) < len(measured):
        return None
    told = min(map(len, known))
    if len({tuple(unit for unit, *_ in one[:told]) for one in known}) > 1:
        return None
    sign = 1 if lower else -1
    numbers = [[sign * number for _, *ends in one[:told] for number in ends] for one in known]
    for place, mine in enumerate(numbers):
        others = numbers[:place] + numbers[place + 1 :]
        if all(mine != other and all(a <= b for a, b in zip(mine, other, strict=True)) for other in others):
            return place
    return None
