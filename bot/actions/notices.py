"""What the shop says by itself, as customers steer it: no offers, offers again, and goods that are waited for."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.focus import Focus
from bot.actions.malls import get_goods, get_mall, get_notices
from bot.actions.tickets import button
from bot.actions.turn import Turn
from bot.actions.wording import Domain
from bot.spelling import plain
from mall_adapter.errors import NotFound
from mall_adapter.notices import Watched
from mall_adapter.values import Product

SHELF, CHOICES = 20, 4
"""Goods of a kind that are looked through, and so many of them are offered as buttons."""


class Unsubscribe(Action):
    def name(self) -> str:
        return "action_unsubscribe"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        known = await (await get_notices()).choose(tracker.sender_id, False)
        response = "utter_unsubscribed" if known else "utter_unsubscribe_stranger"
        in_a_word = "stop_word" in Turn.of(tracker).acts
        dispatcher.utter_message(response=f"{response}_in_a_word" if in_a_word else response)
        return []


class Subscribe(Action):
    def name(self) -> str:
        return "action_subscribe"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        known = await (await get_notices()).choose(tracker.sender_id, True)
        dispatcher.utter_message(response="utter_subscribed" if known else "utter_subscribe_stranger")
        return []


class WatchStock(Action):
    """Of goods that are named, or talked of; of a kind of them, if the message names one. Where only a shelf is named,
    of those that are talked of or alone there; else those that are sold out are asked back."""

    def name(self) -> str:
        return "action_watch_stock"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if settings.mall_url():  # another's stock is not ours to watch
            dispatcher.utter_message(response="utter_watch_not_here")
            return []
        product = await _product(turn, focus)
        if product is None:
            await _ask_which(dispatcher, turn)
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


async def _ask_which(dispatcher: CollectingDispatcher, turn: Turn) -> None:
    """Of the kind that is named, those that are sold out; where none is, those that are there."""
    kind = next((str(named) for name in ("category", "brand") if (named := turn.first(name))), None)
    found = await (await get_goods()).find(kind, SHELF) if kind else []
    sold_out = [product for product in found if _is_sold_out(product)]
    if not found:
        dispatcher.utter_message(response="utter_watch_which")
    elif sold_out:
        buttons = [button(product.name, "watch_stock", product=product.name) for product in sold_out[:CHOICES]]
        dispatcher.utter_message(response="utter_watch_which_of", kind=kind, buttons=buttons)
    else:
        buttons = [button(product.name, "ask_product", product=product.name) for product in found[:CHOICES]]
        dispatcher.utter_message(response="utter_watch_kind_in_stock", kind=kind, buttons=buttons)


async def _product(turn: Turn, focus: Focus) -> Product | None:
    if named := turn.first("product"):
        return next(iter(await (await get_goods()).find(str(named), 1)), None)
    talked_of = None
    if product_id := focus.at_hand("product"):
        try:
            talked_of = await (await get_mall()).product(product_id)
        except NotFound:
            talked_of = None
    if not turn.names_goods or (talked_of and talked_of.category == turn.first("category")):
        return talked_of
    return await _alone(turn)


def _is_sold_out(product: Product) -> bool:
    return all(sku.available <= 0 for sku in product.skus)


async def _alone(turn: Turn) -> Product | None:
    """The only one that the words fit, or the only one of them that is sold out."""
    kind = next((str(named) for name in ("category", "brand") if (named := turn.first(name))), "")
    found = await (await get_goods()).find(kind, SHELF)
    sold_out = [product for product in found if _is_sold_out(product)]
    return found[0] if len(found) == 1 else sold_out[0] if len(sold_out) == 1 else None
