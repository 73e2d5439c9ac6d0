"""The small talk of getting things done: stopping, bare data, and what was not understood."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.order_choice import forget_request
from bot.actions.wording import Domain


class Stop(Action):
    def name(self) -> str:
        return "action_stop"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        dispatcher.utter_message(response="utter_stopped" if tracker.active_loop_name else "utter_nothing_to_stop")
        return [ActiveLoop(None), SlotSet("requested_slot", None), *forget_request("order_id")]


class Inform(Action):
    """An order number, a reason or digits that no open question asked for."""

    def name(self) -> str:
        return "action_inform"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order_id = next(tracker.get_latest_entity_values("order_id"), None)
        if tracker.active_loop_name:
            dispatcher.utter_message(response="utter_not_matched")
        elif order_id:
            dispatcher.utter_message(response="utter_what_about_order", order_id=order_id)
        elif next(tracker.get_latest_entity_values("reason"), None):
            dispatcher.utter_message(response="utter_what_about_problem")
        else:
            dispatcher.utter_message(response="utter_inform_what")
        return []


class NotUnderstood(Action):
    def name(self) -> str:
        return "action_not_understood"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        dispatcher.utter_message(response="utter_please_rephrase" if tracker.active_loop_name else "utter_default")
        return []
