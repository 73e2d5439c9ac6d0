"""Questions about the rules of the shop: first in the light of the request at hand, else by topic."""

from __future__ import annotations

import re

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.tickets import say_ticket
from bot.actions.wording import Domain, has_response
from mall_adapter import NotFound, Ticket

_FREIGHT = re.compile(r"运费|邮费|快递费|寄费|包邮|freight|shipping (?:fee|cost)|postage", re.IGNORECASE)
_BACK = re.compile(r"退|换|寄回|谁出|谁付|谁承担|谁掏|return|who pays", re.IGNORECASE)
_WHEN = re.compile(r"多久|几天|多长时间|什么时候|啥时候|何时|多会儿|到账|进度|how long|when", re.IGNORECASE)
_AFTER_SALES = frozenset({"refund", "return_exchange"})


class AnswerFromGraph(Action):
    def name(self) -> str:
        return "action_answer_from_graph"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        text, topic = tracker.latest_message.get("text") or "", tracker.latest_message.get("topic")
        ticket = await self._last_ticket(tracker)
        decision = tracker.get_slot("decision") if tracker.active_loop_name == "after_sales_form" else None
        if _FREIGHT.search(text) and (decision or ticket):
            payer = decision["freight_payer"] if decision else ticket.decision.freight_payer if ticket else ""
            dispatcher.utter_message(response=f"utter_freight_of_request_{payer}")
        elif _WHEN.search(text) and topic in _AFTER_SALES and ticket and not decision:
            say_ticket(dispatcher, tracker, domain, ticket)
        elif _FREIGHT.search(text) and _BACK.search(text):
            dispatcher.utter_message(response="utter_policy_return_freight")
        else:
            name = f"utter_policy_{topic}"
            limits = await (await get_mall()).after_sales_limits()
            dispatcher.utter_message(response=name if has_response(domain, name) else "utter_policy_unknown", **limits)
        return []

    @staticmethod
    async def _last_ticket(tracker: Tracker) -> Ticket | None:
        """The ticket that the conversation was about last."""
        if not (ticket_id := tracker.get_slot("last_ticket")):
            return None
        try:
            return await (await get_mall()).ticket(tracker.sender_id, ticket_id)
        except NotFound:
            return None
