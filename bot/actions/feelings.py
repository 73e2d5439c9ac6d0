"""Worry and anger: kind words first, and the answer where there is a question in them."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.answers import find_answers
from bot.actions.knowledge import AnswerFromGraph
from bot.actions.orders import AboutOrders
from bot.actions.turn import Turn
from bot.actions.wording import Domain
from knowledge_graph import Found, sure


class WorryDelivery(AboutOrders):
    task = "worry_delivery"
    preface = "utter_worry"

    async def tell(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order_id: str | None
    ) -> list[EventType] | None:
        found = await _asked(tracker)
        if found is None or found.answer.topic == "delivery":
            return await super().tell(dispatcher, tracker, domain, order_id)
        # "我担心买贵了，能补差价吗": no parcel calms that
        dispatcher.utter_message(response="utter_worry")
        return await AnswerFromGraph().say(dispatcher, tracker, domain, found)


class Complain(Action):
    def name(self) -> str:
        return "action_complain"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if found := await _asked(tracker):
            dispatcher.utter_message(response="utter_sorry")
            return await AnswerFromGraph().say(dispatcher, tracker, domain, found)
        dispatcher.utter_message(response="utter_complain")
        return []


async def _asked(tracker: Tracker) -> Found | None:
    """The answer to the question that the message holds besides the feeling, if there is one and it is sure."""
    turn = Turn.of(tracker)
    found = await find_answers(tracker, turn) if turn.asks else []
    return found[0] if sure(found) else None
