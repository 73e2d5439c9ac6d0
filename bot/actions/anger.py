"""A customer is angry, whatever they ask: kind words come before the facts, and the second time a person is offered.

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
from bot.actions.worry_state import angry_again


class HearAnger(Action):
    """Before the flows that soothe (``soothes`` in bot/data/flows). Who waits for a person hears the facts alone."""

    def name(self) -> str:
        return "action_hear_anger"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if not angry_again(tracker, datetime.now(UTC)):
            dispatcher.utter_message(response="utter_anger_heard")
        elif not await waits_for_person(tracker.sender_id):
            human = way_buttons(tracker, domain, ["human_handoff"])
            dispatcher.utter_message(response="utter_complain_again", buttons=human)
        return []
