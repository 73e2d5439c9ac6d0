"""In a group nothing personal is asked or told: the customer is led to a conversation of their own."""

from __future__ import annotations

from typing import Any

import pytest
from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.accounts import AskAccountPhone, LinkAccount
from bot.actions.executor import Executor
from bot.actions.handoff import AskForPerson
from bot.actions.order_choice import AskOrderId
from mall_adapter.errors import InPublic


class Proves(Action):
    def name(self) -> str:
        return "action_proves"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[EventType]:
        if "@" in tracker.sender_id:
            raise InPublic("others read along here")
        return []


async def run(action: Action, sender: str, *entities: str) -> tuple[list[str | None], list[str]]:
    """The responses, and the events."""
    tracker: dict[str, Any] = {
        "sender_id": sender,
        "slots": {},
        "events": [],
        "latest_message": {"entities": [{"entity": entity, "value": "?"} for entity in entities]},
        "paused": False,
        "followup_action": None,
        "active_loop": {},
        "latest_action_name": None,
    }
    (executor := Executor()).register_action(action)
    told = await executor.run({"next_action": action.name(), "tracker": tracker, "domain": {}})
    assert told is not None
    return [one.get("response") for one in told.responses], [one["event"] for one in told.events]


@pytest.mark.parametrize(
    "action", [AskOrderId(), AskAccountPhone(), AskForPerson(), LinkAccount(), Proves()], ids=lambda one: one.name()
)
async def test_a_customer_is_led_away_and_reminded_of_nothing(action: Action) -> None:
    assert await run(action, "telegram:7@-100") == (["utter_in_private"], ["restart", "followup"])


class Greets(Action):
    def name(self) -> str:
        return "action_greets"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[EventType]:
        dispatcher.utter_message(response="utter_greet")
        return []


async def test_whatever_it_is_about_nothing_is_answered_to_a_number_that_is_nobody_elses_business() -> None:
    assert await run(Greets(), "telegram:7@-100", "phone") == (["utter_in_private"], ["restart", "followup"])
    assert await run(Greets(), "telegram:7@-100", "product") == (["utter_greet"], [])


async def test_alone_it_goes_on() -> None:
    assert await run(Proves(), "telegram:7") == ([], [])
    assert await run(Greets(), "telegram:7", "phone") == (["utter_greet"], [])
