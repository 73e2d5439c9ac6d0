"""A question about the price of what was bought: of the order that is named or talked of."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.knowledge import order_talked_of
from bot.actions.order_words import meant_by_words
from bot.actions.prices import say_prices
from bot.actions.questions import answer_question
from bot.actions.turn import Turn
from bot.actions.wording import Domain


class AboutPrice(Action):
    def name(self) -> str:
        return "action_about_price"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if order_id := turn.first("order_id"):
            focus.on("order", str(order_id))
        order = await order_talked_of(tracker, turn)
        elsewhere = order is not None and turn.names_goods and not meant_by_words(turn, [order])
        if order is None or elsewhere:
            outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="goods")
            return [*outcome.events, *focus.events()]
        await say_prices(dispatcher, tracker, domain, turn, order)
        return focus.on("order", order.id).on("price", order.id).events()
