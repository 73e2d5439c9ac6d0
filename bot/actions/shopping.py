"""What the shop sells, as the graph knows it and the mall has it now, and the customer's coupons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.knowledge import answer_if_sure
from bot.actions.malls import get_mall
from bot.actions.product_answers import say_comparison, say_list, say_product, source
from bot.actions.product_reference import (
    Beside,
    before,
    carried_on,
    companions_in_question,
    fits_in_question,
    in_question,
    listed,
    similar_in_question,
    talked_of,
    to_compare,
)
from bot.actions.shop_product import aspects_in
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, word

_MOST = re.compile("最|[a-z]est\\b", re.IGNORECASE)
_WHICH = re.compile(f"{_MOST.pattern}|哪|which", re.IGNORECASE)


class ProductInfo(Action):
    def name(self) -> str:
        return "action_product_info"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = carried_on(tracker, Turn.of(tracker))
        return await _answer(dispatcher, tracker, domain, turn, "utter_products")


class Recommend(Action):
    """What fits the words and is in stock; an honest question when the words fit nothing."""

    def name(self) -> str:
        return "action_recommend"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        return await _answer(dispatcher, tracker, domain, Turn.of(tracker), "utter_recommended")


async def _answer(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    turn: Turn,
    several: Literal["utter_products", "utter_recommended"],
) -> list[EventType]:
    if fits := await fits_in_question(tracker, turn):
        main, other, instead = fits
        response = "utter_product_fits" if instead is None else "utter_product_fits_unknown"
        custom = {"source": source(other)}
        dispatcher.utter_message(response=response, json_message=custom, name=main.name, other=other.name)
        if instead and instead.products:
            return _say_beside(dispatcher, tracker, domain, "utter_companions", instead, turn)
        return [SlotSet("product_id", main.id)]
    if companions := await companions_in_question(tracker, turn):
        return _say_beside(dispatcher, tracker, domain, "utter_companions", companions, turn)
    if similar := await similar_in_question(tracker, turn):
        return _say_beside(dispatcher, tracker, domain, "utter_product_similar", similar, turn)
    if _asks_for_the_best(turn, listed(tracker)):
        return await CompareProducts().run(dispatcher, tracker, domain)
    recommends = several == "utter_recommended"
    meant = await in_question(tracker, turn, in_stock=recommends)
    if meant.nothing == "there":
        count = len(listed(tracker))
        say_list(dispatcher, tracker, domain, "utter_product_no_such_place", meant.products, turn, count=count)
        return []
    if meant.nothing:
        cheapest = min(meant.products, key=lambda product: product.price_cents)
        custom = {"source": source(cheapest)}
        response = f"utter_product_nothing_{meant.nothing}"
        dispatcher.utter_message(response=response, json_message=custom, name=cheapest.name)
        return []
    if not meant.products:
        if (events := await answer_if_sure(dispatcher, tracker, domain)) is not None:
            return events
        if recommends:
            dispatcher.utter_message(response="utter_recommend_what")
        elif turn.intent == "ask_product" and len(await before(tracker)) > 1:
            dispatcher.utter_message(response="utter_products_attribute_unknown")
        else:
            dispatcher.utter_message(response="utter_product_unknown")
        return []
    if len(meant.products) == 1 and (meant.named or not recommends):
        events = talked_of(tracker, meant.products)
        return events + await say_product(dispatcher, tracker, domain, meant.products[0], turn)
    say_list(dispatcher, tracker, domain, several if meant.exact else "utter_products_nearest", meant.products, turn)
    return talked_of(tracker, meant.products)


def _asks_for_the_best(turn: Turn, shown: Sequence[str]) -> bool:
    """Of what was listed ("哪个便宜"), or of a shelf ("最安静的洗衣机"); shelves are shown by price anyway."""
    aspects = aspects_in(turn.text)
    if turn.names_goods:
        return bool(turn.first("category") and _MOST.search(turn.text) and any(one.attributes for one in aspects))
    return bool(aspects and _WHICH.search(turn.text) and len(shown) > 1)


def _say_beside(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, response: str, beside: Beside, turn: Turn
) -> list[EventType]:
    main, found = beside.of, beside.products
    in_hand = SlotSet("product_id", main.id)  # one goes on talking of the camera, not of its battery
    if not found:
        custom = {"source": source(main)}
        dispatcher.utter_message(response=f"{response}_unknown", json_message=custom, name=main.name)
        return [in_hand]
    say_list(dispatcher, tracker, domain, response, found, turn, name=main.name)
    return [*talked_of(tracker, found), in_hand]


class CompareProducts(Action):
    def name(self) -> str:
        return "action_compare_products"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        products = await to_compare(tracker, turn)
        if len(products) > 1:
            await say_comparison(dispatcher, tracker, domain, products, turn)
        elif (events := await answer_if_sure(dispatcher, tracker, domain)) is not None:  # "烤箱和空气炸锅有啥区别"
            return events
        elif products:
            custom = {"source": source(products[0])}
            dispatcher.utter_message(response="utter_compare_with", json_message=custom, name=products[0].name)
        else:
            dispatcher.utter_message(response="utter_compare_what")
        return talked_of(tracker, products) if products else []


class MyCoupons(Action):
    def name(self) -> str:
        return "action_my_coupons"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall = await get_mall()
        if await mall.customer_of(tracker.sender_id) is None:
            dispatcher.utter_message(response="utter_account_not_bound")
            return []
        coupons = [coupon for coupon in await mall.coupons_of(tracker.sender_id) if coupon.status == "unused"]
        lines = [
            word(tracker, domain, "coupon_line").format(title=coupon.title, until=day(tracker, coupon.valid_until))
            for coupon in coupons
        ]
        if lines:
            dispatcher.utter_message(response="utter_coupons", coupons="\n".join(lines))
        else:
            dispatcher.utter_message(response="utter_no_coupons")
        return []
