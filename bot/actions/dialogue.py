"""The small talk of getting things done: stopping, bare data, and what was not understood."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.order_choice import PROVED, forget_request
from bot.actions.wording import Domain


class Stop(Action):
    def name(self) -> str:
        return "action_stop"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ticket_id = await self._written_after_all(tracker)
        if ticket_id:
            dispatcher.utter_message(response="utter_ticket_exists", ticket_id=ticket_id)
        else:
            dispatcher.utter_message(response="utter_stopped" if tracker.active_loop_name else "utter_nothing_to_stop")
        return [ActiveLoop(None), SlotSet("requested_slot", None), *forget_request("order_id")]

    @staticmethod
    async def _written_after_all(tracker: Tracker) -> str | None:
        """The ticket of a yes whose turn was cut off after the mall wrote it: "nothing was sent" would be a lie."""
        if tracker.active_loop_name != "after_sales_form" or tracker.get_slot("phone_tail") != PROVED:
            return None
        order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
        wanted = {choice["id"] for choice in tracker.get_slot("order_lines") or []}
        return next((line.open_ticket_id for line in order.lines if line.id in wanted and line.open_ticket_id), None)


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


class YesOrNo(Action):
    """A yes or a no to nothing that was asked."""

    def name(self) -> str:
        return "action_yes_or_no"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        intent = tracker.get_intent_of_latest_message()
        dispatcher.utter_message(response="utter_not_matched" if tracker.active_loop_name else f"utter_{intent}")
        return []


class NotUnderstood(Action):
    def name(self) -> str:
        return "action_not_understood"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order_id = next(tracker.get_latest_entity_values("order_id"), None)
        if tracker.active_loop_name:
            dispatcher.utter_message(response="utter_please_rephrase")
        elif order_id:
            dispatcher.utter_message(response="utter_what_about_order", order_id=order_id)
        else:
            dispatcher.utter_message(response="utter_default")
        return []
