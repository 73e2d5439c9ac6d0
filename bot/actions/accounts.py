"""Binding a chat account to a member of the mall, by the member's phone and one of their orders."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.answers import find_answers
from bot.actions.conversation import Conversation, ask, confirmed, problem, proof_key
from bot.actions.focus import Focus
from bot.actions.knowledge import say_answer
from bot.actions.malls import get_mall
from bot.actions.summaries import sum_up
from bot.actions.turn import Turn, address_of
from bot.actions.validation import Request, Validation
from bot.actions.wording import Domain, minute
from knowledge_graph import sure
from mall_adapter.errors import BindingLocked, WrongProof

_DIGITS = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){3,19}(?![0-9A-Za-z])")
_A_NUMBER = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{0,4}[ -]?[0-9][0-9 -]*(?![0-9A-Za-z])")

LATELY = 3
"""Messages back in which a phone number counts as told."""

HOW_TO_BIND = "bind_account_how"
"""Id of the answer that is no use to whoever is bound."""


class BindAccountValidation(Validation):
    flow = "bind_account"

    async def validate_account_phone(self, value: Any, request: Request) -> None:
        if not isinstance(value, dict):
            request.set(account_phone=str(value))
        elif number := _DIGITS.search(request.turn.text):
            digits = re.sub(r"\D", "", number[0])
            request.set(**problem("account_phone", "account_phone_wrong", len(digits)))
        else:
            request.set(**problem("account_phone", "unusable"))

    async def validate_account_order(self, value: Any, request: Request) -> None:
        if not isinstance(value, dict):
            request.set(account_order=str(value).strip().upper())
        elif number := _A_NUMBER.search(request.turn.without("phone", "phone_tail")):
            request.set(**problem("account_order", "account_order_wrong", number[0].strip()))
        else:
            request.set(**problem("account_order", "unusable"))

    async def complete(self, request: Request) -> None:
        """What the message says besides, asked for or not; an order that another flow was told is known, too."""
        if await (await get_mall()).customer_of(request.sender) is not None:
            request.set(bound=True)
            return
        if phone := request.turn.first("phone") or self._told_before(request):
            request.set(account_phone=str(phone))
        order_id = request.turn.first("order_id")
        if order_id and not isinstance(request.heard.get("account_phone"), dict):  # "12345678" as a phone is no order
            request.set(account_order=str(order_id))
        elif not request.get("account_order") and not self._asked_for_order(request):
            request.set(account_order=request.get("order_id"))

    @staticmethod
    def _told_before(request: Request) -> str | None:
        """The whole phone, sent for something else a moment ago."""
        if request.get("account_phone") or "account_phone" in (Conversation.of(request.tracker).top.get("asks") or {}):
            return None
        lately = islice(Turn.earlier(request.tracker), LATELY)
        return next((str(phone) for turn in lately if (phone := turn.first("phone"))), None)

    @staticmethod
    def _asked_for_order(request: Request) -> bool:
        """Also when it is to be changed: then the order of the other flow was not the right one."""
        heard = request.tracker.get_slot("heard") or {}
        return "change" in heard or "account_order" in (Conversation.of(request.tracker).top.get("asks") or {})


class AccountBoundAlready(Action):
    def name(self) -> str:
        return "action_account_bound_already"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        found = (await find_answers(tracker, turn)).best  # "解绑", "收不到验证码"
        told = found[0].answer if sure(found) else None
        if told and told.topic == turn.topic and told.id != HOW_TO_BIND:
            await say_answer(dispatcher, tracker, domain, found[0], focus)
        else:
            dispatcher.utter_message(response="utter_account_bound_already")
        return focus.events()


class AskAccountPhone(Action):
    def name(self) -> str:
        return "action_ask_account_phone"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ask(dispatcher, tracker, domain, "account_phone")
        return []


class AskAccountOrder(Action):
    def name(self) -> str:
        return "action_ask_account_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ask(dispatcher, tracker, domain, "account_order")
        return []


def _values(tracker: Tracker) -> dict[str, Any]:
    return {name: tracker.get_slot(name) for name in ("account_phone", "account_order")}


class AskConfirmAccount(Action):
    def name(self) -> str:
        return "action_ask_confirm_account"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _values(tracker)
        phone = str(values["account_phone"])
        return sum_up(
            dispatcher,
            tracker,
            "utter_ask_confirm_account",
            values,
            phone=f"{phone[:3]}****{phone[-4:]}",
            order_id=values["account_order"],
        )


class BindAccount(Action):
    def name(self) -> str:
        return "action_bind_account"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _values(tracker)
        if not confirmed(tracker, values):
            return []
        try:
            phone, order_id = values["account_phone"], values["account_order"]
            proof = proof_key(tracker, order_id, phone)
            await (await get_mall()).bind_with_proof(tracker.sender_id, phone, order_id, proof, address_of(tracker))
        except WrongProof as error:
            dispatcher.utter_message(response="utter_account_wrong_proof", tries=error.tries_left)
            return []
        except BindingLocked as error:
            dispatcher.utter_message(response="utter_account_locked", until=minute(tracker, error.until))
            return []
        dispatcher.utter_message(response="utter_account_bound")
        return Focus(tracker).wrote("bind_account", None).events()
