"""Binding a chat account to a member of the mall, by the member's phone and one of their orders."""

from __future__ import annotations

import re

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.forms import Form, Slots, finish
from bot.actions.malls import get_mall
from bot.actions.turn import MOBILE, Turn
from bot.actions.wording import Domain, minute
from mall_adapter import BindingLocked, WrongProof


class BindAccountForm(Form):
    form = "account_form"
    submit = "action_bind_account"
    starts = {"bind_account": {}}  # noqa: RUF012
    holds = ("account_phone", "account_order", "bound")
    changeable = ("account_phone", "account_order")

    def needs(self, slots: Slots) -> list[str]:
        return [] if slots.get("bound") else ["account_phone", "account_order", "confirm"]

    def mentions(self, turn: Turn, slots: Slots) -> Slots:
        found: Slots = {}
        if phone := MOBILE.search(turn.text):
            found["account_phone"] = re.sub(r"\D", "", phone[1])
        if order_id := turn.first("order_id"):
            found["account_order"] = order_id
        return found

    def answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        return {name: value for name, value in self.mentions(turn, slots).items() if name == asked}

    async def begin(self, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        slots["bound"] = True if await (await get_mall()).customer_of(tracker.sender_id) else None


class BindAccount(Action):
    def name(self) -> str:
        return "action_bind_account"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if tracker.get_slot("bound"):
            dispatcher.utter_message(response="utter_account_bound_already")
            return finish(BindAccountForm(), dispatcher, tracker, domain)
        try:
            await (await get_mall()).bind_with_proof(
                tracker.sender_id, tracker.slots["account_phone"], tracker.slots["account_order"]
            )
        except WrongProof as error:
            dispatcher.utter_message(response="utter_account_wrong_proof", tries=error.tries_left)
        except BindingLocked as error:
            dispatcher.utter_message(response="utter_account_locked", until=minute(tracker, error.until))
        else:
            dispatcher.utter_message(response="utter_account_bound")
        # the order of the proof is not what the conversation is about
        return [SlotSet("order_id", None), *finish(BindAccountForm(), dispatcher, tracker, domain)]


class AskConfirmAccount(Action):
    def name(self) -> str:
        return "action_ask_account_form_confirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        phone: str = tracker.slots["account_phone"]
        dispatcher.utter_message(
            response="utter_ask_confirm_account",
            phone=f"{phone[:3]}****{phone[-4:]}",
            order_id=tracker.slots["account_order"],
        )
        return []
