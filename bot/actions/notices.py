"""What the shop says by itself, as customers steer it: no offers, offers again, and goods that are waited for."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.focus import Focus
from bot.actions.malls import get_goods, get_mall, get_notices
from bot.actions.turn import Turn
from bot.actions.wording import Domain
from bot.spelling import plain
from mall_adapter.errors import NotFound
from mall_adapter.notices import Watched
from mall_adapter.values import Product


class Unsubscribe(Action):
    def name(self) -> str:
        return "action_unsubscribe"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        known = await (await get_notices()).choose(tracker.sender_id, False)
        dispatcher.utter_message(response="utter_unsubscribed" if known else "utter_unsubscribe_stranger")
        return []


class Subscribe(Action):
    def name(self) -> str:
        return "action_subscribe"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        known = await (await get_notices()).choose(tracker.sender_id, True)
        dispatcher.utter_message(response="utter_subscribed" if known else "utter_unsubscribe_stranger")
        return []


class WatchStock(Action):
    """Of goods that are named, or talked of; of a kind of them, if the message names one."""

    def name(self) -> str:
        return "action_watch_stock"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if settings.mall_url():  # another's stock is not ours to watch
            dispatcher.utter_message(response="utter_watch_not_here")
            return []
        product = await _product(turn, focus)
        if product is None:
            dispatcher.utter_message(response="utter_watch_which")
            return []
        said = plain(turn.text)
        named = [sku for sku in product.skus if any(plain(word) in said for word in sku.spec.split())]
        skus = named or product.skus
        name = product.name if len(skus) > 1 else f"{product.name} {skus[0].spec}"
        found = await (await get_notices()).watch(tracker.sender_id, [sku.id for sku in skus])
        if found is Watched.STRANGER:
            return [SlotSet("missing", "binding"), *focus.on("product", product.id).events()]
        response = "utter_watched" if found is Watched.YES else "utter_watch_in_stock"
        dispatcher.utter_message(response=response, name=name)
        return focus.on("product", product.id).events()


async def _product(turn: Turn, focus: Focus) -> Product | None:
    if named := turn.first("product"):
        return next(iter(await (await get_goods()).find(str(named), 1)), None)
    if (product_id := focus.at_hand("product")) is None:
        return None
    try:
        return await (await get_mall()).product(product_id)
    except NotFound:
        return None
