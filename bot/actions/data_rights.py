"""What customers can ask for as owners of their data: a link to a copy, and to be forgotten, or not after all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.conversation import ask, confirmed, key, problem, proof_key
from bot.actions.focus import Focus
from bot.actions.malls import get_data_rights
from bot.actions.summaries import sum_up
from bot.actions.turn import address_of
from bot.actions.validation import Request, Validation
from bot.actions.wording import Domain, day, minute
from mall_adapter.data_rights import RIGHTS
from mall_adapter.errors import BindingLocked, EraseRefused, NotBound, WrongProof


class ExportMyData(Action):
    def name(self) -> str:
        return "action_export_my_data"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if settings.mall_url():  # a foreign mall has its own way
            dispatcher.utter_message(response="utter_not_here_yet")
            return []
        try:
            link = await (await get_data_rights()).ask_copy(tracker.sender_id, proof_key(tracker, "copy"))
        except NotBound:
            return [SlotSet("missing", "binding")]
        way = f"{settings.public_url()}/my-data/"
        # named "code", by which whoever reads the conversation does not see it
        dispatcher.utter_message(response="utter_export_ready", link=way, code=link.token, hours=RIGHTS.export_hours)
        return []


class DeleteMyDataValidation(Validation):
    flow = "delete_my_data"

    async def validate_own_phone(self, value: Any, request: Request) -> None:
        if isinstance(value, dict):
            request.set(**problem("own_phone", "unusable"))
        else:
            request.set(own_phone=str(value))

    async def complete(self, request: Request) -> None:
        """What is in the way; a number that the message says is known."""
        if phone := request.turn.first("phone"):
            request.set(own_phone=str(phone))
        if settings.mall_url():
            request.set(refusal={"name": "elsewhere"})
            return
        try:
            standing = await (await get_data_rights()).standing(request.sender)
        except NotBound:
            request.set(refusal={"name": "unbound"})
            return
        if standing.due_at is not None:
            request.set(refusal={"name": "pending", "day": day(request.tracker, standing.due_at)})
        elif standing.obstacle is not None:
            request.set(refusal={"name": str(standing.obstacle), "about": standing.about})
        else:
            request.clear("refusal")


class RefuseErasure(Action):
    def name(self) -> str:
        return "action_refuse_erasure"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: dict[str, Any] = tracker.get_slot("refusal") or {}
        elsewhere = refusal.get("name") == "elsewhere"
        response = "utter_not_here_yet" if elsewhere else f"utter_erasure_{refusal.get('name')}"
        dispatcher.utter_message(response=response, **refusal)
        return []


class AskOwnPhone(Action):
    def name(self) -> str:
        return "action_ask_own_phone"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ask(dispatcher, tracker, domain, "own_phone", days=RIGHTS.erase_days)
        return []


def _values(tracker: Tracker) -> dict[str, Any]:
    return {"own_phone": tracker.get_slot("own_phone")}


class AskConfirmErasure(Action):
    def name(self) -> str:
        return "action_ask_confirm_erasure"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _values(tracker)
        phone, due = str(values["own_phone"]), day(tracker, datetime.now(UTC) + RIGHTS.cooling)
        masked = f"{phone[:3]}****{phone[-4:]}"
        return sum_up(dispatcher, tracker, "utter_ask_confirm_erasure", values, phone=masked, day=due)


class DeleteMyData(Action):
    def name(self) -> str:
        return "action_delete_my_data"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _values(tracker)
        if not confirmed(tracker, values):
            return []
        told = (str(values["own_phone"]), key(tracker, values), address_of(tracker))
        try:
            due = await (await get_data_rights()).ask_erasure(tracker.sender_id, *told)
        except WrongProof as error:
            dispatcher.utter_message(response="utter_erasure_wrong", tries=error.tries_left)
        except BindingLocked as error:
            dispatcher.utter_message(response="utter_erasure_locked", until=minute(tracker, error.until))
        except EraseRefused as error:
            dispatcher.utter_message(response=f"utter_erasure_{error.obstacle}", about=error.about)
        else:
            dispatcher.utter_message(response="utter_erasure_asked", day=day(tracker, due))
            return Focus(tracker).wrote("delete_my_data", None).events()
        return []


class KeepMyData(Action):
    def name(self) -> str:
        return "action_keep_my_data"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if settings.mall_url():
            dispatcher.utter_message(response="utter_not_here_yet")
            return []
        try:
            kept = await (await get_data_rights()).withdraw_erasure(tracker.sender_id)
        except NotBound:
            return [SlotSet("missing", "binding")]
        dispatcher.utter_message(response="utter_erasure_kept" if kept else "utter_erasure_nothing")
        return []
