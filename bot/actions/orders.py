"""How an order is told: where it stands, where its parcel is, what became of those of its goods that have a ticket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.money_back import when_back
from bot.actions.tickets import ticket_values
from bot.actions.wording import Domain, day, goods, has_response, minute, word, yuan
from mall_adapter.errors import MallError
from mall_adapter.values import Order, OrderStatus, ParcelStatus, Shipment, Ticket, TicketStatus

TO_BE_SHIPPED = frozenset({OrderStatus.PAID, OrderStatus.PRESALE})
TRACK_EVENTS_SHOWN = 4

PRESSING = ("lost", "late", "overdue", "delayed", "out_for_delivery", "shipped", "paid", "presale", "pending_payment")
"""States of an order, those first that a customer has most reason to ask about."""

NEEDS_A_WORD = frozenset({"lost", "late", "overdue"})
"""States in which a customer may do something now: of an order in parts, more is said of such a part."""


def parts_of(order: Order) -> Sequence[Order]:
    """The order as one for each of its parcels, and one for what has still to leave by some day; itself where nobody
    wrote down what its parcels hold."""
    if not order.shipments or not all(parcel.lines for parcel in order.shipments):
        return [order]
    lines, under_way = {line.id: line for line in order.lines}, order.status in {*TO_BE_SHIPPED, OrderStatus.SHIPPED}
    parts = []
    for parcel in order.shipments:
        held = tuple(replace(lines[one], quantity=count) for one, count in parcel.lines.items() if one in lines)
        if held:  # what is settled by a ticket may have been taken out
            arrived = OrderStatus.DELIVERED if parcel.delivered_at else OrderStatus.SHIPPED
            status = arrived if under_way else order.status
            part = replace(order, lines=held, shipments=(parcel,), status=status, delivered_at=parcel.delivered_at)
            parts.append(part)
    rest = [replace(line, quantity=line.unsent) for line in order.lines if line.unsent]
    for ships_by in dict.fromkeys(line.ships_by or order.ships_by for line in rest):  # presales have their own
        waits = tuple(line for line in rest if (line.ships_by or order.ships_by) == ships_by)
        parts.append(replace(order, lines=waits, shipments=(), ships_by=ships_by))
    return parts or [order]


def state_of(order: Order, now: datetime) -> str:
    """Where an order stands, as the responses are called (``utter_order_<state>``): its status, but for what waits too
    long, is on its last way, or came without a parcel. Of one in parts, that of the part that presses most."""
    return min((_state_of(part, now) for part in parts_of(order)), key=pressure)


OUT_OF_HAND = frozenset({"lost", "late", "overdue"})
"""States of an order that are reason enough to be upset."""


def pressure(state: str) -> int:
    """The less, the more reason there is to ask about it."""
    return PRESSING.index(state) if state in PRESSING else len(PRESSING)


def _state_of(order: Order, now: datetime) -> str:
    if order.status in TO_BE_SHIPPED and order.ships_by and order.ships_by < now:
        return "overdue"
    parcel = parcel_of(order, now)
    if order.status is OrderStatus.SHIPPED and parcel:
        return parcel_state(parcel, now)
    if order.status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED) and parcel is None:
        return "handed_over"
    return order.status.value


def parcel_state(parcel: Shipment, now: datetime) -> str:
    """A parcel counts as late when the rules for refunds say so: after the promised time."""
    if parcel.status == ParcelStatus.LOST:
        return "lost"
    late = parcel.status != ParcelStatus.DELIVERED and parcel.promised_by is not None and parcel.promised_by < now
    if parcel.status == ParcelStatus.DELAYED or late:
        return "delayed" if not late and _expected(parcel, now) else "late"
    return "out_for_delivery" if parcel.status == "out_for_delivery" else "shipped"


def _expected(parcel: Shipment, now: datetime) -> datetime | None:
    """The carrier's own date, while it lies ahead."""
    return parcel.expected_by if parcel.expected_by and parcel.expected_by > now else None


def parcel_of(order: Order, now: datetime) -> Shipment | None:
    """The parcel that is worth telling of: a lost one before a late one, one on its way before one that arrived."""
    ranked = sorted(
        order.shipments,
        key=lambda parcel: (parcel.status == "delivered", PRESSING.index(parcel_state(parcel, now))),
    )
    return ranked[0] if ranked else None


def say_order(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    order: Order,
    topic: str = "order",
    told: bool = False,
) -> None:
    """Everything about one order in one message, as seen from ``topic``: order, parcel, urge or worry. Where it was
    ``told`` already, other facts of it; asked once more, the next variant of the response."""
    now, parts = datetime.now(UTC), parts_of(order)
    if len(parts) > 1:
        _say_parts(dispatcher, tracker, domain, order, parts, topic)
    order = min(parts, key=lambda part: pressure(state_of(part, now)))
    state = state_of(order, now)
    if len(parts) > 1 and state not in NEEDS_A_WORD:
        return
    topics = (topic, "parcel", "order") if topic in ("urge", "worry") else (topic, "order")
    response = next(name for one in topics if has_response(domain, name := f"utter_{one}_{state}"))
    if told and has_response(domain, f"{response}_told"):
        response = f"{response}_told"
    dispatcher.utter_message(response=response, **facts(tracker, domain, order))


def _say_parts(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    order: Order,
    parts: Sequence[Order],
    topic: str,
) -> None:
    """What is in each parcel and where it is, and what has not left yet."""
    now, lines = datetime.now(UTC), []
    for place, part in enumerate(parts, 1):
        told = facts(tracker, domain, part)
        state = word(tracker, domain, f"line_{state_of(part, now)}").format_map(told)
        name = word(tracker, domain, "part_parcel" if part.shipments else "part_unsent")
        count = sum(line.quantity for line in part.lines)
        lines.append(name.format_map({**told, "place": place, "count": count, "state": state}))
    response = "utter_order_in_parts" if topic == "order" else "utter_parcel_in_parts"
    dispatcher.utter_message(response=response, parts="\n".join(lines), **facts(tracker, domain, order))


def parts_in_a_line(tracker: Tracker, domain: Domain, parts: Sequence[Order], now: datetime) -> str:
    """Of an order in parts, how many of them are how far: for a list of orders."""
    counts = Counter[str]()
    for part in parts:
        state = state_of(part, now)
        if part.shipments:
            counts[state if state in ("lost", "late", "delivered") else "travelling"] += 1
        else:
            counts["unsent"] += sum(line.quantity for line in part.lines)
    words = [word(tracker, domain, f"parts_{name}").format(count=count) for name, count in counts.items()]
    return word(tracker, domain, "line_in_parts").format(parts="、".join(words))


def facts(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    """What the responses about an order may tell."""
    now = datetime.now(UTC)
    parcel, soon = parcel_of(order, now), word(tracker, domain, "soon")
    late = now - parcel.promised_by if parcel and parcel.promised_by else None
    expected = _expected(parcel, now) if parcel else None
    return {
        "order_id": order.id,
        "goods": goods(order.lines),
        "money": yuan(order.total_cents),
        "placed_at": day(tracker, order.placed_at),
        "ships_by": day(tracker, order.ships_by) or soon,
        "delivered_at": day(tracker, order.delivered_at) or soon,
        "carrier": parcel.carrier if parcel else "",
        "tracking_number": parcel.tracking_number if parcel else "",
        "shipped_at": (day(tracker, parcel.shipped_at) if parcel else None) or soon,
        "promised_by": (day(tracker, parcel.promised_by) if parcel else None) or soon,
        "expected_by": day(tracker, expected) or soon,
        "new_date": (
            word(tracker, domain, "new_date").format(day=day(tracker, expected))
            if expected
            else word(tracker, domain, "no_new_date")
        ),
        "late_days": max(1, late.days) if late else 1,
        "when_back": when_back(tracker, domain, order) if order.status is OrderStatus.CANCELLED else "",
        "latest": latest_event(tracker, domain, parcel),
        "track": track(tracker, domain, order),
    }


def latest_event(tracker: Tracker, domain: Domain, parcel: Shipment | None) -> str:
    if parcel is None or not parcel.events:
        return word(tracker, domain, "no_tracking")
    return f"{minute(tracker, parcel.events[-1].time)} {parcel.events[-1].text}"


def track(tracker: Tracker, domain: Domain, order: Order) -> str:
    """The last events of every parcel, newest first."""
    lines: list[str] = []
    for parcel in order.shipments:
        if len(order.shipments) > 1:
            lines.append(f"{parcel.carrier} {parcel.tracking_number}")
        shown = reversed(parcel.events[-TRACK_EVENTS_SHOWN:])
        lines += [f"{minute(tracker, event.time)} {event.text}" for event in shown]
    return "\n".join(lines) or word(tracker, domain, "no_tracking")


async def cancelled_order(tracker: Tracker, order_id: str | None) -> Order | None:
    """The sender's order with this number, if it has been cancelled."""
    if order_id is None:
        return None
    try:
        order = await (await get_mall()).order(tracker.sender_id, order_id)
    except MallError:
        return None
    return order if order.status is OrderStatus.CANCELLED else None


async def ticket_instead(tracker: Tracker, order: Order) -> Ticket | None:
    """The ticket that says more of an order than its parcel, since all of it is for the sender to get back or has been
    paid back: nobody is offered a refund twice. None where part of it is still to come, or nothing is decided yet."""
    ids = {line.open_ticket_id for line in order.lines}
    if len(ids) != 1 or (ticket_id := ids.pop()) is None:
        return None
    ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
    return None if ticket.status is TicketStatus.OPEN else ticket


async def say_part_taken_out(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order) -> Order:
    """Of an order of which some lines have a ticket: says what becomes of these, and returns the rest of it."""
    rest = tuple(line for line in order.lines if line.open_ticket_id is None)
    if not rest or len(rest) == len(order.lines):
        return order
    for ticket_id in sorted({line.open_ticket_id for line in order.lines if line.open_ticket_id}):
        ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
        dispatcher.utter_message(response="utter_order_part_in_hand", **ticket_values(tracker, domain, ticket))
    return replace(order, lines=rest)
