"""How products are said: one with what was asked of it, several as a list with cards, some side by side."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot.actions import pictures
from bot.actions.comparison import compare, verdict
from bot.actions.focus import Focus, pointed_at
from bot.actions.product_beside import (
    Beside,
    companions_in_question,
    fits_in_question,
    similar_in_question,
    substitutes,
)
from bot.actions.product_compared import the_only_one, to_compare
from bot.actions.product_reference import (
    PRODUCTS_SHOWN,
    SPOKEN_OF,
    Meant,
    Sign,
    heard_in,
    in_question,
    listed,
    remember,
    talk_of,
    talked_of,
    there_is,
)
from bot.actions.product_search import Budget, Condition, Found, Wish, proofs, read_budget, shared, telling
from bot.actions.product_talk import Talk, for_sale, hear
from bot.actions.product_words import FIRST_SHELVES, NEAREST, QUALITIES, SAID, about_price, aspects_in
from bot.actions.shop_product import (
    ShopProduct,
    attributes_in,
    kinds,
    kinds_in,
    names_a_kind,
    price_range,
    prices_by_kind,
    shop_products,
    stock_word,
)
from bot.actions.turn import Turn
from bot.actions.wording import Domain, draws_itself, language_of, title, word, yuan
from bot.spelling import plain
from mall_adapter.values import Sku

ATTRIBUTES_SHOWN = 4
MERITS = 2
"""So much of a page says why the only one is a good one."""

BUTTONS = 3
ROWS_BESIDE_VERDICT = 3
"""The question is answered; what it named, the price and the stock are enough to read in a bubble."""

_NAMED = ("product", "brand", "category", "ordinal", "mention")

NOTHING: Mapping[str, str] = MappingProxyType({})


def source(product: ShopProduct, topic: str = "product_question") -> dict[str, Any]:
    """Where an answer comes from, as answers about the rules have it too."""
    return {"id": product.id, "title": product.name, "topic": topic, "score": 1.0}


def spelt_out(attributes: dict[str, str], most: int = ATTRIBUTES_SHOWN) -> str:
    return "，".join(f"{name}：{value}" for name, value in list(attributes.items())[:most])


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says it to whom: what every sentence needs."""

    dispatcher: CollectingDispatcher
    tracker: Tracker
    domain: Domain
    turn: Turn
    focus: Focus

    def word(self, name: str) -> str:
        return word(self.tracker, self.domain, name)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message would mean if it is about goods; nothing is said before ``say`` is called."""

    sign: Sign
    say: Callable[[], Awaitable[None]]
    single: bool = True  # speaks of one product, and lists none
    answers: bool = True  # the page says what is asked
    of: ShopProduct | None = None  # whose page that is
    offers: bool = False  # goods that nobody has named or seen yet
    tells: bool = False  # their pages say just what is asked
    moves: bool = False  # away from what was shown: to something cheaper


async def read_goods(speaker: Speaker, recommends: bool) -> Reading | None:
    """None when nothing in the message is about goods that the shop has."""
    tracker, turn = speaker.tracker, speaker.turn
    if order := await _read_order(speaker):
        return order
    if fits := await fits_in_question(tracker, turn):
        main, other, instead = fits
        return Reading(Sign.NAMED, lambda: _say_fits(speaker, main, other, instead), single=not instead)
    for find, response in (
        (companions_in_question, "utter_companions"),
        (similar_in_question, "utter_product_similar"),
    ):
        if beside := await find(tracker, turn):
            return _beside(speaker, response, beside)
    if _asks_for_the_best(turn, listed(tracker)) and (compared := await read_comparison(speaker)):
        return compared
    meant = await in_question(tracker, turn, in_stock=recommends)
    if meant.nothing == "shelf" and meant.found:
        return _missing_shelf(speaker, meant.found)
    if not meant.products:
        return None
    single = bool(meant.nothing and meant.nothing != "there") or (
        len(meant.products) == 1 and (meant.named or not recommends) and meant.found is None
    )
    if not single and not turn.tapped and not for_sale(turn):
        return None
    only = meant.products[0] if single and not meant.nothing else None
    return Reading(
        meant.sign,
        lambda: _say_meant(speaker, meant, recommends),
        single,
        answers=only is None or _reply(speaker, only)[0] != UNKNOWN,
        of=only,
        offers=not single and (turn.names_goods or meant.sign in (Sign.WORDS, Sign.SHELF)),
        tells=any(_tells(one, turn) for one in meant.products),
        moves=meant.moves,
    )


def _tells(product: ShopProduct, turn: Turn) -> bool:
    """Whether the page says what is asked, and nothing else is."""
    question = read_budget(turn.question)[1]
    told = attributes_in(product, question)
    kinds_asked = bool(SAID["asks_kinds"].search(plain(question)))
    return turn.asks and (kinds_asked or (bool(told) and not _beside_it(product, turn, told)))


async def _read_order(speaker: Speaker) -> Reading | None:
    """ "就第二个吧 怎么买", "要" to what was shown: None where it is no order, or of nothing that was talked of."""
    turn, tracker = speaker.turn, speaker.tracker
    talk = await talk_of(tracker)
    heard, found = await heard_in(talk, turn)
    agrees = heard.agrees and talk.fresh
    if turn.tapped or not (heard.orders or agrees):
        return None
    pointed = [thing["id"] for thing in pointed_at(turn, speaker.focus.listed("product"))]
    chosen = await shop_products(pointed[:1]) or found or list(talk.products)
    if heard.link and not chosen:
        return Reading(Sign.CHOSEN, lambda: _say_where_to_find(speaker))
    if heard.bought or heard.said.names_a_shelf or not chosen:
        return None

    async def say() -> None:
        talked_of(speaker.focus, chosen)
        if len(chosen) == 1:
            say_how_to_order(speaker, chosen[0])
        else:
            say_list(speaker, "utter_order_which", chosen)

    return Reading(Sign.CHOSEN, say, single=len(chosen) == 1)


async def _say_where_to_find(speaker: Speaker) -> None:
    speaker.dispatcher.utter_message(response="utter_where_to_find")


def say_how_to_order(speaker: Speaker, product: ShopProduct) -> None:
    skus = product.live.skus
    in_stock = any(sku.available > 0 for sku in skus)
    speaker.dispatcher.utter_message(
        response="utter_how_to_order" if in_stock else "utter_how_to_order_sold_out",
        json_message={"source": source(product)},
        name=product.name,
        price=price_range(skus),
        stock=stock_word(speaker.tracker, speaker.domain, skus),
        kinds=kinds(skus),
    )


async def say_what_to_recommend(speaker: Speaker) -> None:
    """One question, with a few kinds to tap; what was wished so far is kept for its answer."""
    heard = hear(speaker.turn, await talk_of(speaker.tracker))
    shelves = [name for name in FIRST_SHELVES if await there_is(name)][:BUTTONS]
    speaker.dispatcher.utter_message(response="utter_recommend_what", buttons=[_look_for(name) for name in shelves])
    if not heard.wish.names_a_shelf:
        remember(speaker.focus, [], replace(heard.wish, text=""))
        speaker.focus.on("product", None)


def keep_wish(focus: Focus, turn: Turn) -> None:
    """For what goes on about a shelf of which nothing was shown yet."""
    remember(focus, [], hear(turn, Talk()).wish)
    focus.on("product", None).on("goods", SPOKEN_OF)


def _look_for(shelf: str) -> dict[str, str]:
    payload = json.dumps({"category": shelf}, ensure_ascii=False)
    return {"title": shelf, "payload": f"/recommend_product{payload}"}


def _missing_shelf(speaker: Speaker, found: Found) -> Reading:
    """Goods that the shop does not have are said to be missing, with the shelf that comes nearest."""

    async def say() -> None:
        missing = found.wish.shelves[0]
        near = [name for name in NEAREST.get(missing, ()) if await there_is(name)]
        human = {"title": title(speaker.tracker, speaker.domain, "human_handoff"), "payload": "/human_handoff"}
        look = [_look_for(name) for name in near]
        response = "utter_shelf_missing_near" if near else "utter_shelf_missing"
        joined = speaker.word("beside_each").join(near)
        speaker.dispatcher.utter_message(response=response, name=missing, near=joined, buttons=[*look, human])
        remember(speaker.focus, [], Wish(tuple(near[:1])))  # a yes looks for it
        speaker.focus.on("product", None)

    return Reading(Sign.NAMED, say, offers=True)


async def read_comparison(speaker: Speaker) -> Reading | None:
    """None when it cannot be told which products are to be compared."""
    products = await to_compare(speaker.tracker, speaker.turn)
    if len(products) < 2:
        only = await the_only_one(speaker.tracker) if not products or speaker.turn.asks else None
        if only is None or (products and products[0].id != only.id):
            return None
        return Reading(Sign.NAMED, lambda: _say_only_one(speaker, only))

    async def say() -> None:
        await say_comparison(speaker, products)
        talked_of(speaker.focus, products)

    return Reading(Sign.NAMED, say, single=False, offers=speaker.turn.first("product") is None)


async def _say_only_one(speaker: Speaker, product: ShopProduct) -> None:
    """With what speaks for it: what was wished and its page says, else what the page says first."""
    wish = Wish.load(speaker.focus.wish) if speaker.focus.wish else Wish()
    fits = [_condition(speaker, one) for one in (wish.budget, wish.measure, *wish.words) if one]
    why = speaker.word("beside_each").join(fits) or spelt_out(dict(product.attributes), MERITS)
    say_list(speaker, "utter_product_only_one", [product], why=why)


def _asks_for_the_best(turn: Turn, shown: Sequence[str]) -> bool:
    """Of what was listed ("哪个便宜"), or of a shelf ("最安静的洗衣机"); shelves are shown by price anyway."""
    aspects, text = [one for one in aspects_in(turn.text) if one.better], plain(turn.text)
    if SAID["price_to_come"].search(text):
        return False
    if turn.names_goods:
        measured = any(one.name != "price" for one in aspects)
        return bool(turn.first("category") and SAID["most"].search(text) and measured)
    return bool(aspects and SAID["which"].search(text) and shown)


async def _say_fits(speaker: Speaker, main: ShopProduct, other: ShopProduct, instead: Beside | None) -> None:
    response = "utter_product_fits" if instead is None else "utter_product_fits_unknown"
    custom = {"source": source(other)}
    speaker.dispatcher.utter_message(response=response, json_message=custom, name=main.name, other=other.name)
    if instead and instead.products:
        say_list(speaker, "utter_companions", instead.products, name=main.name)
        talked_of(speaker.focus, instead.products)
    speaker.focus.on("product", main.id)


def _beside(speaker: Speaker, response: str, beside: Beside) -> Reading:
    main, found = beside.of, beside.products

    async def say() -> None:
        if found:
            say_list(speaker, response, found, name=main.name)
            talked_of(speaker.focus, found)
        else:
            custom = {"source": source(main)}
            speaker.dispatcher.utter_message(response=f"{response}_unknown", json_message=custom, name=main.name)
        speaker.focus.on("product", main.id)  # one goes on talking of the camera, not of its battery

    return Reading(Sign.NAMED, say, single=not found)


async def _say_meant(speaker: Speaker, meant: Meant, recommends: bool) -> None:
    products, found = meant.products, meant.found
    if meant.nothing == "there":
        say_list(speaker, "utter_product_no_such_place", products, count=len(listed(speaker.tracker)))
    elif meant.nothing:
        await _say_nothing(speaker, meant)
    elif found is None and len(products) == 1 and (meant.named or not recommends):
        talked_of(speaker.focus, products)
        await say_product(speaker, products[0])
    elif found is None:
        again = meant.sign is Sign.AGAIN and not recommends
        say_list(speaker, "utter_products_each" if again else _listing(recommends), products)
        talked_of(speaker.focus, products)
    else:
        _say_found(speaker, products, found, recommends)


def _say_found(speaker: Speaker, products: Sequence[ShopProduct], found: Found, recommends: bool) -> None:
    if found.missing:
        response = "utter_products_nearest" if len(found.missing) == 1 else "utter_products_not_together"
        say_list(speaker, response, products, found, missing=_conditions(speaker, found.missing))
    elif len(products) == 1:
        say_list(speaker, "utter_products_one", products, found)
    elif not found.wish.names_a_shelf:
        say_list(speaker, "utter_recommended_kinds", products, found)
    else:
        say_list(speaker, _listing(recommends), products, found)
    remember(speaker.focus, products, found.wish)
    speaker.focus.on("product", products[0].id if len(products) == 1 else None)


def _listing(recommends: bool) -> str:
    return "utter_recommended" if recommends else "utter_products"


async def _say_nothing(speaker: Speaker, meant: Meant) -> None:
    """There is nothing cheaper, nothing else, nothing of which that is known; perhaps without one of the conditions."""
    cheapest = min(meant.products, key=lambda product: product.price_cents)
    dearest = max(meant.products, key=lambda product: product.price_cents)
    name = dearest.name if meant.nothing == "dearer" else cheapest.name
    missing = _conditions(speaker, [one for one in meant.found.missing if isinstance(one, str)]) if meant.found else ""
    response = f"utter_product_nothing_{meant.nothing}"
    custom = {"source": source(cheapest)}
    speaker.dispatcher.utter_message(response=response, json_message=custom, name=name, missing=missing)
    if meant.found and meant.nothing in ("cheaper", "dearer"):
        shown = {product.id for product in meant.products}
        others = await shop_products([one for one in meant.found.ids if one not in shown])
        if others := [one for one in others if one.available > 0][:PRODUCTS_SHOWN]:
            say_list(speaker, "utter_products_otherwise", others, missing=missing)
            remember(speaker.focus, others, meant.found.wish)
            speaker.focus.on("product", others[0].id if len(others) == 1 else None)


def _conditions(speaker: Speaker, conditions: Sequence[Condition]) -> str:
    """``¥300以内、无糖``"""
    return speaker.word("beside_each").join(_condition(speaker, one) for one in conditions)


def _condition(speaker: Speaker, condition: Condition) -> str:
    if isinstance(condition, str):
        quality = QUALITIES.get(condition) if language_of(speaker.tracker) == "en" else None
        return quality.english if quality else condition
    if isinstance(condition, Budget):
        low, high = [None if cents is None else yuan(cents) for cents in (condition.min_cents, condition.max_cents)]
    else:
        low, high = [
            None if amount is None else f"{amount:g} {condition.unit.upper()}"
            for amount in (condition.low, condition.high)
        ]
    if isinstance(condition, Budget) and (near := condition.near_cents):
        return speaker.word("around").format(amount=yuan(near))
    if low and high:
        return speaker.word("from_to").format(low=low, high=high)
    return speaker.word("at_most" if high else "at_least").format(amount=high or low)


UNKNOWN = "utter_product_attribute_unknown"


async def say_product(speaker: Speaker, product: ShopProduct) -> None:
    """What was asked of it; a thing that has run out is said together with what can be had instead."""
    response, skus, values = _reply(speaker, product)
    speaker.dispatcher.utter_message(response=response, json_message={"source": source(product)}, **values)
    if sum(sku.available for sku in skus) > 0 or not (others := await substitutes(product)):
        return
    say_list(speaker, "utter_product_substitutes", others, name=product.name)
    remember(speaker.focus, others)


def _reply(speaker: Speaker, product: ShopProduct) -> tuple[str, Sequence[Sku], dict[str, Any]]:
    """The response to what is asked of the product, the kinds that it is about, and its values."""
    turn = speaker.turn
    question = read_budget(turn.question)[1]
    wanted = kinds_in(product.live, question)
    asked = attributes_in(product, question, by_value=wanted is None)
    about_goods = turn.intent not in ("ask_price", "ask_stock") or about_price(asked)
    skus: Sequence[Sku] = wanted or product.live.skus
    of_price = turn.intent == "ask_price" or any(one.name == "price" for one in aspects_in(question))
    each = prices_by_kind(skus) if of_price else None
    values = {
        "name": product.name,
        "brand": product.live.brand,
        "price": each or price_range(skus),
        "stock": stock_word(speaker.tracker, speaker.domain, skus),
        "attributes": spelt_out(asked or dict(product.attributes)),
        "kinds": kinds(skus),
    }
    if wanted == [] and not asked:
        response = "utter_product_no_such_kind"
    elif wanted and not (asked and about_goods):
        response = "utter_product_kind"
    elif not asked and SAID["asks_kinds"].search(plain(question)):
        response = "utter_product_kinds"
    elif about_goods and _only_beside(asked, question) and _asks_more(product, turn, asked):
        response = UNKNOWN  # 适合胖子穿吗, and the page says which roads it is for
    elif asked and about_goods:
        response = "utter_product_attribute"
    elif not asked and turn.intent in ("ask_product", "recommend_product") and _asks_more(product, turn):
        response = UNKNOWN
    else:
        response = "utter_product"
    return response, skus, values


def _only_beside(asked: Mapping[str, str], question: str) -> bool:
    """Whether the words only touch the names of what the page tells: 适合 of 适合路面."""
    written = plain(question)
    return bool(asked) and not aspects_in(question) and not any(plain(name) in written for name in asked)


def _asks_more(product: ShopProduct, turn: Turn, told: Mapping[str, str] = NOTHING) -> bool:
    return len(_beside_it(product, turn, told)) > 1


def _beside_it(product: ShopProduct, turn: Turn, told: Mapping[str, str]) -> str:
    """The words that are neither the product's name nor what is ``told`` nor a question in general."""
    own = "\n".join([product.name, product.live.brand, product.live.category, *told, *told.values()])
    own = plain(own.replace(" ", ""))
    # 掉色 is a fault of goods that one has, and a question about others
    rest = telling(turn.without(*_NAMED) if turn.first("reason") else turn.rest)
    for aspect in aspects_in(rest) if told else ():
        rest = aspect.asked.sub(" ", rest)
    for piece in shared(rest, own):
        rest = rest.replace(piece, " ")
    rest = SAID["how_much"].sub("", rest) if told else rest
    return re.sub(r"[\W_]+", "", SAID["in_general"].sub("", rest))


def say_list(
    speaker: Speaker, response: str, products: Sequence[ShopProduct], found: Found | None = None, **values: Any
) -> None:
    """Numbered, so that "第二个" means something, and as cards for channels that have them. Beside price and stock the
    one thing is said that was asked for, or that shows that what was ``found`` is so."""
    lines, cards = [], []
    question, shows = read_budget(speaker.turn.question)[1], _shows(products, found)
    for place, product in enumerate(products, 1):
        kind = kinds_in(product.live, question) if names_a_kind(question) else None
        skus = kind or product.live.skus
        facts = [price_range(skus), stock_word(speaker.tracker, speaker.domain, skus)]
        shown = {name: product.attributes[name] for name in shows if name in product.attributes}
        if kind or SAID["asks_kinds"].search(plain(question)):
            facts.append(kinds(skus))
        elif asked := shown or attributes_in(product, question, by_value=kind is None):
            facts.append(spelt_out(asked))
        text = "，".join(facts)
        lines.append(speaker.word("product_line").format(place=place, name=product.name, facts=text))
        button = _button(product, speaker.word("look_at_it"))
        card = {"title": f"{place}. {product.name}", "text": text, "button": button}
        cards.append(card | ({"image": product.image} if product.image else {}))
    speaker.dispatcher.utter_message(
        response=response,
        products="" if draws_itself(speaker.tracker) else "".join(f"\n{line}" for line in lines),
        buttons=[_button(product, product.name) for product in products[:BUTTONS]],
        json_message={"cards": cards, "source": source(products[0])},
        **values,
    )


def _shows(products: Sequence[ShopProduct], found: Found | None) -> list[str]:
    """The attributes by which one sees which of the products are as they were wanted, and which are not."""
    words = [one for one in (*found.wish.words, *found.missing) if isinstance(one, str)] if found else []
    return list(dict.fromkeys(name for one in products for name in proofs(one.attributes, words)))


def _button(product: ShopProduct, title: str) -> dict[str, str]:
    payload = json.dumps({"product": product.name}, ensure_ascii=False)
    return {"title": title, "payload": f"/ask_product{payload}"}


async def say_comparison(speaker: Speaker, products: Sequence[ShopProduct]) -> None:
    tracker, question = speaker.tracker, speaker.turn.question
    table = compare(tracker, speaker.domain, products, question)
    said = verdict(tracker, speaker.domain, products, question)
    custom: dict[str, Any] = {"table": table.as_custom(), "source": source(products[0], "feature_comparison")}
    if picture := await asyncio.to_thread(pictures.draw, table):
        custom["picture"] = picture
    rows = max(table.asked, ROWS_BESIDE_VERDICT) if said else len(table.rows)
    speaker.dispatcher.utter_message(
        response="utter_compared_verdict" if said else "utter_compared",
        json_message=custom,
        table="" if draws_itself(tracker) else f"\n{table.as_text(rows)}",
        verdict=said or "",
    )
