"""How products are said: one with what was asked of it, several as a list with cards, some side by side."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot.actions import pictures
from bot.actions.comparison import compare, verdict
from bot.actions.focus import Focus
from bot.actions.product_reference import (
    Beside,
    Meant,
    Sign,
    companions_in_question,
    fits_in_question,
    in_question,
    listed,
    remember,
    similar_in_question,
    substitutes,
    talked_of,
    to_compare,
)
from bot.actions.product_search import plain, read_budget, shared, telling
from bot.actions.shop_product import (
    ASKS_KINDS,
    ShopProduct,
    aspects_in,
    attributes_in,
    kinds,
    kinds_in,
    price_range,
    prices_by_kind,
    stock_word,
)
from bot.actions.turn import Turn
from bot.actions.wording import Domain, draws_itself, word
from mall_adapter import Sku

ATTRIBUTES_SHOWN = 4
BUTTONS = 3
ROWS_BESIDE_VERDICT = 3
"""The question is answered; what it named, the price and the stock are enough to read in a bubble."""

NOTHING: Mapping[str, str] = MappingProxyType({})

_MOST = re.compile("最|[a-z]est\\b", re.IGNORECASE)
_WHICH = re.compile(f"{_MOST.pattern}|哪|which", re.IGNORECASE)
_IN_GENERAL = re.compile(r"参数|详情|详细|特点|具体|信息|资料|情况|优点|值得|[好不有没说讲能会很都了的]")
_MEASURES = re.compile(r"[多大长久几和跟呢]")


def source(product: ShopProduct, topic: str = "product_question") -> dict[str, Any]:
    """Where an answer comes from, as answers about the rules have it too."""
    return {"id": product.id, "title": product.name, "topic": topic, "score": 1.0}


def spelt_out(attributes: dict[str, str]) -> str:
    return "，".join(f"{name}：{value}" for name, value in list(attributes.items())[:ATTRIBUTES_SHOWN])


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


async def read_goods(speaker: Speaker, recommends: bool) -> Reading | None:
    """None when nothing in the message is about goods that the shop has."""
    tracker, turn = speaker.tracker, speaker.turn
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
    if not meant.products:
        return None
    single = bool(meant.nothing and meant.nothing != "there") or (
        len(meant.products) == 1 and (meant.named or not recommends)
    )
    answers = not (single and not meant.nothing) or _reply(speaker, meant.products[0])[0] != UNKNOWN
    return Reading(meant.sign, lambda: _say_meant(speaker, meant, recommends), single, answers)


async def read_comparison(speaker: Speaker) -> Reading | None:
    """None when it cannot be told which products are to be compared."""
    products = await to_compare(speaker.tracker, speaker.turn)
    if len(products) < 2:
        return None

    async def say() -> None:
        await say_comparison(speaker, products)
        talked_of(speaker.focus, products)

    return Reading(Sign.NAMED, say, single=False)


def _asks_for_the_best(turn: Turn, shown: Sequence[str]) -> bool:
    """Of what was listed ("哪个便宜"), or of a shelf ("最安静的洗衣机"); shelves are shown by price anyway."""
    aspects = aspects_in(turn.text)
    if turn.names_goods:
        return bool(turn.first("category") and _MOST.search(turn.text) and any(one.attributes for one in aspects))
    return bool(aspects and _WHICH.search(turn.text) and len(shown) > 1)


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
    products = meant.products
    if meant.nothing == "there":
        say_list(speaker, "utter_product_no_such_place", products, count=len(listed(speaker.tracker)))
    elif meant.nothing:
        cheapest = min(products, key=lambda product: product.price_cents)
        custom = {"source": source(cheapest)}
        response = f"utter_product_nothing_{meant.nothing}"
        speaker.dispatcher.utter_message(response=response, json_message=custom, name=cheapest.name)
    elif len(products) == 1 and (meant.named or not recommends):
        talked_of(speaker.focus, products)
        await say_product(speaker, products[0])
    else:
        several = "utter_recommended" if recommends else "utter_products"
        say_list(speaker, several if meant.exact else "utter_products_nearest", products)
        talked_of(speaker.focus, products)


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
    about_goods = turn.intent not in ("ask_price", "ask_stock") or any("价" in name for name in asked)
    skus: Sequence[Sku] = wanted or product.live.skus
    each = prices_by_kind(skus) if turn.intent == "ask_price" else None
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
    elif not asked and ASKS_KINDS.search(plain(question)):
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
    """Whether there are words that are neither the product's name nor what is ``told`` nor a question in general."""
    own = "\n".join([product.name, product.live.brand, product.live.category, *told, *told.values()])
    own = plain(own.replace(" ", ""))
    rest = telling(turn.rest)
    for piece in shared(rest, own):
        rest = rest.replace(piece, " ")
    rest = _MEASURES.sub("", rest) if told else rest
    return len(re.sub(r"[\W_]+", "", _IN_GENERAL.sub("", rest))) > 1


def say_list(speaker: Speaker, response: str, products: Sequence[ShopProduct], **values: Any) -> None:
    """Numbered, so that "第二个" means something, and as cards for channels that have them."""
    lines, cards = [], []
    question = read_budget(speaker.turn.question)[1]
    for place, product in enumerate(products, 1):
        facts = [
            price_range(product.live.skus),
            stock_word(speaker.tracker, speaker.domain, product.live.skus),
        ]
        if ASKS_KINDS.search(plain(question)):
            facts.append(kinds(product.live.skus))
        elif asked := attributes_in(product, question):
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
