"""Which products a message is about: named, pointed at, talked of before, or only described."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import islice
from typing import Literal

from rasa_sdk import Tracker

from bot.actions.comparison import ranked
from bot.actions.conversation import Conversation
from bot.actions.focus import AT_HAND, Focus, pointed_at
from bot.actions.graphs import ask
from bot.actions.knowledge_base import GraphKnowledgeBase
from bot.actions.malls import get_goods, get_mall
from bot.actions.product_search import (
    SHELF,
    Budget,
    Found,
    Wish,
    categories_called,
    in_graph,
    on_pages,
    read_budget,
    search,
    telling,
)
from bot.actions.product_talk import (
    OF_GOODS,
    Heard,
    Talk,
    asks_for_some,
    hear,
    names_a_thing,
    names_some,
    only_describes,
    seeking,
    uses,
)
from bot.actions.product_words import SAID, kind_called, without_aspects
from bot.actions.shop_product import (
    ShopProduct,
    attributes_in,
    kinds_in,
    names_a_kind,
    shop_products,
    with_knowledge,
)
from bot.actions.turn import Turn
from bot.spelling import plain
from mall_adapter.errors import MallError
from mall_adapter.names import names_of, spelt
from mall_adapter.values import Order, Product

PRODUCTS_SHOWN = 3
CARRIED_AT_MOST = 4
"""Messages after which a question is not carried on any more."""

SURE_OF_GOODS = 0.9
"""Confidence from which a question without a name goes on about the goods of the last answer."""

NOW = 2
"""Turns for which it is so although another thing was asked between."""

RANKED_OF = 30
"""So many that fit are put in order."""

ORDERS_LOOKED_AT = 20
SEEN_AT_MOST = 40

SPOKEN_OF, WHICH_ONE = "spoken of", "which one"
"""What the last answer did about goods (kind ``goods`` of the focus): it spoke of some, or asked which is meant."""

_POINTERS = frozenset({"product", "ordinal", "mention"})


class Sign(IntEnum):
    """How a message says which goods it is about, the faintest first."""

    NONE = 0
    IN_HAND = 1  # it does not say so, but these were talked of
    WORDS = 2  # words of its own that could describe goods
    SHELF = 3  # a category, a brand, or a budget
    AGAIN = 4  # it goes on about what the last answer showed
    NAMED = 5  # by name, or pointed at
    CHOSEN = 6  # and is to be bought


Nothing = Literal["", "cheaper", "dearer", "else", "told", "there", "shelf"]
"""What there is none of; ``there``: these are what was talked of; ``shelf``: the shop does not have such goods."""


@dataclass(frozen=True, slots=True)
class Meant:
    products: Sequence[ShopProduct]
    sign: Sign = Sign.NONE
    nothing: Nothing = ""
    found: Found | None = None  # where they were looked for
    moves: bool = False  # cheaper or dearer ones than were shown

    @property
    def named(self) -> bool:
        return self.sign is Sign.NAMED and self.found is None


def listed(tracker: Tracker) -> list[str]:
    """The products shown last, by their ids."""
    return [thing["id"] for thing in Focus(tracker).listed("product")]


def shown_lately(tracker: Tracker) -> list[str]:
    """The same, while words without a name may still go on about them."""
    return listed(tracker) if _turns_since(tracker, "listed") <= AT_HAND else []


def shown_now(tracker: Tracker) -> bool:
    """Whether goods were listed so lately that a question without a name is one about them."""
    return last_said_of_goods(tracker) == SPOKEN_OF or _turns_since(tracker, "listed") <= NOW


def last_said_of_goods(tracker: Tracker) -> str | None:
    """SPOKEN_OF or WHICH_ONE where the answer to the last message was about goods."""
    if _turns_since(tracker, "goods") > 1:
        return None
    said: str | None = Focus(tracker).at_hand("goods")
    return said


def _turns_since(tracker: Tracker, what: str) -> int:
    thing = Focus(tracker).value.get(what) or {}
    return Conversation.of(tracker).turn - int(thing.get("turn") or 0) if thing else AT_HAND + 1


def talked_of(focus: Focus, products: Sequence[ShopProduct]) -> None:
    """Remembers what was shown, so that "第二个" and "刚才那款" are understood. A list stays while one talks of a
    product in it, or of the first ones in its order."""
    ids, shown = [product.id for product in products], focus.listed("product")
    places = [thing["id"] for thing in shown]
    if ids == places[: len(ids)] or (len(ids) == 1 and ids[0] in places):
        focus.on_list(shown, focus.wish)
    else:
        remember(focus, products)
    focus.on("product", ids[0] if len(ids) == 1 else None)


def remember(focus: Focus, products: Sequence[ShopProduct], wish: Wish | None = None) -> None:
    """And what the list was chosen for, with all that was shown of that shelf: "还有别的吗" shows nothing again."""
    things = [{"kind": "product", "id": product.id, "title": product.name} for product in products]
    if wish is None:
        focus.on_list(things)
        return
    before_it = focus.wish or {}
    seen = before_it.get("seen", []) if before_it.get("shelves") == list(wish.shelves) else []
    seen = list(dict.fromkeys([*seen, *(product.id for product in products)]))[-SEEN_AT_MOST:]
    focus.on_list(things, {**wish.stored(), "seen": seen})


async def talk_of(tracker: Tracker) -> Talk:
    focus = Focus(tracker)
    products, in_hand = await before(tracker), focus.at_hand("product")
    return Talk(
        products,
        products[0] if in_hand and products else None,
        [*listed(tracker), *(focus.wish or {}).get("seen", ())],
        Wish.load(focus.wish) if focus.wish and _turns_since(tracker, "listed") <= AT_HAND else None,
        last_said_of_goods(tracker) is not None,
    )


async def named(turn: Turn) -> list[ShopProduct]:
    goods = await get_goods()
    names = turn.entities.get("product", ())
    found = [product for name in names for product in await goods.find(str(name), limit=1)]
    return await with_knowledge(list({product.id: product for product in found}.values()))


async def before(tracker: Tracker) -> list[ShopProduct]:
    """The product in hand; where there is none, those shown last."""
    in_hand = Focus(tracker).at_hand("product")
    return await shop_products([in_hand] if in_hand else shown_lately(tracker))


# --- goods that were ordered -----------------------------------------------------------------------------------------


async def of_the_order(tracker: Tracker, turn: Turn, heard: Heard) -> list[ShopProduct]:
    """What was bought, where the message says so, names the order, asks how a thing of that shelf is used, or asks of a
    shelf of which the order at hand holds one thing; of several orders the thing that the words name."""
    named_order = turn.first("order_id")
    order_id = named_order or Focus(tracker).at_hand("order")
    bare = bool(SAID["asks_stock"].search(plain(turn.text)))
    has_it = heard.bought or bool(heard.said.shelves and uses(turn) and seeking(turn) != "clearly")
    if not (has_it or (order_id and (named_order or heard.said.shelves or bare))):
        return []
    mall = await get_mall()
    try:
        orders = [await mall.order(tracker.sender_id, str(order_id))] if order_id else []
        bought = _things(orders, turn, heard)
        if not bought and has_it:
            bought = _things(await mall.orders_of(tracker.sender_id, limit=ORDERS_LOOKED_AT), turn, heard)
    except MallError:
        return []
    return await shop_products(bought) if len(bought) == 1 else []


def _things(orders: Sequence[Order], turn: Turn, heard: Heard) -> list[str]:
    """The ids of what the words call: by its shelf, or by what its shelf is in the end (鞋)."""
    lines = [line for order in orders for line in order.lines]
    shelves, names = heard.said.shelves, turn.entities.get("product", ())
    written = plain(turn.text)
    if shelves or names:
        fit = [line for line in lines if line.category in shelves or line.product_name in names]
    else:
        fit = [line for line in lines if line.category and plain(line.category)[-1] in written] or lines
    return list(dict.fromkeys(line.product_id for line in fit))


# --- going on --------------------------------------------------------------------------------------------------------


def carried_on(tracker: Tracker, turn: Turn) -> Turn:
    """ "那T3的呢" asks of the T3 what was asked before, and so does a name that we have asked for."""
    if turn.rest or turn.tapped or not turn.entities.keys() & _POINTERS:
        return turn
    said = last_said_of_goods(tracker)
    if said is None or not (turn.asks or said == WHICH_ONE):
        return turn
    earlier = next((one for one in islice(Turn.earlier(tracker), CARRIED_AT_MOST) if one.rest), None)
    if earlier is None:
        return turn
    entities = {name: found for name, found in earlier.entities.items() if name not in _POINTERS} | turn.entities
    return replace(earlier, entities=entities, message_id=turn.message_id)


def on_its_shelf(tracker: Tracker, turn: Turn) -> Turn:
    """ "噪音大不大" after "加湿器加自来水行吗": the kind of goods that was named is still meant, if none was shown."""
    if turn.names_goods or turn.tapped or not turn.asks or Focus(tracker).at_hand("product") or listed_now(tracker):
        return turn
    named = ((one, _shelves_named(one)) for one in islice(Turn.earlier(tracker), NOW))
    earlier, shelves = next(((one, shelves) for one, shelves in named if shelves), (None, []))
    if earlier is None or earlier.intent not in OF_GOODS:
        return turn
    return replace(turn, entities={**turn.entities, "category": shelves})


def _shelves_named(turn: Turn) -> list[str]:
    return list(map(str, turn.entities.get("category", ()))) or list(kind_called(turn.text))


def listed_now(tracker: Tracker) -> bool:
    """Whether goods were listed, or one told, in answer to one of the last messages."""
    return bool(listed(tracker)) and shown_now(tracker)


async def goes_on(tracker: Tracker, turn: Turn) -> bool:
    """Whether words that could mean anything go on about the products of the last answer: "第二个", "白色呢"."""
    if turn.tapped or turn.entities.keys() & {"order_id", "ticket_id", "phone_tail"}:
        return False
    talk = await talk_of(tracker)
    heard = hear(turn, talk)
    if not talk.fresh and not (heard.move and Focus(tracker).at_hand("order") is None):
        return False
    if turn.first("reason") is not None and not heard.move:
        return False
    narrows = heard.narrows and heard.for_sale
    if turn.entities.keys() & {"ordinal", "mention"} or narrows or heard.move or heard.orders or heard.agrees:
        return True
    if SAID["similar"].search(plain(turn.text)) or asked_again(talk.products, turn.text):
        return True
    if talk.products and await _narrower(heard, in_stock=False):
        return True
    return bool(talk.fresh and heard.for_sale and kind_called(heard.said.text))  # 她平时爱化妆, of a present


async def heard_in(talk: Talk, turn: Turn, recommends: bool = False) -> tuple[Heard, list[ShopProduct]]:
    """What the message asks of goods, and the products that it names: not those whose names only describe."""
    found = await named(turn)
    spans = {
        str(one["value"]): turn.text[one["start"] : one["end"]] for one in turn.spans if one["entity"] == "product"
    }
    described = {
        one.name: one.live.category
        for one in found
        if spelt(spans.get(one.name, "")) != spelt(one.name) and only_describes(spans.get(one.name, ""), recommends)
    }
    if turn.tapped:
        described = {}
    heard = hear(turn, talk, described=described)
    if not (heard.said.names_a_shelf or found or turn.tapped or (talk.products and turn.intent == "ask_product")):
        heard = hear(turn, talk, await shelves_called(heard.said.text))
    return heard, [one for one in found if one.name not in described]


async def shelves_called(text: str) -> list[str]:
    """By one end of their names, else by the word for their kind (衣服)."""
    called = await categories_called(await (await get_goods()).listings(), text)
    return called or [name for name in kind_called(text) if await there_is(name)]


async def in_question(tracker: Tracker, turn: Turn, in_stock: bool = False) -> Meant:
    """What the message is about, the surest sign first. ``in_stock``: only what can be had now."""
    if pointed := pointed_at(turn, Focus(tracker).listed("product")):
        return Meant(await shop_products([pointed[0]["id"]]), Sign.NAMED)
    talk = await talk_of(tracker)
    heard, found = await heard_in(talk, turn, in_stock)
    asks_use = bool(shelves_said := heard.said.shelves) and uses(turn) and seeking(turn) != "clearly"
    if asks_use and talk.in_hand and talk.in_hand.live.category in shelves_said:
        return Meant([talk.in_hand], Sign.NAMED)
    if not in_stock and (asks_use or not talk.fresh) and (bought := await of_the_order(tracker, turn, heard)):
        return Meant(bought, Sign.NAMED)
    if found:
        return Meant(found[:PRODUCTS_SHOWN], Sign.NAMED)
    if heard.bought and not talk.fresh and seeking(turn) != "clearly":
        return Meant([])
    again = Sign.AGAIN if talk.fresh else Sign.IN_HAND
    if turn.first("ordinal") and (shown := await shop_products(listed(tracker)[:PRODUCTS_SHOWN])):
        return Meant(shown, again, "there")
    shelves = heard.said.shelves
    of_it = talk.in_hand is not None and (not shelves or talk.in_hand.live.category in shelves)
    beside = bool(SAID["goes_with"].search(plain(turn.text)))  # what goes with it is not known: it is still meant
    if talk.in_hand and turn.first("mention") and of_it and (beside or not heard.asks_more):
        return Meant([talk.in_hand], Sign.NAMED)
    if not heard.said.names_a_shelf and not heard.move:
        kinds = [one for one in talk.products if kinds_in(one.live, read_budget(turn.text)[1])]
        if (not heard.narrows or kinds) and (those := asked_again(talk.products, turn.text, in_stock)):
            return Meant(those, Sign.AGAIN)
    offered = heard.agrees and talk.fresh and not talk.products
    wished = heard.wish.asks_more or telling(heard.wish.text).strip()  # by no shelf
    of_any_kind = in_stock and not talk.products and bool(wished)
    if heard.said.names_a_shelf or heard.said.asks_more or heard.move or heard.best_in or offered or of_any_kind:
        if meant := await _looked_for(turn, heard, talk, in_stock):
            return replace(meant, moves=heard.move in ("cheaper", "dearer"))
    elif talk.products and (talk.in_hand is None or turn.intent != "ask_product" or heard.narrows):
        narrower = await _narrower(heard, in_stock)
        if narrower:
            return replace(narrower, sign=again)
    says_something = turn.first("mention") is None and bool(telling(turn.text).strip()) and not heard.said.shelves
    if says_something and (called := await _called_by_words(turn, talk, in_stock)):
        return Meant(called, Sign.SHELF if turn.names_goods else Sign.WORDS)
    bare = not telling(without_aspects(turn.text)).strip(" ?？不")  # 贵不贵
    if talk.products and turn.intent in ("ask_price", "ask_stock") and bare:
        return Meant(talk.products[:PRODUCTS_SHOWN], again)
    if talk.products and in_stock and SAID["fragment"].search(plain(turn.text)):
        return Meant(talk.products[:PRODUCTS_SHOWN], again, "told")
    if SAID["asks_shop"].search(plain(turn.text)) and names_some(turn):
        return Meant([])  # 你们有游戏机吗, of whoever has just looked at a laptop
    if talk.fresh and turn.intent == "ask_product" and turn.confidence >= SURE_OF_GOODS and talk.in_hand:
        return Meant([talk.in_hand], Sign.AGAIN)
    return Meant([talk.in_hand], Sign.IN_HAND) if talk.in_hand and not in_stock else Meant([])


def asked_again(talked: Sequence[ShopProduct], text: str, only_kinds: bool = False) -> list[ShopProduct]:
    """Those of the products that a question without a name goes on about: "那红色的呢", "防水吗"."""
    text = read_budget(text)[1]
    if SAID["asks_kinds"].search(plain(text)):
        return list(talked[:PRODUCTS_SHOWN])
    if only_kinds:
        return [one for one in talked if kinds_in(one.live, text)][:PRODUCTS_SHOWN]
    if len(talked) == 1:
        only = talked[0]
        return [only] if kinds_in(only.live, text) is not None or attributes_in(only, text) else []
    return [one for one in talked if kinds_in(one.live, text) or attributes_in(one, text)][:PRODUCTS_SHOWN]


# --- looking for goods -----------------------------------------------------------------------------------------------


async def _looked_for(turn: Turn, heard: Heard, talk: Talk, in_stock: bool) -> Meant | None:
    """What is wished. Where nothing is: the nearest, and what stands in the way; or that there is nothing cheaper."""
    wish, move = heard.wish, heard.move
    goes_on = bool(talk.products or talk.wish) and not heard.said.names_a_shelf
    sign = Sign.NAMED if goes_on and talk.fresh else Sign.SHELF
    if not wish.names_a_shelf and not heard.move:
        return await _of_any_kind(turn, wish, sign)
    seen: Collection[str] = ()
    if move == "others":
        seen = {*talk.seen, *(one.id for one in talk.products)}
    elif move and talk.in_hand:
        seen = {talk.in_hand.id}
    found, products = await looked_for(wish, in_stock, seen, heard)
    if move in ("cheaper", "dearer"):  # that price is not what was wished
        before_it = talk.wish.budget if talk.wish else None
        found = replace(found, wish=replace(found.wish, budget=before_it))
    if not products:
        if move:
            return Meant(talk.products[:PRODUCTS_SHOWN], sign, "else" if move == "others" else move)
        missing = bool(wish.shelves) and not any([await there_is(name) for name in wish.shelves])
        return Meant([], Sign.NAMED, "shelf", found) if missing else None
    if found.exact:
        return Meant(products, sign, found=found)
    if move == "others":
        return Meant(talk.products[:PRODUCTS_SHOWN], sign, "else")
    if move:
        return Meant(talk.products[:PRODUCTS_SHOWN], sign, move, found)
    told = heard.said.budget or heard.said.measure
    if goes_on and talk.products and all(isinstance(one, str) for one in found.missing) and not told:
        return Meant(talk.products[:PRODUCTS_SHOWN], sign, "told", found)
    return Meant(products, sign, found=found)


async def _of_any_kind(turn: Turn, wish: Wish, sign: Sign) -> Meant | None:
    """What is for whom, for what or for how much it is wished, of several kinds; None where no page knows any of it, or
    what it is called: "宝宝辅食有吗"."""
    found, products = await looked_for(wish, in_stock=True)
    called = asks_for_some(turn) and names_a_thing(wish.text)
    known = found.words or (found.wish.asks_more and not called)
    return Meant(products, sign, found=found) if products and known else None


async def looked_for(
    wish: Wish, in_stock: bool, seen: Collection[str] = (), heard: Heard | None = None
) -> tuple[Found, list[ShopProduct]]:
    """What was listed some seconds ago may cost something else now: that decides."""
    best_in = heard.best_in if heard else None
    text = heard.said.text if heard else ""
    limit = RANKED_OF if best_in or names_a_kind(text) else len(seen) + PRODUCTS_SHOWN * 2
    found = await searched(wish, limit, firm=heard is not None and heard.move in ("cheaper", "dearer"))
    products = await shop_products([one for one in found.ids if one not in seen])
    fit = _fit(products, found.wish.budget, in_stock, RANKED_OF)
    fit = [one for one in fit if kinds_in(one.live, text)] or fit  # 42码: those that come like that
    return found, (ranked(fit, best_in) or fit if best_in else fit)[:PRODUCTS_SHOWN]


async def searched(wish: Wish, limit: int, firm: bool = False) -> Found:
    """In the graph; where it is away or does not know the shelf, among what the mall has."""
    nothing, listings = Found((), wish), await (await get_goods()).listings()
    found = await ask(lambda graph: search(in_graph(GraphKnowledgeBase(graph, listings)), wish, limit, firm), nothing)
    if found.ids:
        return found
    return await search(on_pages(await _of_the_shelf(wish)), wish, limit, firm)


async def _of_the_shelf(wish: Wish) -> list[Product]:
    goods, live = await get_goods(), list[Product]()
    for name in wish.shelves or (wish.brand or "",):
        live += await goods.find(name, limit=SHELF)
    return live


async def there_is(shelf: str) -> bool:
    """Whether the shop has such goods at all."""
    return any(one.category == shelf for one in await (await get_goods()).find(shelf, limit=SHELF))


def _fit(
    products: Sequence[ShopProduct], budget: Budget | None, in_stock: bool, limit: int = PRODUCTS_SHOWN
) -> list[ShopProduct]:
    return [
        product
        for product in products
        if (not in_stock or product.available > 0) and (budget is None or budget.allows(product.prices))
    ][:limit]


async def _narrower(heard: Heard, in_stock: bool) -> Meant | None:
    """ "有防水的吗": words that stand on some pages of the shelf that was talked of."""
    found, products = await looked_for(heard.wish, in_stock)
    return Meant(products, found=found) if products and found.exact and found.words else None


async def _called_by_words(turn: Turn, talk: Talk, in_stock: bool) -> list[ShopProduct]:
    """What the mall alone makes of the words. While a product is talked of, or where no kind of goods is named, only a
    name leads to another."""
    live = await (await get_goods()).find(turn.text, limit=SHELF)
    if (talk.products and turn.first("brand") is None) or uses(turn) or not turn.names_goods:
        live = [one for one in live if called_so(turn.text, one)]
    return _fit(await with_knowledge(live[: PRODUCTS_SHOWN * 2]), None, in_stock)


async def cheapest_first(category: str) -> list[ShopProduct]:
    """What can be had of a shelf."""
    live = [one for one in await (await get_goods()).find(category, limit=SHELF) if one.category == category]
    products = [one for one in await with_knowledge(live) if one.available > 0]
    return sorted(products, key=lambda one: one.price_cents)


def called_so(part: str, product: Product) -> int:
    """How long a name of the product the words hold, or which piece of its name (喵净) they are; 0 for none."""
    names, short = names_of((product.name, product.brand, product.category))
    written, piece, shelf = spelt(part), spelt(telling(part)), spelt(product.category)
    longest = max((len(form) for form in (*names, *short) if form in written and form not in shelf), default=0)
    if (
        len(piece) > 1
        and not SAID["no_name"].search(piece)
        and piece in spelt(product.name)
        and piece not in spelt(product.brand + product.category)
    ):
        return max(longest, len(piece))
    return longest
