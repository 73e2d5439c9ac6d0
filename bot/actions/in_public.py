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
    }
)
"""What asks for something by which a customer is known, or tells something of theirs."""


def is_refused(action_call: dict[str, Any]) -> bool:
    return in_public(action_call["tracker"]["sender_id"]) and action_call["next_action"] in PERSONAL


def lead_away() -> ActionExecutorRunResult:
    """The request is not kept: nobody is reminded of it before others."""
    said = CollectingDispatcher()
    said.utter_message(response="utter_in_private")
    return ActionExecutorRunResult(events=[Restarted(), FollowupAction("action_listen")], responses=said.messages)
