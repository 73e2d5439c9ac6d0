"""Whether goods can go back, in one sentence: for somebody who is in the middle of asking and wants a plain word."""

from __future__ import annotations

from itertools import islice
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.request_values import ALL_LINES, goods_in_request, lines_of, request_of, weightiest
from bot.actions.request_words import TOLD_BEFORE, may_tell_reason
from bot.actions.tickets import button, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, rule_text, word
from mall_adapter.errors import MallError
from mall_adapter.values import Reason, TicketKind


class SayVerdict(Action):
    def name(self) -> str:
        return "action_say_verdict"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        slots: dict[str, Any] = dict(tracker.slots)
        slots["order_line"] = slots.get("order_line") if lines_of(slots) else ALL_LINES
        said = [Turn.of(tracker), *islice(Turn.earlier(tracker), TOLD_BEFORE)]
        slots["opened"] = slots.get("opened") or next(
            (one.first("opened") for one in said if one.first("opened")), None
        )
        told = [reason for one in said if may_tell_reason(one) for reason in one.entities.get("reason", ())]
        reason = slots.get("reason") or weightiest(told) or Reason.CHANGED_MIND.value
        kind = slots.get("ticket_kind") or TicketKind.RETURN.value
        try:
            decision = await (await get_mall()).assess(tracker.sender_id, request_of(slots, kind, reason))
        except MallError:
            return []
        human = wish_button(tracker, domain, "human_handoff")
        fault = button(word(tracker, domain, "has_a_fault"), "inform", reason=Reason.QUALITY.value)
        values: dict[str, Any] = {"goods": goods_in_request(slots), "kind": word(tracker, domain, kind)}
        if decision.missing_facts:
            dispatcher.utter_message(response="utter_verdict_depends", **values)
        elif decision.allowed:
            freight = word(tracker, domain, f"freight_{decision.freight_payer}")
            dispatcher.utter_message(response="utter_verdict_allowed", freight=freight, **values)
        else:
            rule = await rule_text(tracker, domain, decision.rule)
            dispatcher.utter_message(response="utter_verdict_refused", rule=rule, buttons=[fault, human], **values)
        return []
