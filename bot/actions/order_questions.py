"""Questions about orders: where they stand, when they are sent, and what else is asked of one.

A bound customer's orders are found by themselves: the one that is named, described or talked of, else those that the
question is about. One is told in full, several in one list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.conversation import Conversation
from bot.actions.focus import Focus
from bot.actions.handoff import offer_further, say_waiting
from bot.actions.knowledge import ticket_at_hand
from bot.actions.malls import get_mall
from bot.actions.order_choice import (
    CHOICES,
    NOT_SHOWN,
    SEARCHED,
    as_choices,
    missing,
    not_shown,
    order_buttons,
    order_meant,
    shown_order,
    tail_told,
)
from bot.actions.order_record import FACT, facts_asked, say_record
from bot.actions.order_words import meant_by_words, not_bought
from bot.actions.orders import (
    TO_BE_SHIPPED,
    facts,
    parts_in_a_line,
    parts_of,
    pressure,
    say_order,
    say_part_taken_out,
    state_of,
    ticket_instead,
)
from bot.actions.tickets import say_ticket, ticket_values, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, goods, word
from mall_adapter.values import Order, OrderStatus, Ticket

TOLD_LATELY = 2
"""Turns for which where an order stands need not be told again."""

TOLD_ENOUGH = 2
"""Times after which it is no answer to be told once more."""

NOTHING_TO_DO = frozenset({"paid", "presale", "shipped", "out_for_delivery", "delivered", "completed", "handed_over"})
"""States of an order of which no more can be said than how it stands: all goes as it should."""

A_PLAIN_QUESTION = 14
"""Characters up to which a question asks no more than where an order stands."""

NAMES = frozenset({"order_id", "ordinal", "mention", "goods_kind", "day", "phone_tail"})
"""Entities of a message that says itself which order it is about."""

FINISHED = frozenset({OrderStatus.DELIVERED, OrderStatus.COMPLETED, OrderStatus.CANCELLED})


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
        asked = facts_asked(tracker, turn)
        if not named and (strange := not_bought(turn, known)):
            self._say_none_of(dispatcher, known, strange)
            return Focus(tracker).on_list(as_choices(known[:CHOICES], tracker, domain)).events()
        order_id = named[0].id if len(named) == 1 else order_meant(tracker, turn)
        if order_id and len(named) < 2:
            try:
                order = await shown_order(tracker, turn, order_id, tail_told(tracker, turn))
            except NOT_SHOWN as error:
                return [*not_shown(dispatcher, tracker, error, order_id), *_kept(tracker, asked)]
            return await self._tell_one(dispatcher, tracker, domain, order)
        if not known:
            if await mall.customer_of(tracker.sender_id) is None:
                return [*missing(tracker, None, None), *_kept(tracker, asked)]
            dispatcher.utter_message(response="utter_no_orders")
            return []
        now = datetime.now(UTC)
        meant = (
            named or known if asked else self.concerns(named, now) or named or self.concerns(known, now) or known[:1]
        )
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
        if len(orders) > 1 and (asked := facts_asked(tracker, Turn.of(tracker))):
            return self._which(dispatcher, tracker, domain, shown, asked)
        again = focus.shows(shown)
        if len(orders) == 1 or (again and focus.at_hand("which")):
            return await self._tell_one(dispatcher, tracker, domain, most_pressing(orders, now))
        if again:
            dispatcher.utter_message(response="utter_which_order", buttons=order_buttons(shown, self.intent))
            return focus.on("order", None).on("which", self.intent).on_list(as_choices(shown, tracker, domain)).events()
        tickets = [None if order.delivered_at else await ticket_instead(tracker, order) for order in shown]
        lines = [
            order_line(tracker, domain, order, place, now, ticket)
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
        focus, turn = Focus(tracker), Turn.of(tracker)
        if asked := facts_asked(tracker, turn):
            await say_record(dispatcher, tracker, domain, order, asked)
            return focus.on(FACT, None).on("order", order.id).events()
        just_made = focus.written.get("flow") == "after_sales" and focus.written.get("order") == order.id
        just_told = not turn.tapped and _told_of_ticket(tracker, focus)
        instead = (
            order.delivered_at is None or just_made or just_told
        )  # "新的什么时候到" is no question about the first parcel
        if instead and (ticket := await ticket_instead(tracker, order)):
            await say_ticket(dispatcher, tracker, domain, ticket, focus)
            return focus.on("order", order.id).on("ticket", ticket.id).events()
        if instead:
            order = await say_part_taken_out(dispatcher, tracker, domain, order)
        times = _times_told(tracker, focus, order)
        asks_more = times >= TOLD_ENOUGH or (times and not turn.tapped and len(turn.rest) > A_PLAIN_QUESTION)
        if asks_more and state_of(order, datetime.now(UTC)) in NOTHING_TO_DO:
            return await self._say_no_more(dispatcher, tracker, domain, order, focus)
        say_order(dispatcher, tracker, domain, order, self.topic, told=focus.at_hand("told") == order.id)
        focus.on("order", order.id).on("told", order.id).on("times_told", str(times + 1))
        return focus.events()

    async def _say_no_more(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order, focus: Focus
    ) -> list[EventType]:
        """What is known was told a moment ago and did not answer it: there is no more, and who can ask further."""
        focus.on("order", order.id)
        if await say_waiting(dispatcher, tracker, domain, focus):
            return focus.events()
        parcel = "parcel" if order.shipments else "order"
        buttons = [wish_button(tracker, domain, "human_handoff")]
        dispatcher.utter_message(
            response=f"utter_no_more_of_{parcel}", buttons=buttons, **facts(tracker, domain, order)
        )
        return focus.events()

    def _which(
        self,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: Domain,
        orders: Sequence[Order],
        asked: Sequence[str],
    ) -> list[EventType]:
        """What is asked is a matter of one order: which of them?"""
        choices = as_choices(orders, tracker, domain)
        titles = "\n".join(f"{place}. {choice['title']}" for place, choice in enumerate(choices, 1))
        buttons = order_buttons(orders, self.intent)
        dispatcher.utter_message(response="utter_record_which", orders=titles, buttons=buttons)
        return Focus(tracker).on("order", None).on(FACT, " ".join(asked)).on_list(choices).events()


def order_line(
    tracker: Tracker, domain: Domain, order: Order, place: int, now: datetime, ticket: Ticket | None = None
) -> str:
    """What it is and how it stands, as a line of a list; with the ``ticket`` that has taken it up, how that stands."""
    if ticket:
        told = ticket_values(tracker, domain, ticket)
        what = word(tracker, domain, "line_with_ticket").format(kind=told["kind"], stand=told["stand"])
    elif len(parts := parts_of(order)) > 1:
        what = parts_in_a_line(tracker, domain, parts, now)
    else:
        what = word(tracker, domain, f"line_{state_of(order, now)}").format_map(facts(tracker, domain, order))
    return word(tracker, domain, "listed_order").format(place=place, goods=goods(order.lines), state=what)


def _times_told(tracker: Tracker, focus: Focus, order: Order) -> int:
    """How often it was told in answer to the last messages where this order stands."""
    told = focus.value.get("told") or {}
    lately = Conversation.of(tracker).turn - int(told.get("turn") or 0) <= TOLD_LATELY
    return int(focus.at_hand("times_told") or 1) if told.get("id") == order.id and lately else 0


def _told_of_ticket(tracker: Tracker, focus: Focus) -> bool:
    """Whether a request was told to one of the last messages, and no other order since."""
    told = (focus.value.get("ticket") or {}).get("turn", -TOLD_LATELY)
    return Conversation.of(tracker).turn - int(told) <= TOLD_LATELY and not focus.later("order", "ticket")


def _kept(tracker: Tracker, asked: Sequence[str]) -> list[EventType]:
    """What was asked of an order waits until it is known which."""
    return Focus(tracker).on(FACT, " ".join(asked)).events() if asked else []


def most_pressing(orders: Sequence[Order], now: datetime) -> Order:
    """Of orders that come newest first; of two that press alike, the newer."""
    return min(orders, key=lambda order: pressure(state_of(order, now)))


def _in(statuses: Collection[OrderStatus], orders: Sequence[Order]) -> list[Order]:
    return [order for order in orders if order.status in statuses]


def on_their_way(orders: Sequence[Order], now: datetime) -> list[Order]:
    """Late and lost parcels first; where nothing travels, what is still to be shipped."""
    shipped = [
        order
        for order in orders
        if order.status is OrderStatus.SHIPPED or (order.status in TO_BE_SHIPPED and order.shipments)
    ]
    late = [order for order in shipped if state_of(order, now) in ("late", "lost")]
    return [*late, *(order for order in shipped if order not in late)] or _in(TO_BE_SHIPPED, orders)


class OrderStatusAction(AboutOrders):
    intent, topic = "order_status", "order"

    def concerns(self, orders: Sequence[Order], now: datetime) -> Sequence[Order]:
        return [order for order in orders if order.status not in FINISHED]


class UrgeShipment(AboutOrders):
    intent, topic = "urge_shipment", "urge"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        """ "你催催" right after a ticket was told is about that."""
        turn, focus = Turn.of(tracker), Focus(tracker)
        names = turn.names_goods or NAMES.intersection(turn.entities)
        lately = _told_of_ticket(tracker, focus) and not turn.tapped and not names
        if lately and (ticket := await ticket_at_hand(tracker)):
            await say_ticket(dispatcher, tracker, domain, ticket, focus.on("ticket", ticket.id))
            await offer_further(dispatcher, tracker, domain, focus, ticket.id)
            return focus.events()
        return await super().run(dispatcher, tracker, domain)

    def concerns(self, orders: Sequence[Order], now: datetime) -> Sequence[Order]:
        return _in({*TO_BE_SHIPPED, OrderStatus.SHIPPED}, orders)
