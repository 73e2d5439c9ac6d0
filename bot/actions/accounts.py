"""Binding a chat account to a member of the mall, by the member's phone and one of their orders, or by a code from
another chat that is bound; such codes, and unbinding."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SessionStarted, SlotSet
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.answers import find_answers
from bot.actions.conversation import Conversation, ask, confirmed, key, problem, proof_key
from bot.actions.focus import Focus
from bot.actions.knowledge import say_answer
from bot.actions.malls import get_mall
from bot.actions.orders import TO_BE_SHIPPED
from bot.actions.summaries import sum_up
from bot.actions.tickets import ticket_values, wish_button
from bot.actions.turn import Turn, address_of
from bot.actions.validation import Request, Validation
from bot.actions.wording import Domain, minute, word
from bot.spelling import plain
from knowledge_graph import sure
from mall_adapter import in_public
from mall_adapter.errors import BindingLocked, CodeOver, NotBound, WrongProof
from mall_adapter.values import UNSETTLED, OrderStatus
from settings import SHANGHAI

_DIGITS = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){3,19}(?![0-9A-Za-z])")
_SIX_DIGITS = re.compile(r"[^0-9A-Za-z]*([0-9](?:[ -]?[0-9]){5})[^0-9A-Za-z]*")
_A_NUMBER = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{0,4}[ -]?[0-9][0-9 -]*(?![0-9A-Za-z])")

LATELY = 3
"""Messages back in which a phone number counts as told."""

ALL = 50
"""Orders or tickets: nobody has more under way."""

HOW_TO_BIND = "bind_account_how"
"""Id of the answer that is no use to whoever is bound."""


class BindAccountValidation(Validation):
    flow = "bind_account"

    def reopen(self, slot: str, request: Request) -> None:
        super().reopen(slot, request)
        request.clear("account_code", "account_whom")

    async def validate_account_code(self, value: Any, request: Request) -> None:
        """To whom it would bind. A wrong one is asked for again, in place of the phone."""
        code = str(value)
        request.clear("account_code", "account_whom")
        asked = (code, proof_key(request.tracker, code), address_of(request.tracker))
        try:
            whom = await (await get_mall()).whose_code(request.sender, *asked)
        except WrongProof as error:
            request.set(**problem("account_phone", "account_code_wrong", error.tries_left))
        except CodeOver:
            request.set(**problem("account_phone", "account_code_over"))
        except BindingLocked as error:
            request.set(refusal={"name": "locked", "until": minute(request.tracker, error.until)})
        else:
            request.set(account_code=code, account_whom=whom.name)

    async def validate_account_phone(self, value: Any, request: Request) -> None:
        if not isinstance(value, dict):
            request.set(account_phone=str(value))
        elif code := _SIX_DIGITS.fullmatch(plain(request.turn.text)):  # the question names both
            await self.validate_account_code(re.sub(r"\D", "", code[1]), request)
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
        if request.get("account_code"):
            return
        if phone := request.turn.first("phone") or self._told_before(request):
            request.set(account_phone=str(phone))
        order_id = request.turn.first("order_id")
        if order_id and not isinstance(request.heard.get("account_phone"), dict):  # "12345678" as a phone is no order
            request.set(account_order=str(order_id))
        elif not request.get("account_order") and not self._asked_for_order(request):
            request.set(account_order=request.get("order_id") or self._order_told_before(request))

    @staticmethod
    def _told_before(request: Request) -> str | None:
        """The whole phone, sent for something else a moment ago."""
        if request.get("account_phone") or "account_phone" in (Conversation.of(request.tracker).top.get("asks") or {}):
            return None
        lately = islice(Turn.earlier(request.tracker), LATELY)
        return next((str(phone) for turn in lately if (phone := turn.first("phone"))), None)

    @staticmethod
    def _order_told_before(request: Request) -> str | None:
        """Sent together with the phone, before it was said what for."""
        lately = (turn for turn in islice(Turn.earlier(request.tracker), LATELY) if turn.first("phone"))
        return next((str(order_id) for turn in lately if (order_id := turn.first("order_id"))), None)

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


class AccountLocked(Action):
    def name(self) -> str:
        return "action_account_locked"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: dict[str, Any] = tracker.get_slot("refusal") or {}
        dispatcher.utter_message(response="utter_account_locked", until=refusal.get("until"))
        return []


def _values(tracker: Tracker) -> dict[str, Any]:
    if code := tracker.get_slot("account_code"):
        return {"account_code": code, "account_whom": tracker.get_slot("account_whom")}
    return {name: tracker.get_slot(name) for name in ("account_phone", "account_order")}


class AskConfirmAccount(Action):
    def name(self) -> str:
        return "action_ask_confirm_account"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _values(tracker)
        if whom := values.get("account_whom"):
            return sum_up(dispatcher, tracker, "utter_ask_confirm_code", values, whom=whom)
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
        mall, sender, address = await get_mall(), tracker.sender_id, address_of(tracker)
        try:
            if code := values.get("account_code"):
                await mall.bind_with_code(sender, code, proof_key(tracker, "bind", code), address)
            else:
                phone, order_id = values["account_phone"], values["account_order"]
                await mall.bind_with_proof(sender, phone, order_id, proof_key(tracker, order_id, phone), address)
        except CodeOver:
            dispatcher.utter_message(response="utter_account_code_over")
            return []
        except WrongProof as error:
            dispatcher.utter_message(response="utter_account_wrong_proof", tries=error.tries_left)
            return []
        except BindingLocked as error:
            dispatcher.utter_message(response="utter_account_locked", until=minute(tracker, error.until))
            return []
        dispatcher.utter_message(response="utter_account_bound")
        await _say_what_is_open(dispatcher, tracker, domain)
        return Focus(tracker).wrote("bind_account", None).events()


async def say_open_once_a_day(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
    """Below a hello: a member's tickets that are not settled, else their parcels on the way. Nothing in a group."""
    today = datetime.now(SHANGHAI).date().isoformat()
    mall, sender = await get_mall(), tracker.sender_id
    if tracker.get_slot("told_open_on") == today or in_public(sender) or await mall.customer_of(sender) is None:
        return []
    tickets = [ticket for ticket in await mall.tickets_of(sender, ALL) if ticket.status in UNSETTLED]
    if len(tickets) == 1:
        dispatcher.utter_message(response="utter_open_ticket", **ticket_values(tracker, domain, tickets[0]))
    elif tickets:
        dispatcher.utter_message(response="utter_open_tickets", count=len(tickets))
    else:
        shipped = [order for order in await mall.orders_of(sender, ALL) if order.status is OrderStatus.SHIPPED]
        if not shipped:
            return []
        dispatcher.utter_message(response="utter_open_parcels", count=len(shipped))
    return [SlotSet("told_open_on", today)]


async def _say_what_is_open(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> None:
    """What was begun in another chat of the member, in a line: it can go on in this one."""
    mall = await get_mall()
    tickets = [ticket for ticket in await mall.tickets_of(tracker.sender_id, ALL) if ticket.status in UNSETTLED]
    if len(tickets) == 1:
        values = ticket_values(tracker, domain, tickets[0])
        dispatcher.utter_message(response="utter_account_open_ticket", **values)
    elif tickets:
        dispatcher.utter_message(response="utter_account_open_tickets", count=len(tickets))
    else:
        under_way = {*TO_BE_SHIPPED, OrderStatus.SHIPPED}
        orders = [order for order in await mall.orders_of(tracker.sender_id, ALL) if order.status in under_way]
        if orders:
            dispatcher.utter_message(response="utter_account_open_orders", count=len(orders))


_CHANNELS: Mapping[str, Callable[[], object]] = {
    "web": lambda: True,
    "wechat": settings.wechat_credentials,
    "telegram": settings.telegram_bot_token,
}
"""Where customers can talk to the shop, and what tells whether they can here."""


def _channel_names(tracker: Tracker, domain: Domain) -> str:
    """Of those that are open."""
    names = [word(tracker, domain, f"channel_{name}") for name, usable in _CHANNELS.items() if usable()]
    return word(tracker, domain, "between_wishes").join(names)


class OtherChannels(Action):
    """Which there are. The slot ``bound`` leads on to a code: of a member who wants to go on in another one."""

    def name(self) -> str:
        return "action_other_channels"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        said = str(Turn.of(tracker).first("channel") or "other")
        wanted, moves = said.removeprefix("to_"), said.startswith("to_")
        bound = await (await get_mall()).customer_of(tracker.sender_id) is not None
        is_there = wanted in _CHANNELS and _CHANNELS[wanted]()
        response = "utter_channels" if wanted == "other" else "utter_channel" if is_there else "utter_channel_missing"
        if bound and moves and is_there:
            return [SlotSet("bound", True)]  # its code says it all
        told = {"channels": _channel_names(tracker, domain), "channel": ""}
        if wanted in _CHANNELS:
            told["channel"] = word(tracker, domain, f"channel_{wanted}")
        wish = "link_account" if bound else "bind_account"
        buttons = [] if bound and moves else [wish_button(tracker, domain, wish)]
        dispatcher.utter_message(response=response, buttons=buttons, **told)
        return [SlotSet("bound", bound and moves)]


class LinkAccount(Action):
    def name(self) -> str:
        return "action_link_account"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        try:
            made = await (await get_mall()).make_binding_code(tracker.sender_id, proof_key(tracker, "code"))
        except NotBound:
            dispatcher.utter_message(response="utter_account_code_where")
            return []
        channels = _channel_names(tracker, domain)
        dispatcher.utter_message(response="utter_account_code", code=made.code, channels=channels)
        return [SlotSet("bound", True)]


class UnbindAccountValidation(Validation):
    flow = "unbind_account"

    async def complete(self, request: Request) -> None:
        request.set(bound=await (await get_mall()).customer_of(request.sender) is not None)


class AskConfirmUnbind(Action):
    def name(self) -> str:
        return "action_ask_confirm_unbind"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        return sum_up(dispatcher, tracker, "utter_ask_confirm_unbind", _UNBINDING)


_UNBINDING = {"unbind": True}


class UnbindAccount(Action):
    """From here on the conversation is a stranger's: another session, which knows nothing of the one before."""

    def name(self) -> str:
        return "action_unbind_account"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if not confirmed(tracker, _UNBINDING):
            return []
        await (await get_mall()).unbind(tracker.sender_id, key(tracker, _UNBINDING))
        dispatcher.utter_message(response="utter_account_unbound")
        state: dict[str, Any] = tracker.get_slot("dialogue") or {}
        kept = {name: tracker.get_slot(name) for name in ("language", "queued")}
        kept["dialogue"] = {**state, "stack": [], "say": [], "commands": []}
        return [SessionStarted(), *(SlotSet(name, value) for name, value in kept.items() if value)]
