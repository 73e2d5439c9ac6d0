"""Where an order stands, and where its parcel is."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar

from rasa_sdk import Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.order_lookup import OrderQuestion
from bot.actions.wording import Domain, day, goods, minute, word
from mall_adapter import Order, OrderStatus, Shipment

SHOWN_AT_ONCE = 3
FINISHED = (OrderStatus.COMPLETED, OrderStatus.CANCELLED)
TO_BE_SHIPPED = (OrderStatus.PAID, OrderStatus.PRESALE)
TRACK_EVENTS_SHOWN = 4


def say_order(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order) -> None:
    parcel = order.shipments[-1] if order.shipments else None
    name = order.status.value
    if order.status is OrderStatus.SHIPPED and parcel:
        name = {"delayed": "late", "lost": "lost"}.get(parcel.status, name)
    dispatcher.utter_message(
        response=f"utter_order_{name}",
        order_id=order.id,
        goods=goods(order.lines),
        ships_by=day(tracker, order.ships_by) or word(tracker, domain, "soon"),
        delivered_at=day(tracker, order.delivered_at),
        carrier=parcel.carrier if parcel else "",
        tracking_number=parcel.tracking_number if parcel else "",
        latest=latest_event(tracker, domain, parcel),
        promised_by=day(tracker, parcel.promised_by) if parcel else None,
    )


def latest_event(tracker: Tracker, domain: Domain, parcel: Shipment | None) -> str:
    if parcel is None or not parcel.events:
        return word(tracker, domain, "no_tracking")
    return f"{minute(tracker, parcel.events[-1].time)} {parcel.events[-1].text}"


def say_parcel(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order) -> None:
    """The last events of every parcel, newest first; an order that is not on its way gets its status."""
    if order.status in TO_BE_SHIPPED:
        dispatcher.utter_message(
            response="utter_order_not_shipped_yet",
            order_id=order.id,
            goods=goods(order.lines),
            ships_by=day(tracker, order.ships_by) or word(tracker, domain, "soon"),
        )
        return
    if not order.shipments or any(parcel.status in ("delayed", "lost") for parcel in order.shipments):
        say_order(dispatcher, tracker, domain, order)
    for parcel in order.shipments:
        shown = reversed(parcel.events[-TRACK_EVENTS_SHOWN:])
        events = [f"{minute(tracker, event.time)} {event.text}" for event in shown]
        dispatcher.utter_message(
            response="utter_parcel",
            order_id=order.id,
            carrier=parcel.carrier,
            tracking_number=parcel.tracking_number,
            track="\n".join(events) or word(tracker, domain, "no_tracking"),
        )


class AboutOrders(OrderQuestion, ABC):
    """A question about one order or, where none is named, about the sender's newest ones."""

    preface: ClassVar[str | None] = None

    def say(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order) -> None:
        say_order(dispatcher, tracker, domain, order)

    async def tell(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order_id: str | None
    ) -> list[EventType] | None:
        mall = await get_mall()
        orders: Sequence[Order]
        if order_id:
            orders = [await mall.order(tracker.sender_id, order_id)]
        else:
            known = await mall.orders_of(tracker.sender_id, limit=SHOWN_AT_ONCE)
            orders = [order for order in known if order.status not in FINISHED] or known[:1]
        if not orders:
            return None
        if self.preface:
            dispatcher.utter_message(response=self.preface)
        for order in orders:
            self.say(dispatcher, tracker, domain, order)
        if tracker.active_loop_name not in (None, "order_form"):  # on the way: the open request keeps its own order
            return []
        listed = [{"kind": "order", "id": order.id, "title": goods(order.lines)} for order in orders]
        return [SlotSet("listed", listed), SlotSet("order_id", orders[0].id if len(orders) == 1 else None)]


class OrderStatusAction(AboutOrders):
    task = "order_status"


class TrackParcel(AboutOrders):
    task = "track_parcel"

    def say(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order) -> None:
        say_parcel(dispatcher, tracker, domain, order)


class UrgeShipment(AboutOrders):
    task = "urge_shipment"
    preface = "utter_urged"
