"""What a message asks of goods in the light of what was talked of: (talk so far, message) → what is meant.

Pure: no page is looked at here, and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.actions.product_search import Budget, Wish, continued, read_budget, read_measure, telling
from bot.actions.product_words import SAID, Aspect, aspects_in, qualities_in
from bot.actions.shop_product import ShopProduct
from bot.actions.turn import Turn
from bot.spelling import plain

OF_GOODS = frozenset(
    {"recommend_product", "ask_product", "ask_stock", "ask_price", "compare_products", "inform", "nlu_fallback"}
)
"""Intents of messages in which a word like 老人 or 孩子 says what goods have to be."""

Move = Literal["", "cheaper", "dearer", "others"]
"""Away from what was shown."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What has been talked of."""

    products: Sequence[ShopProduct] = ()  # the one in hand, else those shown last
    in_hand: ShopProduct | None = None
    seen: Sequence[str] = ()  # the ids of what was shown of this shelf
    wish: Wish | None = None  # what these were chosen for
    fresh: bool = False  # the last answer was about goods

    @property
    def wished(self) -> Wish | None:
        if self.wish or not self.products:
            return self.wish
        return Wish((self.products[0].live.category,))


@dataclass(frozen=True, slots=True)
class Heard:
    """What the words of a message ask of goods."""

    said: Wish  # by this message alone
    wish: Wish  # with what was wished before
    move: Move = ""
    narrows: bool = False  # it says what the goods have to be
    orders: bool = False  # how to have them
    bought: bool = False  # the customer has them already
    agrees: bool = False  # a yes and nothing else
    for_sale: bool = True  # nothing speaks of a parcel, a complaint or another day's price
    best_in: Aspect | None = None  # put in order by it

    @property
    def asks_more(self) -> bool:
        return bool(self.move or self.narrows)


def hear(turn: Turn, talk: Talk, shelves: Sequence[str] = (), described: Mapping[str, str] | None = None) -> Heard:
    """``shelves`` are those that the words call besides the names that were found in them; ``described`` are products
    whose names only describe (降噪耳机), with their shelves."""
    if turn.tapped:
        told = Wish(_shelves(turn), turn.first("brand"))
        return Heard(told, continued(talk.wished, told))
    text = plain(turn.text)
    for_sale = not (SAID["of_an_order"].search(text) or SAID["price_to_come"].search(text))
    named = dict.fromkeys([*_shelves(turn), *shelves, *(described or {}).values()])
    budget, rest = read_budget(turn.without("category", "brand"), bare=bool(talk.products or named))
    measure, rest = read_measure(rest)
    qualities, rest = qualities_in(rest)
    move = _move(text, talk) if for_sale else ""
    narrows = bool(budget or measure or (SAID["narrows"].search(text) and telling(rest).strip()))
    if not (narrows or SAID["narrows"].search(text) or (turn.intent in OF_GOODS and for_sale)):
        qualities = []  # 老人能用会员卡吗
    narrows = narrows or bool(qualities)
    aspects = [one for one in aspects_in(rest) if one.better and one.name != "price"]
    best_in = aspects[0] if aspects and (narrows or turn.intent == "recommend_product") else None
    if best_in:
        rest = best_in.asked.sub(" ", plain(rest))
    if move and budget is None and move != "others":
        prices = [one.price_cents for one in talk.products]
        budget = Budget(None, min(prices) - 1) if move == "cheaper" else Budget(max(prices) + 1, None)
    said = Wish(tuple(named), turn.first("brand"), budget, measure, tuple(qualities), "" if move == "others" else rest)
    return Heard(
        said,
        continued(talk.wished, said),
        move,
        narrows,
        orders=bool(SAID["orders"].search(text)),
        bought=bool(SAID["bought"].search(text)),
        agrees=bool(turn.acts & {"yes", "yes_weak"}) and not turn.asks,
        for_sale=for_sale,
        best_in=best_in,
    )


def _shelves(turn: Turn) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, turn.entities.get("category", ()))))


def _move(text: str, talk: Talk) -> Move:
    if not talk.products or SAID["asks_kinds"].search(text):
        return ""
    moves: tuple[Move, ...] = ("cheaper", "dearer", "others")
    return next((move for move in moves if SAID[move].search(text)), "")


def only_describes(written: str, recommends: bool) -> bool:
    """Whether a product's name, as it is written, may as well describe others: 降噪耳机."""
    return recommends or bool(qualities_in(written)[0])
