"""In a group everybody reads along: nothing personal is asked or told there, and the customer is led to a conversation
of their own."""

from __future__ import annotations

from typing import Any

from rasa_sdk.events import FollowupAction, Restarted
from rasa_sdk.executor import ActionExecutorRunResult, CollectingDispatcher

from mall_adapter import in_public

PERSONAL = frozenset(
    {
        *("action_ask_order_id", "action_ask_phone_tail", "action_ask_order_phone", "action_ask_ticket_id"),
        *("action_ask_account_phone", "action_ask_account_order", "action_my_coupons", "action_handoff"),
        *("action_link_account", "action_unbind_account", "action_energy_balance", "action_award_energy"),
        *("action_ask_confirm_redeem_energy", "action_refuse_redeem_energy"),
        *("action_card_report", "action_my_leads", "action_reach_lead"),
        *("action_export_my_data", "action_ask_own_phone", "action_refuse_erasure", "action_keep_my_data"),
        *("action_tell_lead", "action_give_back_lead"),
    }
)
"""What asks for something by which a customer is known, or tells something of theirs."""


NUMBERS = frozenset({"order_id", "ticket_id", "phone", "phone_tail", "account_code"})
"""Entities by which one is known, and which nobody should say there: whatever was meant, it goes on in private."""


def is_refused(action_call: dict[str, Any]) -> bool:
    tracker = action_call["tracker"]
    if not in_public(tracker["sender_id"]):
        return False
    said = {entity["entity"] for entity in tracker["latest_message"].get("entities") or ()}
    return action_call["next_action"] in PERSONAL or not NUMBERS.isdisjoint(said)


def lead_away() -> ActionExecutorRunResult:
    """The request is not kept: nobody is reminded of it before others."""
    said = CollectingDispatcher()
    said.utter_message(response="utter_in_private")
    return ActionExecutorRunResult(events=[Restarted(), FollowupAction("action_listen")], responses=said.messages)
