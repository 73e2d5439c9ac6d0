"""Which of a customer's orders words describe: by goods, by the day they were bought or came, by how far they are, by
price ("我的加湿器", "昨天买的那个", "还没发货的", "最便宜的那单"). Words stand in bot/data/patterns/order_words.yml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from bot import patterns
from bot.actions.focus import Listed, like
from bot.actions.turn import Turn
from bot.actions.wording import goods
from bot.patterns import cut
from bot.spelling import number, plain
from mall_adapter.values import Order, OrderStatus, Reason
from settings import SHANGHAI

JUST_PLACED = timedelta(days=2)
"""Age of an order up to which it may have been placed "just now"."""

CAME_LATELY = timedelta(days=4)
"""Age of a delivery up to which it may have come "just now"."""

_SAID = patterns.load(
    "order_words",
    *("talk", "not_meant", "bought", "came", "just_placed", "month", "beside", "counted", "apart"),
    *("unsent", "presale", "under_way", "just_came", "cheapest", "dearest", "price"),
)
_TALK, _BOUGHT = _SAID["talk"], _SAID["bought"]
_LATIN = re.compile(r"[A-Za-z0-9]+")
_UNSENT = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE})
_TO_COME = frozenset({OrderStatus.PAID, OrderStatus.PRESALE, OrderStatus.SHIPPED})


def meant_by_words(turn: Turn, orders: Sequence[Order]) -> list[Order]:
    """Those that "我的加湿器", "昨天买的那个" mean; none when the words name nothing of an order."""
    turn = turn.outside(_SAID["not_meant"])
    choices = [{"kind": "order", "id": order.id, "title": goods(order.lines)} for order in orders]
    names = [str(value) for kind in ("product", "category", "brand") for value in turn.entities.get(kind, ())]
    words = _telling(" ".join([*names, turn.without("order_id", "phone_tail", "four_digits")]), choices)
    ids = {choice["id"] for choice in like(words, choices)} if not turn.tapped else set()
    found = [order for order in orders if order.id in ids]
    found += [order for order in orders if order not in found and _of_category(order, turn)]
    dated = [order for order in found or orders if _day_named(order, turn) or _month_named(order, turn)]
    if dated or len(found) == 1:
        return dated or found
    return _told_apart(turn, found or orders) or found or _just_placed(turn, orders)


def describes_one(turn: Turn) -> bool:
    """Whether the words may tell which order is meant: by goods, a day, or how far it is."""
    by_name = turn.names_goods or turn.first("goods_kind") is not None or turn.first("day") is not None
    return by_name or (not turn.tapped and any(_SAID[name].search(plain(turn.text)) for name in _TOLD_BY))


def named_side_by_side(turn: Turn, orders: Sequence[Order]) -> list[Order]:
    """Several of the orders, each named by words of its own ("一个是鞋一个是口红"), in that order; none where one alone
    is meant."""
    if turn.tapped or "question" in turn.acts:
        return []
    between = _SAID["apart" if _SAID["counted"].search(plain(turn.text)) else "beside"]
    named = [meant_by_words(piece, orders) for piece in turn.cut_at(between)]
    found = list({of_piece[0].id: of_piece[0] for of_piece in named if len(of_piece) == 1}.values())
    return found if len(found) > 1 else []


def _telling(words: str, choices: Listed) -> str:
    """Without what names no goods though titles hold it: "不用", the digits of a date, a piece of an English word."""
    known = {word.lower() for choice in choices for word in _LATIN.findall(choice["title"]) if not word.isdecimal()}
    named = _LATIN.sub(lambda word: word[0] if word[0].lower() in known else " ", words)
    return cut(_TALK, named, " ")


def _of_category(order: Order, turn: Turn) -> bool:
    """By its shelf or name, or by what people call such things ("鞋子", entity ``goods_kind``: pieces of either)."""
    kinds = [piece for kind in turn.entities.get("goods_kind", ()) for piece in str(kind).split("|")]
    if any(kind in line.category or kind in line.product_name for line in order.lines for kind in kinds):
        return True
    named = set(map(str, turn.entities.get("category", ()))) | set(map(str, turn.entities.get("product", ())))
    return any(line.category in named or line.product_name in named for line in order.lines)


def _told_apart(turn: Turn, orders: Sequence[Order]) -> list[Order]:
    """Those of the orders that are told by how far they are, or by what they cost: "没发货那个", "最便宜的那单"."""
    said = "" if turn.tapped else plain(turn.text)
    found = list(orders)
    for name, pick in _TOLD_BY.items():
        if _SAID[name].search(said):
            found = pick(found)
    if price := _SAID["price"].search(said):
        found = [order for order in found if _costs(order, price)]
    return found if len(found) < len(orders) else []


def _costs(order: Order, price: re.Match[str]) -> bool:
    """Whether the order, or one of its goods, costs what is named: "99 块那单", "两百多的那个"."""
    least = int(number(price["sum"]) or 0)
    most = least + (10 ** (len(str(least)) - 1) if price["more"] else 1)
    cents = (order.total_cents, *(line.unit_price_cents for line in order.lines))
    return any(least * 100 <= one < most * 100 for one in cents)


def _last_that_came(orders: Sequence[Order]) -> list[Order]:
    """Those of the day on which the last of them came, while that is not long ago."""
    came = [order for order in orders if order.delivered_at and datetime.now(UTC) - order.delivered_at <= CAME_LATELY]
    last = max((_day(order.delivered_at) for order in came if order.delivered_at), default=None)
    return [order for order in came if order.delivered_at and _day(order.delivered_at) == last]


def _day(moment: datetime) -> date:
    return moment.astimezone(SHANGHAI).date()


def _by_price(orders: Sequence[Order], first: Callable[..., Order]) -> list[Order]:
    left = [order for order in orders if order.status is not OrderStatus.CANCELLED]
    return [first(left, key=lambda order: order.total_cents)] if left else []


_TOLD_BY: Mapping[str, Callable[[Sequence[Order]], list[Order]]] = {
    "unsent": lambda orders: [one for one in orders if one.status in _UNSENT and not one.shipments],
    "presale": lambda orders: [one for one in orders if one.status is OrderStatus.PRESALE],
    "under_way": lambda orders: [one for one in orders if one.status in _TO_COME],
    "just_came": _last_that_came,
    "cheapest": lambda orders: _by_price(orders, min),
    "dearest": lambda orders: _by_price(orders, max),
}
"""Pattern → those of the orders that it tells apart."""


def _just_placed(turn: Turn, orders: Sequence[Order]) -> list[Order]:
    """The newest order, where the words say so and it is no older than they can mean: "我刚下的单"."""
    tells = turn.first("reason") not in (None, Reason.LATE_DELIVERY)  # "刚买的就坏了" has come already
    if turn.tapped or tells or not _SAID["just_placed"].search(plain(turn.text)):
        return []
    newest = max(orders, key=lambda order: order.placed_at, default=None)
    return [newest] if newest and datetime.now(UTC) - newest.placed_at <= JUST_PLACED else []


def _day_named(order: Order, turn: Turn) -> bool:
    """Whether the message names the day on which it was bought, or came: entity ``day``, days ago."""
    ago, said = turn.first("day"), plain(turn.text)
    if ago is None:
        return False
    named = (datetime.now(SHANGHAI) - timedelta(days=int(ago))).date()
    if _SAID["came"].search(said):
        return order.delivered_at is not None and _day(order.delivered_at) == named
    return bool(_BOUGHT.search(said)) and _day(order.placed_at) == named


def _month_named(order: Order, turn: Turn) -> bool:
    """Whether the message names the year in which it was bought, and the month where it names one: "去年七月那单"."""
    said = None if turn.tapped else _SAID["month"].search(plain(turn.text))
    if said is None:
        return False
    placed, today = _day(order.placed_at), datetime.now(SHANGHAI).date()
    ago = next(years for years, name in enumerate(("this", "last", "before_last")) if said[name])
    month = number(said["month"]) if said["month"] else None
    return placed.year == today.year - ago and month in (None, placed.month)


def not_bought(turn: Turn, orders: Sequence[Order]) -> str | None:
    """What the message names as goods and none of the orders has; None where it names none, or an order beside it."""
    if not orders or any(turn.first(kind) for kind in ("order_id", "ordinal", "phone", "phone_tail")):
        return None
    name = next((str(name) for kind in ("product", "category") if (name := turn.first(kind))), None)
    return None if meant_by_words(turn, orders) else name
