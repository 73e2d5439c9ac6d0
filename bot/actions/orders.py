"""Where an order stands, where its parcel is, and cancelling it before it is shipped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.order_choice import ask_to_confirm, ask_which_order, forget_request, order_in_question, problem
from bot.actions.wording import Domain, day, goods, minute, word, yuan
from mall_adapter import (
    InvalidTransition,
    Order,
    OrderLocked,
    OrderNotFound,
    OrderStatus,
    OwnershipRequired,
    Shipment,
)

SHOWN_AT_ONCE = 3
FINISHED = (OrderStatus.COMPLETED, OrderStatus.CANCELLED)
BEFORE_SHIPPING = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE)
TRACK_EVENTS_SHOWN = 4


def say_order(dispatcher: CollectingDispatcher, domain: Domain, order: Order) -> None:
    parcel = order.shipments[-1] if order.shipments else None
    name = order.status.value
    if order.status is OrderStatus.SHIPPED and parcel:
        name = {"delayed": "late", "lost": "lost"}.get(parcel.status, name)
    dispatcher.utter_message(
        response=f"utter_order_{name}",
        order_id=order.id,
        goods=goods(order.lines),
        ships_by=day(order.ships_by) or word(domain, "soon"),
        delivered_at=day(order.delivered_at),
        carrier=parcel.carrier if parcel else "",
        tracking_number=parcel.tracking_number if parcel else "",
        latest=latest_event(domain, parcel),
        promised_by=day(parcel.promised_by) if parcel else None,
    )


def latest_event(domain: Domain, parcel: Shipment | None) -> str:
    if parcel is None or not parcel.events:
        return word(domain, "no_tracking")
    return f"{minute(parcel.events[-1].time)} {parcel.events[-1].text}"


def say_parcel(dispatcher: CollectingDispatcher, domain: Domain, order: Order) -> None:
    """The last events of every parcel, newest first; an order that is not on its way gets its status."""
    if order.status in BEFORE_SHIPPING and order.status is not OrderStatus.PENDING_PAYMENT:
        dispatcher.utter_message(
            response="utter_order_not_shipped_yet",
            order_id=order.id,
            goods=goods(order.lines),
            ships_by=day(order.ships_by) or word(domain, "soon"),
        )
        return
    if not order.shipments or any(parcel.status in ("delayed", "lost") for parcel in order.shipments):
        say_order(dispatcher, domain, order)
    for parcel in order.shipments:
        events = [f"{minute(event.time)} {event.text}" for event in reversed(parcel.events[-TRACK_EVENTS_SHOWN:])]
        dispatcher.utter_message(
            response="utter_parcel",
            order_id=order.id,
            carrier=parcel.carrier,
            tracking_number=parcel.tracking_number,
            track="\n".join(events) or word(domain, "no_tracking"),
        )


class OrderQuestion(Action, ABC):
    """A question about one order or, where none is named, about the sender's newest ones."""

    preface: str | None = None

    @property
    @abstractmethod
    def task(self) -> str:
        """The intent, and what the order form is told that it is for."""

    def name(self) -> str:
        return f"action_{self.task}"

    def say(self, dispatcher: CollectingDispatcher, domain: Domain, order: Order) -> None:
        say_order(dispatcher, domain, order)

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, order_id = await get_mall(), order_in_question(tracker)
        orders: Sequence[Order]
        try:
            if order_id:
                orders = [await mall.order(tracker.sender_id, order_id)]
            else:
                known = await mall.orders_of(tracker.sender_id, limit=SHOWN_AT_ONCE)
                orders = [order for order in known if order.status not in FINISHED] or known[:1]
        except OrderNotFound:
            return ask_which_order(dispatcher, tracker, self.task, None, problem("order_not_found", order_id))
        except (OwnershipRequired, OrderLocked):
            return ask_which_order(dispatcher, tracker, self.task, order_id)
        if not orders:
            return ask_which_order(dispatcher, tracker, self.task, None)
        if self.preface:
            dispatcher.utter_message(response=self.preface)
        for order in orders:
            self.say(dispatcher, domain, order)
        if tracker.active_loop_name:  # a question on the way: the open form keeps its own order
            return []
        return [*forget_request(), SlotSet("order_id", orders[0].id if len(orders) == 1 else None)]


class OrderStatusAction(OrderQuestion):
    task = "order_status"


class TrackParcel(OrderQuestion):
    task = "track_parcel"

    def say(self, dispatcher: CollectingDispatcher, domain: Domain, order: Order) -> None:
        say_parcel(dispatcher, domain, order)


class UrgeShipment(OrderQuestion):
    task = "urge_shipment"
    preface = "utter_urged"


class WorryDelivery(OrderQuestion):
    task = "worry_delivery"
    preface = "utter_worry"


class CancelOrder(Action):
    """First finds the order and has it confirmed (through ``order_form``), then cancels it."""

    def name(self) -> str:
        return "action_cancel_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        subject = tracker.get_slot("to_confirm")
        if tracker.get_slot("order_task") == "cancel_order" and subject:
            return await self._confirmed(dispatcher, tracker, domain, subject)
        mall, order_id = await get_mall(), order_in_question(tracker)
        if order_id is None:
            return ask_which_order(dispatcher, tracker, "cancel_order", None)
        try:
            order = await mall.order(tracker.sender_id, order_id)
        except OrderNotFound:
            return ask_which_order(dispatcher, tracker, "cancel_order", None, problem("order_not_found", order_id))
        except (OwnershipRequired, OrderLocked):
            return ask_which_order(dispatcher, tracker, "cancel_order", order_id)
        if order.status not in BEFORE_SHIPPING:
            return self._too_late(dispatcher, domain, order)
        return ask_to_confirm("cancel_order", order.id, order.id)

    async def _confirmed(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order_id: str
    ) -> list[EventType]:
        mall = await get_mall()
        if not tracker.get_slot("confirm"):
            order = await mall.order(tracker.sender_id, order_id)
            if order.status is OrderStatus.CANCELLED:  # by a yes whose turn was cut off
                say_order(dispatcher, domain, order)
            else:
                dispatcher.utter_message(response="utter_kept")
            return forget_request()
        try:
            order = await mall.cancel_order(tracker.sender_id, order_id, idempotency_key=tracker.slots["request_key"])
        except InvalidTransition:
            return self._too_late(dispatcher, domain, await mall.order(tracker.sender_id, order_id))
        dispatcher.utter_message(response="utter_order_cancel_done", order_id=order.id, money=yuan(order.total_cents))
        return forget_request()

    @staticmethod
    def _too_late(dispatcher: CollectingDispatcher, domain: Domain, order: Order) -> list[EventType]:
        status = word(domain, f"status_{order.status}")
        dispatcher.utter_message(response="utter_order_cancel_too_late", order_id=order.id, status=status)
        return forget_request()


class AskConfirmCancellation(Action):
    def name(self) -> str:
        return "action_ask_order_form_confirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, subject = await get_mall(), tracker.slots["to_confirm"]
        if tracker.slots["order_task"] == "cancel_ticket":
            ticket = await mall.ticket(tracker.sender_id, subject)
            dispatcher.utter_message(
                response="utter_ask_confirm_cancel_ticket",
                ticket_id=ticket.id,
                kind=word(domain, ticket.kind),
                goods=ticket.summary,
            )
        else:
            order = await mall.order(tracker.sender_id, subject)
            dispatcher.utter_message(
                response="utter_ask_confirm_cancel_order",
                order_id=order.id,
                goods=goods(order.lines),
                money=yuan(order.total_cents),
            )
        return []
