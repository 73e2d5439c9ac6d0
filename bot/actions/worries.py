"""A customer worries: kind words with the facts of what is on its way, then those of the one that is meant; worrying
again brings other facts of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rasa_sdk import Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.knowledge import order_talked_of
from bot.actions.order_questions import AboutOrders, on_their_way
from bot.actions.orders import say_order
from bot.actions.questions import answer_question
from bot.actions.turn import Turn
from bot.actions.wording import Domain
from mall_adapter.values import Order

_NAMES_AN_ORDER = frozenset({"order_id", "phone_tail", "ordinal", "mention", "product", "category", "brand"})


class WorryDelivery(AboutOrders):
    intent, topic = "worry_delivery", "worry"

    def concerns(self, orders: Sequence[Order], now: datetime) -> Sequence[Order]:
        return on_their_way(orders, now)

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        matter = turn.first("matter") is not None  # "降价了我怎么办" is about no parcel
        if not matter and (turn.topic in (None, "delivery") or not _NAMES_AN_ORDER.isdisjoint(turn.entities)):
            events = await super().run(dispatcher, tracker, domain)
            # where the order is to be asked for: kind words first
            if not dispatcher.messages and not focus.at_hand("worried"):
                dispatcher.utter_message(response="utter_worry_heard")
                events += focus.on("worried", "yes").events()
            return events
        # "我担心买贵了，能补差价吗": no parcel calms that, and no order number is asked for
        dispatcher.utter_message(response="utter_worry_other")
        outcome = None
        if turn.asks or matter:
            outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="none")
        if outcome and outcome.said:
            return focus.events()
        if order := await order_talked_of(tracker, turn):
            say_order(dispatcher, tracker, domain, order)
        return focus.events()
