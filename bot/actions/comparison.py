"""Products side by side: a table, and which is ahead where its values are numbers that can be compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rasa_sdk import Tracker

from bot.actions.shop_product import ShopProduct, aspects_in, attributes_in, price_range, stock_word
from bot.actions.wording import Domain, word, yuan

ROWS = 8
MISSING = "—"
MARKS = "①②③④"

_QUANTITY = re.compile(
    r"(?P<low>[0-9]+(?:\.[0-9]+)?)(?:\s*(?:至|到|-|~|–)\s*(?P<high>[0-9]+(?:\.[0-9]+)?))?\s*"
    r"(?P<unit>分钟|小时|千克|公斤|毫安时|[A-Za-z]+|[一-鿿])"
)
_UNITS: dict[str, tuple[str, float]] = {
    "kg": ("g", 1000),
    "千克": ("g", 1000),
    "公斤": ("g", 1000),
    "斤": ("g", 500),
    "克": ("g", 1),
    "小时": ("min", 60),
    "h": ("min", 60),
    "分钟": ("min", 1),
    "天": ("min", 1440),
}
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
    """``更轻的是…（172 g）``: only what the question asks for, and only where one is ahead of all others."""
    for aspect in aspects_in(question):
        if aspect.name == "price":
            values = [yuan(product.price_cents) for product in products]
            measured: list[list[Interval] | None] = [
                [("cents", product.price_cents, product.price_cents)] for product in products
            ]
        else:
            found = next(
                (
                    name
                    for part in aspect.attributes
                    for name in products[0].attributes
                    if part in name and all(name in product.attributes for product in products)
                ),
                None,
            )
            if found is None:
                continue
            values = [product.attributes[found] for product in products]
            measured = [quantities(value) for value in values]
        if (best := ahead(measured, aspect.lower_is_better)) is not None:
            better = word(tracker, domain, f"{'better' if len(products) == 2 else 'best'}_{aspect.name}")
            return word(tracker, domain, "verdict").format(better=better, name=products[best].name, value=values[best])
    return None


def ranked(products: Sequence[ShopProduct], question: str) -> list[ShopProduct]:
    """The best first in what the question asks for; what does not say it at all is left out."""
    for aspect in aspects_in(question):
        name = next(
            (name for part in aspect.attributes for one in products for name in one.attributes if part in name), None
        )
        if name is None:
            continue
        measured = [(quantities(one.attributes.get(name, "")), one) for one in products]
        unit = next((found[0][0] for found, _ in measured if found), None)
        known = [(found[0][1], one) for found, one in measured if found and found[0][0] == unit]
        return [one for _, one in sorted(known, key=lambda pair: pair[0] if aspect.lower_is_better else -pair[0])]
    return list(products)


def quantities(value: str) -> list[Interval] | None:
    """``洗 48 dB、甩 68 dB`` → both, in order; None where there is no number with a unit."""
    found: list[Interval] = []
    for match in _QUANTITY.finditer(_ASIDE.sub("", value)):
        unit, factor = _UNITS.get(match["unit"].lower(), (match["unit"].lower(), 1.0))
        low = float(match["low"]) * factor
        found.append((unit, low, float(match["high"]) * factor if match["high"] else low))
    return found or None


def ahead(measured: Sequence[Sequence[Interval] | None], lower: bool) -> int | None:
    """Which is better than every other in each of its numbers; None where that cannot be said."""
    known = [one for one in measured if one]
    if len(known) < len(measured) or len({tuple(unit for unit, *_ in one) for one in known}) > 1:
        return None
    sign = 1 if lower else -1
    numbers = [[sign * number for _, *ends in one for number in ends] for one in known]
    for place, mine in enumerate(numbers):
        others = numbers[:place] + numbers[place + 1 :]
        if all(mine != other and all(a <= b for a, b in zip(mine, other, strict=True)) for other in others):
            return place
    return None
