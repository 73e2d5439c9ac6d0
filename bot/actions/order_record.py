"""What an order says beside where it stands: what was paid, where it goes, who has taken it, who carries it, where it
was sent from, what was bought and when. It is asked by the words of bot/data/lookups/order_fact.yml.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.malls import get_mall
from bot.actions.orders import facts
from bot.actions.tickets import wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, line_title, minute, word, yuan
from mall_adapter.eligibility import open_to
from mall_adapter.values import Order, OrderStatus, Wish

FACT = "order_fact"
"""The entity, and what is kept at hand while it is asked which order is meant."""

LOOKED_BACK = 2
"""Messages before this one that may have asked, where this one only names the order."""


def facts_asked(tracker: Tracker, turn: Turn) -> Sequence[str]:
    """What the message asks of an order; where it does no more than name the order that was asked for, what the message
    before it asked."""
    if found := [fact for fact in dict.fromkeys(map(str, turn.entities.get(FACT, ()))) if fact in _TOLD]:
        return found  # a payload that somebody typed may hold anything
    if turn.asks or not (waiting := Focus(tracker).at_hand(FACT)):
        return []
    asked = any(waiting.split()[0] in one.entities.get(FACT, ()) for one in islice(Turn.earlier(tracker), LOOKED_BACK))
    return waiting.split() if asked else []


async def say_record(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order, asked: Sequence[str]
) -> None:
    """Each of ``asked`` in a message of its own."""
    values = facts(tracker, domain, order)
    for fact in asked:
        told = await _TOLD[fact](tracker, domain, order)
        dispatcher.utter_message(**{**values, **told})


async def _paid(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    """Each of the goods at its price; what was taken off the sum of them, where something was."""
    line = word(tracker, domain, "record_price")
    prices = [line.format(goods=line_title(one), price=yuan(one.unit_price_cents)) for one in order.lines]
    off = sum(one.unit_price_cents * one.quantity for one in order.lines) - order.total_cents
    if order.status is OrderStatus.PENDING_PAYMENT:
        return {"response": "utter_record_unpaid", "prices": "\n".join(prices)}
    response = "utter_record_paid_less" if off > 0 else "utter_record_paid"
    return {"response": response, "prices": "\n".join(prices), "off": yuan(max(off, 0))}


async def _address(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    """In full only for who is bound or has named the whole phone; the phone is masked for everybody."""
    delivery = await (await get_mall()).delivery_of(tracker.sender_id, order.id)
    if delivery is None:
        buttons = [wish_button(tracker, domain, "bind_account")]
        return {"response": "utter_record_address_hidden", "buttons": buttons}
    change = open_to(order, Wish.CHANGE_DELIVERY)
    return {
        "response": "utter_record_address_open" if change else "utter_record_address",
        "recipient": delivery.recipient_name,
        "phone": f"{delivery.phone[:3]}****{delivery.phone[-4:]}",
        "address": delivery.address,
        "buttons": [wish_button(tracker, domain, "change_address", order_id=order.id)] if change else [],
    }


async def _signed(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    """The last event of each parcel that has come."""
    last = [
        f"{minute(tracker, parcel.events[-1].time)} {parcel.events[-1].text}"
        for parcel in order.shipments
        if parcel.delivered_at and parcel.events
    ]
    if last:
        return {"response": "utter_record_signed", "record": "\n".join(last)}
    if order.delivered_at:
        return {"response": "utter_record_handed_over"}
    return {"response": "utter_record_not_signed" if order.shipments else "utter_record_not_shipped"}


async def _carrier(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    line = word(tracker, domain, "record_carrier")
    parcels = [line.format(carrier=one.carrier, number=one.tracking_number) for one in order.shipments]
    if not parcels:
        return {"response": "utter_record_not_shipped"}
    return {"response": "utter_record_carrier", "parcels": "\n".join(parcels)}


async def _origin(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    """The first place after the shop's own word that the parcel was handed over."""
    first = [one.events[min(1, len(one.events) - 1)] for one in order.shipments if one.events]
    if not first:
        return {"response": "utter_record_not_shipped"}
    stops = [f"{minute(tracker, event.time)} {event.text}" for event in first]
    return {"response": "utter_record_origin", "record": "\n".join(stops)}


async def _items(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    line = word(tracker, domain, "record_item")
    items = [line.format(goods=line_title(one), count=one.quantity) for one in order.lines]
    return {"response": "utter_record_items", "items": "\n".join(items)}


async def _placed(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    return {"response": "utter_record_placed", "moment": minute(tracker, order.placed_at)}


_TOLD = {
    "paid": _paid,
    "address": _address,
    "signed": _signed,
    "carrier": _carrier,
    "origin": _origin,
    "items": _items,
    "placed": _placed,
}
