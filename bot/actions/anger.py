"""A customer is angry, whatever they ask: kind words come before the facts, the second time a person
is offered, the third time one is called.

What they are angry about in so many words is a complaint (``bot/actions/complaints.py``), heard in its own way.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.handoff import offer_to_upset, waits_for_person
from bot.actions.wording import Domain
from bot.actions.worry_state import angry_again


class HearAnger(Action):
    """Before the flows that soothe (``soothes`` in bot/data/flows). Who waits for a person hears the facts alone."""

    def name(self) -> str:
        return "action_hear_anger"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if not angry_again(tracker, datetime.now(UTC)):
            dispatcher.utter_message(response="utter_anger_heard")
            return []
        focus = Focus(tracker)
        if not await waits_for_person(tracker.sender_id):
            await offer_to_upset(dispatcher, tracker, domain, focus)
        return focus.events()
