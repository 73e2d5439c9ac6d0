"""How products are said: one with what was asked of it, several as a list with cards, some side by side."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions import pictures
from bot.actions.comparison import compare, verdict
from bot.actions.product_reference import remembered, substitutes
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

_IN_GENERAL = re.compile(r"参数|详情|详细|特点|具体|信息|资料|情况|优点|值得|[好不有没说讲能会很都了的]")
_MEASURES = re.compile(r"[多大长久几和跟呢]")


def source(product: ShopProduct, topic: str = "product_question") -> dict[str, Any]:
    """Where an answer comes from, as answers about the rules have it too."""
    return {"id": product.id, "title": product.name, "topic": topic, "score": 1.0}


def spelt_out(attributes: dict[str, str]) -> str:
    return "，".join(f"{name}：{value}" for name, value in list(attributes.items())[:ATTRIBUTES_SHOWN])


async def say_product(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, product: ShopProduct, turn: Turn
) -> list[EventType]:
    """What was asked of it; a thing that has run out is said together with what can be had instead."""
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
        "stock": stock_word(tracker, domain, skus),
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
        response = "utter_product_attribute_unknown"  # 适合胖子穿吗, and the page says which roads it is for
    elif asked and about_goods:
        response = "utter_product_attribute"
    elif not asked and turn.intent in ("ask_product", "recommend_product") and _asks_more(product, turn):
        response = "utter_product_attribute_unknown"
    else:
        response = "utter_product"
    dispatcher.utter_message(response=response, json_message={"source": source(product)}, **values)
    if sum(sku.available for sku in skus) > 0 or not (others := await substitutes(product)):
        return []
    say_list(dispatcher, tracker, domain, "utter_product_substitutes", others, turn, name=product.name)
    return [remembered(others)]


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


def say_list(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    response: str,
    products: Sequence[ShopProduct],
    turn: Turn,
    **values: Any,
) -> None:
    """Numbered, so that "第二个" means something, and as cards for channels that have them."""
    lines, cards = [], []
    for place, product in enumerate(products, 1):
        facts = [price_range(product.live.skus), stock_word(tracker, domain, product.live.skus)]
        question = read_budget(turn.question)[1]
        if ASKS_KINDS.search(plain(question)):
            facts.append(kinds(product.live.skus))
        elif asked := attributes_in(product, question):
            facts.append(spelt_out(asked))
        text = "，".join(facts)
        line = word(tracker, domain, "product_line")
        lines.append(line.format(place=place, name=product.name, facts=text))
        button = _button(product, word(tracker, domain, "look_at_it"))
        card = {"title": f"{place}. {product.name}", "text": text, "button": button}
        cards.append(card | ({"image": product.image} if product.image else {}))
    dispatcher.utter_message(
        response=response,
        products="" if draws_itself(tracker) else "".join(f"\n{line}" for line in lines),
        buttons=[_button(product, product.name) for product in products[:BUTTONS]],
        json_message={"cards": cards, "source": source(products[0])},
        **values,
    )


def _button(product: ShopProduct, title: str) -> dict[str, str]:
    payload = json.dumps({"product": product.name}, ensure_ascii=False)
    return {"title": title, "payload": f"/ask_product{payload}"}


async def say_comparison(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, products: Sequence[ShopProduct], turn: Turn
) -> None:
    table = compare(tracker, domain, products, turn.question)
    said = verdict(tracker, domain, products, turn.question)
    custom: dict[str, Any] = {"table": table.as_custom(), "source": source(products[0], "feature_comparison")}
    if picture := await asyncio.to_thread(pictures.draw, table):
        custom["picture"] = picture
    rows = max(table.asked, ROWS_BESIDE_VERDICT) if said else len(table.rows)
    dispatcher.utter_message(
        response="utter_compared_verdict" if said else "utter_compared",
        json_message=custom,
        table="" if draws_itself(tracker) else f"\n{table.as_text(rows)}",
        verdict=said or "",
    )
