"""What a message asks of goods in the light of what was talked of: (talk so far, message) → what is meant;
and whether it seeks goods at all.

Pure: no page is looked at here, and nobody is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.actions.product_search import Budget, Wish, continued, read_age, read_budget, read_measure, telling
from bot.actions.product_words import SAID, Aspect, aspects_in, qualities_in, without_aspects
from bot.actions.shop_product import ShopProduct, names_a_kind
from bot.actions.turn import Turn
from bot.spelling import plain

OF_GOODS = frozenset(
    {"recommend_product", "ask_product", "ask_stock", "ask_price", "compare_products", "inform", "nlu_fallback"}
)
"""Intents of messages in which a word like 老人 or 孩子 says what goods have to be."""

_REMARKS = frozenset({"deny", "correct", "chitchat", "out_of_scope"})
"""Intents of messages in which it does after goods were shown."""

_WISHES = frozenset({"recommend_product", "ask_price", "ask_stock", "compare_products"})
_NAMES = frozenset({"product", "brand", "category"})

Move = Literal["", "cheaper", "dearer", "others"]
"""Away from what was shown."""

Seeking = Literal["clearly", "maybe", "no"]
"""Whether goods are wanted: whatever else is said; unless the use of a thing one has is asked; not at all."""

SURELY = 0.6
"""Confidence from which an intent speaks for a wish."""

A_FRAGMENT = 4
"""Letters beside the names of goods that make no question of their own: "商务衬衫"."""

GOODS_MARK = "■"
"""For every name of goods in ``bot/data/patterns/shopping.yml``."""

A_NAME = 8
"""Characters of a bare question after a price or a stock that may name goods: more of them talk of something else."""


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
    link: bool = False  # their page
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
    on_sale = for_sale(turn)
    named = dict.fromkeys([*_shelves(turn), *shelves, *(described or {}).values()])
    age, of_age, rest = read_age(turn.without("category", "brand"))
    budget, rest = read_budget(rest, bare=bool(talk.products or talk.wish or named))
    measure, rest = read_measure(rest)
    measure = measure or age
    qualities, rest = qualities_in(rest)
    qualities = list(dict.fromkeys([*qualities, *of_age]))
    move = _move(text, talk) if on_sale else ""
    says_what = SAID["narrows"].search(text) and not SAID["asks_kinds"].search(text)
    narrows = bool(budget or measure or (says_what and telling(rest).strip()))
    of_goods = turn.intent in OF_GOODS or (talk.fresh and turn.intent in _REMARKS)  # 不要太甜, of what was just shown
    if not (narrows or says_what or (of_goods and on_sale)):
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
        orders=bool(SAID["orders"].search(text) or SAID["link"].search(text)),
        link=bool(SAID["link"].search(text)),
        bought=has_bought(turn),
        agrees=bool(turn.acts & {"yes", "yes_weak"}) and not turn.asks,
        for_sale=on_sale,
        best_in=best_in,
    )


def seeking(turn: Turn) -> Seeking:
    """Goods are shown to whom they are sought by; that a kind of them is named is no wish."""
    heard, text = hear(turn, Talk()), marked(turn)
    bare = turn.names_goods and not telling(turn.rest).strip() and not uses(turn)
    asked = SAID["seeks"].search(text) or SAID["asks_stock"].search(text) or SAID["asks_kinds"].search(text)
    if turn.tapped or bare or asked or heard.said.budget or heard.said.measure or heard.orders:
        return "clearly"
    surely = turn.intent in _WISHES and turn.confidence >= SURELY
    looks = SAID["looks"].search(text) or SAID["asks_for"].search(text)
    told = heard.narrows or heard.best_in or names_a_kind(turn.question)
    return "maybe" if surely or looks or told or (len(turn.rest) <= A_FRAGMENT and not turn.asks) else "no"


def uses(turn: Turn) -> bool:
    """Whether it is asked how a thing is used, joined with another, or mended."""
    return not turn.tapped and bool(SAID["uses"].search(marked(turn)))


def for_sale(turn: Turn) -> bool:
    """Whether nothing speaks of a parcel, of what is wrong, or of another day's price."""
    text = plain(turn.text)
    return not (SAID["of_an_order"].search(text) or SAID["price_to_come"].search(text))


def has_bought(turn: Turn) -> bool:
    return bought_before(turn) or bool(SAID["bought"].search(plain(turn.text)))


def bought_before(turn: Turn) -> bool:
    return "negation" not in turn.acts and bool(SAID["regular"].search(plain(turn.text)))


def names_some(turn: Turn) -> bool:
    """Whether words that may be a name are asked for: 有没有行车记录仪, but not 老客户就活该贵啊 or 32的多少钱."""
    text = plain(turn.text)
    priced = turn.intent == "ask_price" and SAID["seeks"].search(text)
    bare = (priced or (turn.intent == "ask_stock" and turn.asks)) and len(turn.rest) <= A_NAME
    asked = bare or SAID["asks_for"].search(text)
    return bool(asked) and names_a_thing(read_budget(turn.rest)[1])


def names_a_thing(text: str) -> bool:
    """Whether words that may be a name are left of it."""
    return len(re.sub(r"[\W\d_]+", "", SAID["in_general"].sub("", telling(without_aspects(text))))) > 1


def asks_shop(turn: Turn) -> bool:
    """Whether it is asked what the shop sells: 你们有游戏机吗."""
    return bool(SAID["asks_shop"].search(plain(turn.text)))


def asks_for_some(turn: Turn) -> bool:
    """The same of goods by a name: 有没有滑板."""
    return names_some(turn) and bool(SAID["asks_for"].search(plain(turn.text)))


def marked(turn: Turn) -> str:
    """The words with every name of goods put as one sign."""
    text, at = "", 0
    for one in sorted((one for one in turn.spans if one["entity"] in _NAMES), key=lambda one: int(one["start"])):
        text, at = text + turn.text[at : int(one["start"])] + GOODS_MARK, int(one["end"])
    return plain(text + turn.text[at:])


def _shelves(turn: Turn) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, turn.entities.get("category", ()))))


def moves_on(turn: Turn) -> bool:
    """Whether other goods than those that were shown are asked for: 便宜点的有没."""
    return not turn.tapped and bool(_moves(plain(turn.text)))


def _move(text: str, talk: Talk) -> Move:
    return _moves(text) if talk.products else ""


def _moves(text: str) -> Move:
    moves: tuple[Move, ...] = ("cheaper", "dearer", "others")
    named = (move for move in moves if SAID[move].search(text))
    return "" if SAID["asks_kinds"].search(text) else next(named, "")


def only_describes(written: str, recommends: bool) -> bool:
    """Whether a product's name, as it is written, may as well describe others: 降噪耳机."""
    return recommends or bool(qualities_in(written)[0])
