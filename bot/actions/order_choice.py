"""Which order is meant, and is it the customer's: the part that every form about an order shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.forms import Form, Slots, form_opened_by
from bot.actions.malls import get_mall
from bot.actions.turn import Turn
from bot.actions.wording import Domain, goods, minute, title
from mall_adapter import Order, OrderLocked, OrderNotFound, OwnershipRequired, Wish, WrongPhoneTail, open_to

PROVED = "proved"
"""Kept in ``phone_tail`` instead of the digits once the order is known to be the sender's."""

CHOICES = 4
"""Orders that are offered as buttons."""

SEARCHED = 20
"""Newest orders among which the one is looked for that is meant without a number."""

Listed = list[dict[str, str]]
"""What was last shown to choose from: ``{"kind": "order" | "line" | "product" | "ticket", "id", "title"}``."""


def chosen(turn: Turn, listed: Listed, kind: str) -> str | None:
    """The id that ``第二个``, ``2`` or a part of a title means among what was listed; None when that is not clear."""
    choices = [choice for choice in listed if choice["kind"] == kind]
    if turn.first("ordinal") and choices:
        return next((choice["id"] for choice in turn.pointed_at(choices)), None)
    if (digits := turn.text.strip()).isdecimal() and len(digits) == 1 and choices:
        return choices[int(digits) - 1]["id"] if 0 < int(digits) <= len(choices) else None
    pairs = {a + b for a, b in pairwise(turn.text) if a.isalnum() and b.isalnum()}
    scores = sorted(
        ((sum(pair in choice["title"] for pair in pairs), choice["id"]) for choice in choices), reverse=True
    )
    if not scores or scores[0][0] == 0 or (len(scores) > 1 and scores[0][0] == scores[1][0]):
        return None
    return scores[0][1]


def problem(name: str, detail: object = None) -> Slots:
    """Why the last answer could not be taken; the next question says it."""
    return {"problem": {"name": name, "detail": "" if detail is None else str(detail)}}


class OrderForm(Form):
    """A form about one order of the sender: finds it, proposes it, has its owner proved."""

    wish: ClassVar[Wish | None] = None
    """What is to be done to the order: only orders that are open to it are proposed."""
    holds: ClassVar[tuple[str, ...]] = ("phone_tail", "proposal")
    of_order: ClassVar[tuple[str, ...]] = ()
    """Slots that fall when another order is chosen."""

    async def accept(self, order: Order, slots: Slots, tracker: Tracker) -> None:
        """Takes over what follows from an order that is known to be the sender's; may refuse it (see ``problem``)."""

    def mentions(self, turn: Turn, slots: Slots) -> Slots:
        found: Slots = {}
        if order_id := turn.first("order_id"):
            found["order_id"] = order_id
        if (tail := turn.first("phone_tail")) and slots.get("phone_tail") != PROVED:
            found["phone_tail"] = tail
        return found

    def answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        if asked == "order_id":
            if order_id := turn.first("order_id") or chosen(turn, slots.get("listed") or [], "order"):
                return {"order_id": order_id}
            meant = False if turn.intent == "correct" else turn.yes  # "不是这单"
            if slots.get("proposal") and meant is not None:
                return {"order_id": slots["proposal"]} if meant else {"proposal": None}
        if asked == "phone_tail" and (tail := turn.first("phone_tail")):
            return {"phone_tail": tail}
        return {}

    async def begin(self, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        """Proposes the order when only one of the sender's is open to the wish, or fits the goods that were named."""
        if slots.get("order_id") or slots.get("problem") or self.wish is None:
            return
        orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
        fitting = [order for order in orders if open_to(order, self.wish)]
        shown: Listed = [{"kind": "order", "id": order.id, "title": goods(order.lines)} for order in fitting]
        named = chosen(turn, shown, "order")
        if named or len(fitting) == 1:
            slots["proposal"] = named or fitting[0].id

    async def settle(self, found: Slots, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        order_id, tail = found.pop("order_id", None), found.pop("phone_tail", None)
        slots.update(found)
        another = order_id is not None and order_id != slots.get("order_id")
        if another:
            slots.update(dict.fromkeys(("phone_tail", "proposal", "confirm", "change", *self.of_order)))
        order_id = order_id or slots.get("order_id")
        if order_id and (another or slots.get("phone_tail") != PROVED):
            await self._choose(str(order_id).strip().upper(), tail, slots, tracker)

    async def _choose(self, order_id: str, tail: str | None, slots: Slots, tracker: Tracker) -> None:
        mall = await get_mall()
        slots.update(order_id=None, phone_tail=None, problem=None)
        try:
            try:
                order = await mall.order(tracker.sender_id, order_id)
            except OwnershipRequired:
                if not tail:
                    slots["order_id"] = order_id
                    return
                order = await mall.prove_ownership(tracker.sender_id, order_id, tail)
        except OrderNotFound:
            slots.update(problem("order_not_found", order_id))
        except WrongPhoneTail as error:
            slots.update(problem("wrong_phone_tail", error.tries_left), order_id=order_id)
        except OrderLocked as error:
            slots.update(problem("order_locked", f"{order_id}|{minute(tracker, error.until)}"))
        else:
            slots.update(order_id=order.id, phone_tail=PROVED)
            await self.accept(order, slots, tracker)

    def reopen(self, changed: str, slots: Slots) -> None:
        super().reopen(changed, slots)
        if changed == "order_id":
            slots.update(dict.fromkeys(("phone_tail", "proposal", *self.of_order)))


class AskOrderId(Action):
    def name(self) -> str:
        return "action_ask_order_id"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        trouble: dict[str, str] = tracker.get_slot("problem") or {}
        mall = await get_mall()
        if proposal := tracker.get_slot("proposal"):
            order = await mall.order(tracker.sender_id, proposal)
            dispatcher.utter_message(
                response="utter_ask_order_id_propose",
                wish=title(tracker, domain, tracker.slots["flow_intent"]),
                order_id=order.id,
                goods=goods(order.lines),
            )
            return []
        orders = await self._open_orders(tracker)
        buttons = [
            {"title": f"{order.id} {goods(order.lines)}", "payload": f'/inform{{"order_id": "{order.id}"}}'}
            for order in orders
        ]
        name, (order_id, _, detail) = trouble.get("name"), trouble.get("detail", "").partition("|")
        if name == "order_not_found":
            dispatcher.utter_message(response="utter_order_not_found", detail=order_id, buttons=buttons)
        elif name:
            dispatcher.utter_message(response=f"utter_{name}", order_id=order_id, detail=detail, buttons=buttons)
        else:
            asking = "utter_ask_order_id_choose" if buttons else "utter_ask_order_id"
            dispatcher.utter_message(response=asking, buttons=buttons)
        return [SlotSet("listed", [{"kind": "order", "id": o.id, "title": goods(o.lines)} for o in orders])]

    @staticmethod
    async def _open_orders(tracker: Tracker) -> Sequence[Order]:
        """The sender's newest orders, those first that are open to what is wanted."""
        form = form_opened_by(tracker.get_slot("flow_intent") or "")
        wish: Any = getattr(form, "wish", None)
        orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
        return [order for order in orders if wish is None or open_to(order, wish)][:CHOICES]


class AskPhoneTail(Action):
    def name(self) -> str:
        return "action_ask_phone_tail"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        trouble: dict[str, str] = tracker.get_slot("problem") or {}
        wrong = trouble.get("name") == "wrong_phone_tail"
        dispatcher.utter_message(
            response="utter_wrong_phone_tail" if wrong else "utter_ask_phone_tail",
            order_id=tracker.get_slot("order_id"),
            detail=trouble.get("detail"),
        )
        return []
