"""Which products a message is about: named, pointed at, talked of before, or only described."""

from __future__ import annotations

import asyncio
import re
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
from bot.actions.knowledge_base import GraphKnowledgeBase, Object
from bot.actions.malls import get_mall
from bot.actions.product_search import (
    ASKS_CHEAPER,
    SHELF,
    Budget,
    Found,
    Wanted,
    categories_called,
    companions,
    made_by,
    narrowed,
    plain,
    read_budget,
    read_wanted,
    search,
    telling,
    words_of,
)
from bot.actions.shop_product import ASKS_KINDS, ShopProduct, attributes_in, kinds_in, shop_products, with_knowledge
from bot.actions.turn import Turn
from knowledge_graph import Graph
from knowledge_graph import products as graph_products
from mall_adapter import MallError, Product, names_of, spelt

PRODUCTS_SHOWN = 3
COMPARED_AT_MOST = 4
CARRIED_AT_MOST = 4
"""Messages after which a question is not carried on any more."""

SPOKEN_OF, WHICH_ONE = "spoken of", "which one"
"""What the last answer did about goods (kind ``goods`` of the focus): it spoke of some, or asked which is meant."""

_GOES_WITH = re.compile(
    "[给配跟和与].{0,20}[用配搭装]|[能可]用的|[配用](?:什么|啥|哪)"
    "|配套|配件|兼容|适配|搭配|compatible|accessor|goes? with|\\bfits?\\b",
    re.IGNORECASE,
)
_ANY_COMPANION = re.compile("配套|配件|兼容|适配|搭配|compatible|accessor|goes? with", re.IGNORECASE)
_FITS = re.compile(
    "[能可](?:不能|不可|以|以不可以)?[用配装]|兼容|适配|通用|用得[上了]"
    "|compatible|\\bfits?\\b|(?:work|go|use)s? (?:it )?with",
    re.IGNORECASE,
)
_SIMILAR = re.compile("替代|代替|类似|相似|相近|差不多的|similar|alternative|instead", re.IGNORECASE)
_OTHERS = re.compile(
    "(?:别|其他|其它|另外)(?:的|[几一]?[款个种])|还有[吗嘛么没]|换一?[款个批]|anything else|other ones?", re.IGNORECASE
)
_AND = re.compile(r"[和跟与及、,，;；/]|还是|对比|相比|比一?[比下]?|\b(?:vs|or|and|versus)\b", re.IGNORECASE)
_THESE = re.compile("[这那]([两二俩三四2-4几])|([两二俩三四2-4])[款个种]")
_FRAGMENT = re.compile("[的呢吗么][?？]?$")
_COUNTS = {"两": 2, "二": 2, "俩": 2, "三": 3, "四": 4, "2": 2, "3": 3, "4": 4, "几": 4}
_POINTERS = frozenset({"product", "ordinal", "mention"})
_NARROWS = re.compile(f"{ASKS_CHEAPER.pattern}|{_OTHERS.pattern}|{_SIMILAR.pattern}", re.IGNORECASE)


class Sign(IntEnum):
    """How a message says which goods it is about, the faintest first."""

    NONE = 0
    IN_HAND = 1  # it does not say so, but these were talked of
    WORDS = 2  # words of its own that could describe goods
    SHELF = 3  # a category, a brand, or a budget within what was shown
    AGAIN = 4  # it goes on about what the last answer showed
    NAMED = 5  # by name, or pointed at


@dataclass(frozen=True, slots=True)
class Meant:
    products: Sequence[ShopProduct]
    exact: bool = True  # else the nearest to what was asked for
    sign: Sign = Sign.NONE
    nothing: Literal["", "cheaper", "else", "told", "there"] = ""  # there is: these are what was talked of

    @property
    def named(self) -> bool:
        return self.sign is Sign.NAMED


@dataclass(frozen=True, slots=True)
class Beside:
    """What goes with a product, or can stand in for it."""

    of: ShopProduct
    products: Sequence[ShopProduct]


def listed(tracker: Tracker) -> list[str]:
    """The products shown last, by their ids."""
    return [thing["id"] for thing in Focus(tracker).listed("product")]


def shown_lately(tracker: Tracker) -> list[str]:
    """The same, while words without a name may still go on about them."""
    return listed(tracker) if _turns_since(tracker, "listed") <= AT_HAND else []


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
        focus.on_list(shown)
    else:
        remember(focus, products)
    focus.on("product", ids[0] if len(ids) == 1 else None)


def remember(focus: Focus, products: Sequence[ShopProduct]) -> None:
    focus.on_list([{"kind": "product", "id": product.id, "title": product.name} for product in products])


async def named(turn: Turn) -> list[ShopProduct]:
    mall = await get_mall()
    names = turn.entities.get("product", ())
    found = [product for name in names for product in await mall.find_products(str(name), limit=1)]
    return await with_knowledge(list({product.id: product for product in found}.values()))


async def before(tracker: Tracker) -> list[ShopProduct]:
    """The product in hand; where there is none, those shown last."""
    in_hand = Focus(tracker).at_hand("product")
    return await shop_products([in_hand] if in_hand else shown_lately(tracker))


async def of_the_order(tracker: Tracker, turn: Turn) -> list[ShopProduct]:
    """What was bought, where the message names the order, or a shelf of which the order at hand holds one thing."""
    named_order = turn.first("order_id")
    order_id = named_order or Focus(tracker).at_hand("order")
    shelves = turn.entities.get("category", ())
    if not order_id or not (named_order or shelves):
        return []
    try:
        order = await (await get_mall()).order(tracker.sender_id, str(order_id))
    except MallError:
        return []
    bought = dict.fromkeys(line.product_id for line in order.lines if not shelves or line.category in shelves)
    return await shop_products(list(bought)) if len(bought) == 1 else []


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


async def goes_on(tracker: Tracker, turn: Turn) -> bool:
    """Whether words that could mean anything go on about the products of the last answer: "第二个", "白色呢"."""
    if turn.tapped or turn.entities.keys() & {"order_id", "ticket_id", "phone_tail", "reason"}:
        return False
    if last_said_of_goods(tracker) is None:
        return False
    if turn.entities.keys() & {"ordinal", "mention"} or read_budget(turn.text)[0] or _NARROWS.search(turn.text):
        return True
    talked = await before(tracker)
    return bool(asked_again(talked, turn.text)) or bool(talked and await _narrower(turn, talked[0], in_stock=False))


async def in_question(tracker: Tracker, turn: Turn, in_stock: bool = False) -> Meant:
    """What the message is about, the surest sign first. ``in_stock``: only what can be had now."""
    if pointed := pointed_at(turn, Focus(tracker).listed("product")):
        return Meant(await shop_products([pointed[0]["id"]]), sign=Sign.NAMED)
    if found := await named(turn):
        return Meant(found[:PRODUCTS_SHOWN], sign=Sign.NAMED)
    if turn.intent == "ask_product" and not in_stock and (bought := await of_the_order(tracker, turn)):
        return Meant(bought, sign=Sign.NAMED)
    talked, again = await before(tracker), Sign.AGAIN if last_said_of_goods(tracker) else Sign.IN_HAND
    if turn.first("ordinal") and (shown := await shop_products(listed(tracker)[:PRODUCTS_SHOWN])):
        return Meant(shown, nothing="there", sign=again)
    in_hand = talked[0] if Focus(tracker).at_hand("product") and talked else None
    shelves, text = turn.entities.get("category", ()), "" if turn.tapped else turn.text
    others = bool(talked and not shelves and _OTHERS.search(text)) and not ASKS_KINDS.search(text)
    asks_more = bool(read_budget(text)[0] or ASKS_CHEAPER.search(text) or others)
    if in_hand and turn.first("mention") and not asks_more and (not shelves or in_hand.live.category in shelves):
        return Meant([in_hand], sign=Sign.NAMED)
    if not (shelves or turn.first("brand") or asks_more) and (those := asked_again(talked, text, in_stock)):
        return Meant(those, sign=Sign.AGAIN)
    cheaper = bool(talked and ASKS_CHEAPER.search(text))
    seen = (
        {in_hand.id} if in_hand and cheaper else {one.id for one in talked} | set(listed(tracker)) if others else set()
    )
    wanted = await _wanted(turn, talked, others)
    told = Sign.SHELF if turn.names_goods or asks_more else Sign.WORDS
    if (
        wanted
        and (described := await _described(wanted, in_stock, seen))
        and (described.exact or not (cheaper or others))
    ):
        return replace(described, sign=told)
    if talked and not shelves and (cheaper or others):
        return Meant(talked[:PRODUCTS_SHOWN], nothing="cheaper" if cheaper else "else", sign=again)
    about_it = in_hand and turn.intent == "ask_product"
    if talked and wanted is None and not about_it and (narrower := await _narrower(turn, talked[0], in_stock)):
        return replace(narrower, sign=again)
    says_something = turn.first("mention") is None and bool(telling(text).strip())
    if says_something and (recognised := await _recognised(turn, talked, in_stock)):
        return replace(recognised, sign=told)
    if talked and turn.intent in ("ask_price", "ask_stock") and not telling(text).strip(" ?？"):
        return Meant(talked[:PRODUCTS_SHOWN], sign=again)
    if talked and in_stock and _FRAGMENT.search(text):
        return Meant(talked[:PRODUCTS_SHOWN], nothing="told", sign=again)
    return Meant([in_hand], sign=Sign.IN_HAND) if in_hand and not in_stock else Meant([])


async def _narrower(turn: Turn, talked: ShopProduct, in_stock: bool) -> Meant | None:
    """ "有防水的吗": words that stand on some pages of the shelf that was talked of."""
    wanted, nothing = Wanted((talked.live.category,), None, None, turn.text), Found((), False)
    found = await ask(lambda graph: search(GraphKnowledgeBase(graph), wanted, PRODUCTS_SHOWN * 2), nothing)
    if not (found.exact and found.words):
        return None
    fit = _fit(await shop_products(found.ids), None, in_stock)
    return Meant(fit) if fit else None


def asked_again(talked: Sequence[ShopProduct], text: str, only_kinds: bool = False) -> list[ShopProduct]:
    """Those of the products that a question without a name goes on about: "那红色的呢", "防水吗"."""
    text = read_budget(text)[1]
    if ASKS_KINDS.search(text):
        return list(talked[:PRODUCTS_SHOWN])
    if only_kinds:
        return [one for one in talked if kinds_in(one.live, text)][:PRODUCTS_SHOWN]
    if len(talked) == 1:
        only = talked[0]
        return [only] if kinds_in(only.live, text) is not None or attributes_in(only, text) else []
    return [one for one in talked if kinds_in(one.live, text) or attributes_in(one, text)][:PRODUCTS_SHOWN]


async def _recognised(turn: Turn, talked: Sequence[ShopProduct], in_stock: bool) -> Meant | None:
    """What the mall alone makes of the words; it reads the pages of what it finds as the graph would. While a product
    is talked of, only a name leads to another."""
    budget, rest = read_budget(turn.text)
    shelves = list(map(str, turn.entities.get("category", ())))
    if not shelves and budget and talked:  # 200以内的呢
        shelves = [talked[0].live.category]
    live = await (await get_mall()).find_products(" ".join(shelves) or turn.text, limit=SHELF)
    if not shelves:
        if talked and turn.first("brand") is None:
            live = [one for one in live if _called(turn.text, one)]
        fit = _fit(await with_knowledge(live[: PRODUCTS_SHOWN * 2]), budget, in_stock)
        return Meant(fit) if fit else None
    for name in shelves:
        rest = rest.replace(name, " ")
    shelf = [one for one in live if one.category in shelves]
    pages: list[Object] = [{"id": one.id, "name": one.name, "attributes": one.attributes} for one in shelf]
    kept, exact = await asyncio.to_thread(narrowed, pages, rest)
    for price in dict.fromkeys([budget, None]):
        products = [ShopProduct(one, one.attributes) for one in shelf if one.id in {page["id"] for page in kept}]
        products.sort(key=lambda one: (one.available <= 0, one.price_cents))
        if fit := _fit(products, price, in_stock):
            return Meant(fit, exact and price == budget)
    return None


async def _wanted(turn: Turn, talked: Sequence[ShopProduct], others: bool) -> Wanted | None:
    """What is described; "便宜点的", "别的" and "200以内的呢" mean the shelf that was talked of."""
    wanted = await ask(lambda graph: read_wanted(GraphKnowledgeBase(graph), turn), None)
    if wanted is None:
        return None
    if talked and turn.intent == "ask_product" and not turn.first("category"):  # 能连蓝牙吗 is no wish for 蓝牙耳机
        wanted = replace(wanted, categories=())
    if talked and ASKS_CHEAPER.search(turn.text) and not wanted.budget:
        dearest = min(one.price_cents for one in talked) - 1
        wanted = replace(wanted, budget=Budget(None, dearest))
    if others:
        wanted = replace(wanted, text="")
    if not wanted.categories and talked and (wanted.budget or others):
        wanted = replace(wanted, categories=(talked[0].live.category,))
    return wanted if wanted.names_a_shelf else None


async def _described(wanted: Wanted, in_stock: bool, seen: Collection[str]) -> Meant | None:
    """The prices and the stock of the graph may be seconds old: the mall's decide."""
    nothing = Found((), False)
    found = await ask(lambda graph: search(GraphKnowledgeBase(graph), wanted, len(seen) + PRODUCTS_SHOWN * 2), nothing)
    fit = _fit(
        await shop_products([one for one in found.ids if one not in seen]),
        wanted.budget if found.exact else None,
        in_stock,
    )
    return Meant(fit, found.exact) if fit else None


def _fit(products: Sequence[ShopProduct], budget: Budget | None, in_stock: bool) -> list[ShopProduct]:
    return [
        product
        for product in products
        if (not in_stock or product.available > 0) and (budget is None or budget.allows(product.prices))
    ][:PRODUCTS_SHOWN]


async def to_compare(tracker: Tracker, turn: Turn) -> list[ShopProduct]:
    """What is named or pointed at, with what was talked of; "这两款" are the first two of the list."""
    found = await named_in_order(turn)
    if not found and len(set(turn.entities.get("category", ()))) == 1 and not turn.first("ordinal"):
        return ranked(await _shelf(str(turn.first("category"))), turn.question)[:COMPARED_AT_MOST]
    if len(found) < 2 and not turn.tapped:
        found += [one for one in await _best_of_each(turn) if one.id not in {product.id for product in found}]
    shown = listed(tracker)
    pointed = [thing["id"] for thing in pointed_at(turn, Focus(tracker).listed("product"))]
    meant = [*(product.id for product in found if not pointed or product.name in turn.entities.get("product", ()))]
    meant += pointed
    if len(meant) == 1 and (in_hand := Focus(tracker).at_hand("product")):
        meant.insert(0, in_hand)
    these = _THESE.search(turn.text)
    if len(set(meant)) < 2 and shown and (these or not meant):
        meant = shown[: _COUNTS[these[1] or these[2]] if these else COMPARED_AT_MOST]
    known = {product.id: product for product in found}
    ids = list(dict.fromkeys(meant))[:COMPARED_AT_MOST]
    if set(ids) <= set(shown):  # so that "第二个" still means the same
        ids.sort(key=shown.index)
    missing = {product.id: product for product in await shop_products([one for one in ids if one not in known])}
    return [product for one in ids if (product := known.get(one) or missing.get(one))]


async def _shelf(category: str) -> list[ShopProduct]:
    """What can be had of it, the cheapest first."""
    live = [one for one in await (await get_mall()).find_products(category, limit=SHELF) if one.category == category]
    products = [one for one in await with_knowledge(live) if one.available > 0]
    return sorted(products, key=lambda one: one.price_cents)


async def named_in_order(turn: Turn) -> list[ShopProduct]:
    """The products that the message names, as its words follow each other; also by names that several share: of the
    C9 and the C9 Pro, "C9" is the former."""
    mall, known = await get_mall(), await named(turn)
    found: dict[str, ShopProduct] = {}
    for part in _parts(turn):
        best = await with_knowledge(await mall.find_products(part, limit=1))
        called = max([*best, *known], key=lambda one: _called(part, one.live), default=None)
        if called and _called(part, called.live):
            found[called.id] = called
    return list({**found, **{one.id: one for one in known if one.id not in found}}.values())


def _parts(turn: Turn) -> list[str]:
    return [] if turn.tapped else [part for part in _AND.split(turn.text) if telling(part).strip()]


def _called(part: str, product: Product) -> int:
    """How long a name of the product the words hold, or which piece of its name (喵净) they are; 0 for none."""
    names, short = names_of((product.name, product.brand, product.category))
    written, piece = spelt(part), spelt(telling(part))
    longest = max((len(form) for form in (*names, *short) if form in written), default=0)
    if len(piece) > 1 and piece in spelt(product.name) and piece not in spelt(product.brand + product.category):
        return max(longest, len(piece))
    return longest


async def _best_of_each(turn: Turn) -> list[ShopProduct]:
    """加湿器和净化器: of each what the mall takes it for."""
    mall = await get_mall()
    by_words = [one for part in _parts(turn) for one in await mall.find_products(part, limit=1)]
    by_shelf = [
        one for name in turn.entities.get("category", ()) for one in await mall.find_products(str(name), limit=1)
    ]
    return await with_knowledge(by_words if len({one.id for one in by_words}) > 1 else by_shelf)


async def fits_in_question(tracker: Tracker, turn: Turn) -> tuple[ShopProduct, ShopProduct, Beside | None] | None:
    """ "它能用TB-35吗": what is spoken of, the other thing, and what goes with the former where that does not."""
    if turn.tapped or not _FITS.search(turn.text):
        return None
    in_hand = Focus(tracker).at_hand("product")
    pair = [*(await shop_products([in_hand]) if in_hand else []), *await named_in_order(turn)]
    pair = list({one.id: one for one in pair}.values())[-2:]
    if len(pair) < 2 or pair[0].live.category == pair[1].live.category:
        return None
    fit, backwards = [await _companions_on(one, [other.live.category]) for one, other in (pair, pair[::-1])]
    known = pair[1].id in fit or pair[0].id in backwards or _names(*pair) or _names(*pair[::-1])
    return pair[0], pair[1], None if known else Beside(pair[0], (await shop_products(fit))[:PRODUCTS_SHOWN])


def _names(one: ShopProduct, other: ShopProduct) -> bool:
    """Whether the page of one names the other's brand and model."""
    page = words_of({"name": one.name, "attributes": one.attributes})
    return all(plain(word) in page for word in made_by(other.live.brand, other.name))


async def _companions_on(main: ShopProduct, shelves: Sequence[str]) -> list[str]:
    async def find(graph: Graph) -> list[str]:
        base = GraphKnowledgeBase(graph)
        paired = await graph_products.compatible(graph, main.id)
        page = await base.get_object("product", main.id)
        named_by_pages = await companions(base, page, shelves, PRODUCTS_SHOWN * 2) if page else []
        return [*(one.id for one in paired if one.category in shelves), *named_by_pages]

    nothing: list[str] = []
    return list(dict.fromkeys(await ask(find, nothing)))


async def similar_in_question(tracker: Tracker, turn: Turn) -> Beside | None:
    """ "有没有类似的": None where the message asks for nothing of the kind."""
    if turn.tapped or not _SIMILAR.search(turn.text):
        return None
    talked = await named(turn) or (await before(tracker) if Focus(tracker).at_hand("product") else [])
    return Beside(talked[0], await substitutes(talked[0])) if talked else None


async def companions_in_question(tracker: Tracker, turn: Turn) -> Beside | None:
    """ "能给这台相机用的电池": None where the message asks for nothing of the kind."""
    if turn.tapped or not _GOES_WITH.search(turn.text):
        return None
    shelves = list(map(str, turn.entities.get("category", ())))
    mains = await named(turn) or (await before(tracker) if Focus(tracker).at_hand("product") else [])
    main = next((one for one in mains if turn.first("product") or not shelves or turn.first("mention")), None)
    main = main or next((one for one in mains if one.live.category in shelves), None)
    if main is None:
        return None
    said = turn.text
    for name in [*shelves, main.name]:
        said = said.replace(name, " ")

    async def find(graph: Graph) -> tuple[bool, list[str] | None]:
        base = GraphKnowledgeBase(graph)
        called = await categories_called(base, said)
        others = [name for name in dict.fromkeys([*shelves, *called]) if name != main.live.category]
        if not others and not _ANY_COMPANION.search(turn.text):
            return True, None
        paired = await graph_products.compatible(graph, main.id)
        ids = [one.id for one in paired if not others or one.category in others]
        page = await base.get_object("product", main.id)
        return True, ids or (await companions(base, page, others, PRODUCTS_SHOWN * 2) if page else [])

    down: tuple[bool, list[str] | None] = (False, None)
    answered, ids = await ask(find, down)
    if not answered:
        ids = await _companions_of_the_mall(main, said)
    return None if ids is None else Beside(main, (await shop_products(ids))[:PRODUCTS_SHOWN])


async def _companions_of_the_mall(main: ShopProduct, said: str) -> list[str] | None:
    live = await (await get_mall()).find_products(said, limit=SHELF)
    others = [ShopProduct(one, one.attributes) for one in live if one.category != main.live.category]
    found = [one.id for one in others if _names(one, main)]
    return found or ([] if _ANY_COMPANION.search(said) else None)


async def substitutes(product: ShopProduct) -> list[ShopProduct]:
    """What can be had now in its place."""
    nothing: list[graph_products.Product] = []
    near = await ask(lambda graph: graph_products.substitutes(graph, product.id, PRODUCTS_SHOWN * 2), nothing)
    found = await shop_products([one.id for one in near])
    if not found:
        mall = await get_mall()
        live = [
            one
            for one in await mall.find_products(product.live.category, limit=PRODUCTS_SHOWN * 2)
            if one.category == product.live.category and one.id != product.id
        ]
        found = await with_knowledge(live)
    return _fit(found, None, in_stock=True)
