"""Where an order stands, where its parcel is, and what can be done when it takes too long.

A bound customer's orders are found by themselves: the one that is named, described or talked of, else those that the
question is about. One is told in full, several in one list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.malls import get_mall
from bot.actions.money_back import when_back
from bot.actions.order_choice import (
    CHOICES,
    SEARCHED,
    as_choices,
    meant_by_words,
    missing,
    not_bought,
    order_buttons,
    order_meant,
    prove_if_told,
)
from bot.actions.tickets import say_ticket, ticket_values
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, goods, has_response, minute, word, yuan
from mall_adapter import (
    MallError,
    Order,
    OrderLocked,
    OrderNotFound,
    OrderStatus,
    OwnershipRequired,
    Shipment,
    Ticket,
    TicketStatus,
    WrongPhoneTail,
)

TO_BE_SHIPPED = frozenset({OrderStatus.PAID, OrderStatus.PRESALE})
FINISHED = frozenset({OrderStatus.DELIVERED, OrderStatus.COMPLETED, OrderStatus.CANCELLED})
TRACK_EVENTS_SHOWN = 4

PRESSING = ("lost", "late", "overdue", "out_for_delivery", "shipped", "paid", "presale", "pending_payment")
"""States of an order, those first that a customer has most reason to ask about."""


def state_of(order: Order, now: datetime) -> str:
    """Where an order stands, as the responses are called (``utter_order_<state>``): its status, but for what waits too
    long, is on its last way, or came without a parcel."""
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
    if parcel.status == "lost":
        return "lost"
    if parcel.status == "delayed" or (parcel.status != "delivered" and parcel.promised_by and parcel.promised_by < now):
        return "late"
    return "out_for_delivery" if parcel.status == "out_for_delivery" else "shipped"


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
    state = state_of(order, datetime.now(UTC))
    topics = (topic, "parcel", "order") if topic in ("urge", "worry") else (topic, "order")
    response = next(name for one in topics if has_response(domain, name := f"utter_{one}_{state}"))
    if told and has_response(domain, f"{response}_told"):
        response = f"{response}_told"
    dispatcher.utter_message(response=response, **facts(tracker, domain, order))


def facts(tracker: Tracker, domain: Domain, order: Order) -> dict[str, Any]:
    """What the responses about an order may tell."""
    now = datetime.now(UTC)
    parcel, soon = parcel_of(order, now), word(tracker, domain, "soon")
    late = now - parcel.promised_by if parcel and parcel.promised_by else None
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


class AboutOrders(Action, ABC):
    """A question about one order or several; runs again when it lacked an order and the customer has named it."""

    intent: ClassVar[str]
    topic: ClassVar[str]

    def name(self) -> str:
        return f"action_{self.intent}"

    @abstractmethod
    def concerns(self, orders: Sequence[Order], now: datetime) -> Sequence[Order]:
        """Those of the customer's orders, newest first, that the question is about when none is named."""

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, turn = await get_mall(), Turn.of(tracker)
        known = await mall.orders_of(tracker.sender_id, limit=SEARCHED)
        named = [] if turn.first("order_id") else meant_by_words(turn, known)
        if not named and (strange := not_bought(turn, known)):
            self._say_none_of(dispatcher, known, strange)
            return Focus(tracker).on_list(as_choices(known[:CHOICES], tracker, domain)).events()
        order_id = named[0].id if len(named) == 1 else order_meant(tracker, turn)
        if order_id and len(named) < 2:
            try:
                await prove_if_told(tracker, order_id, turn)
                order = await mall.order(tracker.sender_id, order_id)
            except (OrderNotFound, OwnershipRequired, OrderLocked, WrongPhoneTail) as error:
                return missing(tracker, error, order_id)
            return await self._tell_one(dispatcher, tracker, domain, order)
        if not known:
            if await mall.customer_of(tracker.sender_id) is None:
                return missing(tracker, None, None)
            dispatcher.utter_message(response="utter_no_orders")
            return []
        now = datetime.now(UTC)
        meant = self.concerns(named, now) or named or self.concerns(known, now) or known[:1]
        return await self._tell(dispatcher, tracker, domain, meant, now)

    def _say_none_of(self, dispatcher: CollectingDispatcher, known: Sequence[Order], goods_named: str) -> None:
        """No order has what is named: the newest ones are shown, and none is taken for it."""
        shown = known[:CHOICES]
        titles = "\n".join(f"{place}. {goods(order.lines)}" for place, order in enumerate(shown, 1))
        buttons = order_buttons(shown, self.intent)
        dispatcher.utter_message(response="utter_no_order_of", name=goods_named, orders=titles, buttons=buttons)

    async def _tell(
        self,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: Domain,
        orders: Sequence[Order],
        now: datetime,
    ) -> list[EventType]:
        """Several as a list. Where such a list was just shown: which of them, and after that the one that presses
        most."""
        focus, shown = Focus(tracker), orders[:CHOICES]
        again = focus.shows(shown)
        if len(orders) == 1 or (again and focus.at_hand("which")):
            return await self._tell_one(dispatcher, tracker, domain, most_pressing(orders, now))
        if again:
            dispatcher.utter_message(response="utter_which_order", buttons=order_buttons(shown, self.intent))
            return focus.on("order", None).on("which", self.intent).on_list(as_choices(shown, tracker, domain)).events()
        tickets = [None if order.delivered_at else await ticket_instead(tracker, order) for order in shown]
        lines = [
            self._line(tracker, domain, order, place, now, ticket)
            for place, (order, ticket) in enumerate(zip(shown, tickets, strict=True), 1)
        ]
        if more := len(orders) - len(shown):
            lines.append(word(tracker, domain, "more_orders").format(count=more))
        dispatcher.utter_message(
            response=f"utter_{self.topic}_listed",
            orders="\n".join(lines),
            count=len(orders),
            buttons=order_buttons(shown, self.intent),
        )
        return focus.on("order", None).on("which", None).on_list(as_choices(shown, tracker, domain)).events()

    async def _tell_one(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order
    ) -> list[EventType]:
        focus = Focus(tracker)
        just_made = focus.written.get("flow") == "after_sales" and focus.written.get("order") == order.id
        instead = order.delivered_at is None or just_made  # "新的什么时候到" is no question about the first parcel
        if instead and (ticket := await ticket_instead(tracker, order)):
            await say_ticket(dispatcher, tracker, domain, ticket, focus)
            return focus.on("order", order.id).on("ticket", ticket.id).events()
        if instead:
            order = await say_part_taken_out(dispatcher, tracker, domain, order)
        say_order(dispatcher, tracker, domain, order, self.topic, told=focus.at_hand("told") == order.id)
        return focus.on("order", order.id).on("told", order.id).events()

    @staticmethod
    def _line(tracker: Tracker, domain: Domain, order: Order, place: int, now: datetime, ticket: Ticket | None) -> str:
        if ticket:
            told = ticket_values(tracker, domain, ticket)
            what = word(tracker, domain, "line_with_ticket").format(kind=told["kind"], stand=told["stand"])
        else:
            what = word(tracker, domain, f"line_{state_of(order, now)}").format_map(facts(tracker, domain, order))
        return word(tracker, domain, "listed_order").format(place=place, goods=goods(order.lines), state=what)


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


def most_pressing(orders: Sequence[Order], now: datetime) -> Order:
    """Of orders that come newest first; of two that press alike, the newer."""
    return min(orders, key=lambda order: _pressure(order, now))


def _pressure(order: Order, now: datetime) -> int:
    state = state_of(order, now)
    return PRESSING.index(state) if state in PRESSING else len(PRESSING)


def _in(statuses: Collection[OrderStatus], orders: Sequence[Order]) -> list[Order]:
    return [order for order in orders if order.status in statuses]


def on_their_way(orders: Sequence[Order], now: datetime) -> list[Order]:
    """Late and lost parcels first; where nothing travels, what is still to be shipped."""
    shipped = _in({OrderStatus.SHIPPED}, orders)
    late = [order for order in shipped if state_of(order, now) in ("late", "lost")]
    return [*late, *(order for order in shipped if order not in late)] or _in(TO_BE_SHIPPED, orders)


class OrderStatusAction(AboutOrders):
    intent, topic = "order_status", "order"

    def concerns(self, orders: Sequence[Order], now: datetime) -> Sequence[Order]:
        return [order for order in orders if order.status not in FINISHED]


class UrgeShipment(AboutOrders):
    intent, topic = "urge_shipment", "urge"

    def concerns(self, orders: Sequence[Order], now: datetime) -> Sequence[Order]:
        return _in({*TO_BE_SHIPPED, OrderStatus.SHIPPED}, orders)
