"""A product as it is shown: what the graph knows of it, with the price and the stock that the mall has now."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rasa_sdk import Tracker

from bot.actions.graphs import ask
from bot.actions.malls import get_mall
from bot.actions.product_search import shared, telling
from bot.actions.product_words import SAID, UNITS, about_price, aspects_in
from bot.actions.wording import Domain, word, yuan
from bot.spelling import plain
from knowledge_graph import products as graph_products
from mall_adapter.values import Product, Sku

FEW = 5
KINDS_SHOWN = 6
PRICES_SHOWN = 4

_LETTERS = r"(?<![a-z])(?:x{0,3}[sl]|m)(?![a-z])"


@dataclass(frozen=True, slots=True)
class ShopProduct:
    live: Product
    attributes: Mapping[str, str]
    image: str | None = None

    @property
    def id(self) -> str:
        return self.live.id

    @property
    def name(self) -> str:
        return self.live.name

    @property
    def available(self) -> int:
        return sum(sku.available for sku in self.live.skus)

    @property
    def prices(self) -> list[int]:
        return [sku.price_cents for sku in self.live.skus]

    @property
    def price_cents(self) -> int:
        """Of the cheapest kind."""
        return min(self.prices)


async def shop_products(ids: Sequence[str]) -> list[ShopProduct]:
    """In the order of ``ids``; what the mall does not sell any more is left out."""
    wanted = list(dict.fromkeys(ids))
    live = await (await get_mall()).products(wanted) if wanted else []
    return await with_knowledge([one for one in live if one.skus])


async def with_knowledge(live: Sequence[Product]) -> list[ShopProduct]:
    if not live:
        return []
    nothing: list[graph_products.Product] = []
    found = await ask(lambda graph: graph_products.products(graph, [one.id for one in live]), nothing)
    known = {one.id: one for one in found}
    return [
        ShopProduct(one, known[one.id].attributes or one.attributes, known[one.id].image)
        if one.id in known
        else ShopProduct(one, one.attributes)
        for one in live
    ]


def price_range(skus: Sequence[Sku]) -> str:
    prices = sorted({sku.price_cents for sku in skus})
    return yuan(prices[0]) if len(prices) == 1 else f"{yuan(prices[0])}–{yuan(prices[-1])}"


def stock_word(tracker: Tracker, domain: Domain, skus: Sequence[Sku]) -> str:
    available = sum(sku.available for sku in skus)
    if available <= 0:
        return word(tracker, domain, "out_of_stock")
    return word(tracker, domain, "few_left" if available <= FEW else "in_stock")


def kinds_in(product: Product, text: str) -> Sequence[Sku] | None:
    """The kinds that the words ask for ("红色", "42码"): none where there is no such, None where none is asked for."""
    specs = {sku.id: graph_products.plain(sku.spec) for sku in product.skus}
    wanted = _kind_words(telling(text), list(specs.values()))
    if not wanted:
        return None
    return [sku for sku in product.skus if all(re.search(word, specs[sku.id]) for word in wanted)]


def names_a_kind(text: str) -> bool:
    """Whether there is a colour or a size in it."""
    said = SAID["no_colour"].sub(" ", telling(text))
    return bool(SAID["colour"].search(said) or SAID["size"].search(said))


def _kind_words(said: str, specs: Sequence[str]) -> list[str]:
    """Patterns that the specification of a kind has to have; of a colour or a size, also one that none has."""

    def some(pattern: str) -> bool:
        return any(re.search(pattern, spec) for spec in specs)

    said = SAID["no_colour"].sub(" ", said)
    wanted = []
    for before in (
        colour["named"] or colour["alone"] for colour in SAID["colour"].finditer(said)
    ):  # 深红 of a page that has it, else 红: in 有红色 the rest is no colour
        wanted.append(before if some(before) else before[-1])
    for size in SAID["size"].finditer(said):
        if letters := size["letters"]:
            wanted += [rf"(?<![a-z]){letters}(?![a-z])"] if some(_LETTERS) else []
            continue
        unit = UNITS.get(size["unit"], size["unit"])
        pattern = rf"(?<![0-9.]){re.escape(size['number'])}{unit or '(?![0-9.])'}"
        like_it = f"[0-9]{unit}" if unit else rf"(?<![0-9.])[0-9]{{{len(size['number'])}}}(?![0-9.])"
        wanted += [pattern] if some(like_it) else []
    rest = SAID["size"].sub(" ", SAID["colour"].sub(" ", said))
    wanted += [re.escape(piece) for piece in shared(rest, "\n".join(specs)) if not all(piece in spec for spec in specs)]
    return wanted


def kinds(skus: Sequence[Sku]) -> str:
    """``黑色 42码、…``: what there is to choose from."""
    specs = [sku.spec for sku in skus]
    return "、".join(specs[:KINDS_SHOWN]) + ("…" if len(specs) > KINDS_SHOWN else "")


# --- attributes ------------------------------------------------------------------------------------------------------


_ASKED_UNITS = [
    (re.compile(f"(?:{SAID['how_many'].pattern}){called}"), re.compile(f"[0-9.]{written}(?![a-z])"))
    for called, written in UNITS.items()
]


def attributes_in(product: ShopProduct, text: str, by_value: bool = True) -> dict[str, str]:
    """The attributes that the words ask for: by name, by another word for it, by a unit ("多少瓦"), or by a value
    ("是纯棉的吗", "适合敏感肌吗": the longer piece says more)."""
    names = {name: plain(name) for name in product.attributes}
    values = {name: graph_products.plain(value) for name, value in product.attributes.items()}
    aspects = aspects_in(text)
    wanted = [part for aspect in aspects if aspect.name != "price" for part in aspect.attributes]
    pieces = shared(text, "\n".join(names.values()))
    scores = {name: sum(len(piece) for piece in pieces if piece in written) for name, written in names.items()}
    if any(aspect.name == "price" for aspect in aspects):  # 滤芯多少钱: of 滤芯寿命 and 滤芯价格 it is the price
        scores = {name: score + (about_price([name]) if score else 0) for name, score in scores.items()}
    best = max(scores.values(), default=0)
    found = {
        name
        for name, written in names.items()
        if any(part in name for part in wanted) or (best and scores[name] == best) or written in pieces
    }
    if not found:
        units = [written for asked, written in _ASKED_UNITS if asked.search(plain(text))]
        found = {name for name, value in values.items() if any(unit.search(value) for unit in units)}
    if by_value and not any(part in name for part in wanted for name in found):
        said = shared(text, "\n".join(values.values()))
        longest = max((len(piece) for piece in said), default=0)
        if longest > best:
            found = {
                name for name, value in values.items() if any(len(one) == longest and one in value for one in said)
            }
    return {name: value for name, value in product.attributes.items() if name in found}


def prices_by_kind(skus: Sequence[Sku]) -> str | None:
    """``单机身 ¥3799、双镜头套机 ¥5799``: what each price is for, where a few words tell that."""
    by_price: dict[int, list[list[str]]] = {}
    for sku in skus:
        by_price.setdefault(sku.price_cents, []).append(sku.spec.split(" "))
    if not 1 < len(by_price) <= PRICES_SHOWN:
        return None
    labels = {
        price: " ".join(piece for piece in specs[0] if all(piece in spec for spec in specs))
        for price, specs in sorted(by_price.items())
    }
    if len(set(labels.values())) < len(labels) or not all(labels.values()):
        return None
    return "、".join(f"{label} {yuan(price)}" for price, label in labels.items())
