"""A customer is angry, whatever they ask: a warm sentence of its own comes before the facts, and the second time a person
is offered below them.

What they are angry about in so many words is a complaint (``bot/actions/complaints.py``), heard in its own way.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.handoff import waits_for_person
from bot.actions.knowledge import way_buttons
from bot.actions.wording import Domain
from bot.actions.worry_state import ANGER, felt, felt_lately


class HearAnger(Action):
    """Silent unless they are angry, and for the first time today: the same words again would be none."""

    def name(self) -> str:
        return "action_hear_anger"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if felt(tracker) == ANGER and not felt_lately(tracker, ANGER, datetime.now(UTC)):
            dispatcher.utter_message(response="utter_anger_heard")
        return []


class OfferPersonToAngry(Action):
    """Silent unless they have been angry before today, and nobody is on the way to them."""

    def name(self) -> str:
        return "action_offer_person_to_angry"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        again = felt(tracker) == ANGER and felt_lately(tracker, ANGER, datetime.now(UTC))
        if again and not await waits_for_person(tracker.sender_id):
            human = way_buttons(tracker, domain, ["human_handoff"])
            dispatcher.utter_message(response="utter_complain_again", buttons=human)
        return []
