"""Which order is meant, and is it the customer's: the part that every form about an order shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias
from uuid import uuid4

from rasa_sdk import Action, FormValidationAction, Tracker
from rasa_sdk.events import EventType, FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.wording import Domain, goods, minute
from mall_adapter import Order, OrderLocked, OrderNotFound, OwnershipRequired, WrongPhoneTail

LIKELY = 0.15
"""Confidence from which a yes or no counts as the answer to a yes-or-no question."""

PROVED = "proved"
"""Kept in ``phone_tail`` instead of the digits once the order is known to be the sender's."""

Slots: TypeAlias = dict[str, Any]

REQUEST_SLOTS = (
    "phone_tail",
    "order_line",
    "order_lines",
    "ticket_kind",
    "reason",
    "note",
    "opened",
    "confirm",
    "change",
    "ticket_id",
    "to_confirm",
    "decision",
    "problem",
    "problem_detail",
    "request_key",
)
"""What belongs to one request. ``order_id`` stays, it is what the conversation is about; so does ``order_task``, which
the rules have read: the next request sets it anew."""


def forget_request(*also: str) -> list[EventType]:
    """Events that end a request, so that the next one starts clean."""
    return [SlotSet(name, None) for name in (*REQUEST_SLOTS, *also)]


def problem(name: str, detail: object = None, **slots: Any) -> Slots:
    """Slots that make the next question say why the last answer could not be taken."""
    return {"problem": name, "problem_detail": None if detail is None else str(detail), **slots}


def order_in_question(tracker: Tracker) -> str | None:
    """The order named in this message, else the one that the conversation is about."""
    named: str | None = next(tracker.get_latest_entity_values("order_id"), None) or tracker.get_slot("order_id")
    return named


def ask_which_order(
    dispatcher: CollectingDispatcher, tracker: Tracker, task: str, order_id: str | None, why: Slots | None = None
) -> list[EventType]:
    """Events that start the order form for ``task``. An open after-sales form is not thrown away for a question."""
    if tracker.active_loop_name == "after_sales_form":
        dispatcher.utter_message(response="utter_one_at_a_time")
        return []
    return _order_form(
        {"order_task": task, "order_id": order_id, "phone_tail": None, "to_confirm": None, **(why or {})}
    )


def ask_to_confirm(task: str, order_id: str, subject: str) -> list[EventType]:
    """Events that ask for a yes before ``task`` writes; ``subject`` is the order or the ticket that would change."""
    return _order_form({"order_task": task, "order_id": order_id, "to_confirm": subject, "request_key": None})


def _order_form(slots: Slots) -> list[EventType]:
    slots = {**slots, "confirm": None}
    return [*(SlotSet(name, value) for name, value in slots.items()), FollowupAction("order_form")]


class OrderChoiceForm(FormValidationAction, ABC):
    """Validation of ``order_id`` and ``phone_tail``; a form about an order derives from it."""

    order_dependent: ClassVar[Slots] = {}
    """Slots that fall when another order is chosen."""

    @abstractmethod
    def name(self) -> str:
        """``validate_<form>``; rasa-sdk leaves out abstract actions when it registers them."""

    async def accept(self, order: Order, tracker: Tracker) -> Slots:
        """Slots that follow from an order which is known to be the sender's; a form may refuse the order here."""
        return {"order_id": order.id, "phone_tail": PROVED, "problem": None, "problem_detail": None}

    async def validate_order_id(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        dropped = {"order_id": None, "phone_tail": None, **self.order_dependent}
        if not isinstance(value, str) or not value.strip():
            return dropped
        order_id = value.strip().upper()
        mall, tail = await get_mall(), tracker.get_slot("phone_tail")
        try:
            try:
                order = await mall.order(tracker.sender_id, order_id)
            except OwnershipRequired:
                if not tail or tail == PROVED:
                    unproved = {"order_id": order_id, "phone_tail": None, "problem": None, "problem_detail": None}
                    return {**dropped, **unproved}
                order = await mall.prove_ownership(tracker.sender_id, order_id, tail)
        except OrderNotFound:
            return {**dropped, **problem("order_not_found", order_id)}
        except WrongPhoneTail as error:
            return {**dropped, **problem("wrong_phone_tail", error.tries_left, order_id=order_id)}
        except OrderLocked as error:
            return {**dropped, **problem("order_locked", f"{order_id}|{minute(error.until)}")}
        return {**dropped, **await self.accept(order, tracker)}

    async def validate_phone_tail(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        order_id = tracker.get_slot("order_id")
        if value == PROVED or not isinstance(value, str) or not order_id:
            return {"phone_tail": value if value == PROVED else None}
        return await self.validate_order_id(order_id, dispatcher, tracker, domain)

    async def extract_confirm(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> Slots:
        """A yes or no that was too short to be sure of is sure enough as the answer to a yes-or-no question."""
        if tracker.get_slot("requested_slot") != "confirm" or tracker.get_slot("confirm") is not None:
            return {}
        if tracker.get_intent_of_latest_message(skip_fallback_intent=False) == tracker.get_slot("order_task"):
            return {"confirm": True}  # "取消吧" is a yes to "要取消吗"
        ranking = {guess["name"]: guess["confidence"] for guess in tracker.latest_message["intent_ranking"]}
        yes, no = ranking.get("affirm", 0), ranking.get("deny", 0)
        unsure = tracker.get_intent_of_latest_message(skip_fallback_intent=False) == "nlu_fallback"
        return {"confirm": yes > no} if unsure and max(yes, no) > LIKELY else {}

    async def extra_slots(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> Slots:
        """What else must be known once this turn's answers are in."""
        return {}

    async def get_validation_events(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> list[EventType]:
        """Adds the idempotency key when the form opens, and ``extra_slots`` whenever an answer came in.

        A turn without an answer adds nothing: the form then rejects itself and the digression gets its own answer.
        """
        events: list[EventType] = await super().get_validation_events(dispatcher, tracker, domain)
        if not tracker.get_slot("request_key"):
            events.append(SlotSet("request_key", uuid4().hex))
        if events:
            tracker.add_slots(events)
            events += [SlotSet(*pair) for pair in (await self.extra_slots(dispatcher, tracker, domain)).items()]
        return events


class ValidateOrderForm(OrderChoiceForm):
    """``order_form``: find out which order a question is about, or have a cancellation confirmed."""

    order_dependent: ClassVar[Slots] = {"to_confirm": None, "confirm": None}

    def name(self) -> str:
        return "validate_order_form"

    async def required_slots(
        self, domain_slots: list[str], dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> list[str]:
        return ["confirm"] if tracker.get_slot("to_confirm") else ["order_id", "phone_tail"]

    async def validate_confirm(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        return {"confirm": value}


class AskOrderId(Action):
    def name(self) -> str:
        return "action_ask_order_id"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        trouble, detail = tracker.get_slot("problem"), tracker.get_slot("problem_detail") or ""
        buttons = await self._own_orders(tracker)
        if trouble in ("order_locked", "order_has_ticket"):
            order_id, _, detail = detail.partition("|")
            dispatcher.utter_message(response=f"utter_{trouble}", order_id=order_id, detail=detail)
        elif trouble == "order_not_found":
            dispatcher.utter_message(response="utter_order_not_found", detail=detail, buttons=buttons)
        elif buttons:
            dispatcher.utter_message(response="utter_ask_order_id_choose", buttons=buttons)
        else:
            dispatcher.utter_message(response="utter_ask_order_id")
        return []

    @staticmethod
    async def _own_orders(tracker: Tracker) -> list[dict[str, str]]:
        orders = await (await get_mall()).orders_of(tracker.sender_id, limit=4)
        return [
            {"title": f"{order.id} {goods(order.lines)}", "payload": f'/inform{{"order_id": "{order.id}"}}'}
            for order in orders
        ]


class AskPhoneTail(Action):
    def name(self) -> str:
        return "action_ask_phone_tail"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        wrong = tracker.get_slot("problem") == "wrong_phone_tail"
        dispatcher.utter_message(
            response="utter_wrong_phone_tail" if wrong else "utter_ask_phone_tail",
            order_id=tracker.get_slot("order_id"),
            detail=tracker.get_slot("problem_detail"),
        )
        return []
