"""Where a parcel is; and what is asked with the same words: the number of a courier, a rule, one's own return parcel, a
waybill that is none of the shop's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from rasa_sdk import Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.focus import Focus
from bot.actions.handoff import waits_for_person
from bot.actions.knowledge import order_talked_of
from bot.actions.malls import get_mall
from bot.actions.order_choice import CHOICES, SEARCHED, as_choices, missing
from bot.actions.order_questions import AboutOrders, on_their_way
from bot.actions.orders import facts, parts_of
from bot.actions.questions import answer_question
from bot.actions.ticket_progress import last_matter
from bot.actions.tickets import READ_AT_ONCE, SHOWN_AT_ONCE, goods_come_back, say_tickets, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, goods, word
from bot.spelling import plain
from mall_adapter.values import Order, Ticket, TicketStatus

PLAINLY = 0.7
"""Confidence below which a question that does not ask where something is may be one about a rule."""

_SAID = patterns.load("parcels", "own_return", "received", "whereabouts", "absent", "brought")
_WAYBILL = patterns.load("waybill", "parcel_number")["parcel_number"]
_NAMES_AN_ORDER = frozenset(
    {"order_id", "ordinal", "mention", "product", "category", "brand", "goods_kind", "phone_tail"}
)


class TrackParcel(AboutOrders):
    intent, topic = "track_parcel", "parcel"

    def concerns(self, orders: Sequence[Order], now: datetime) -> Sequence[Order]:
        return on_their_way(orders, now)

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        said = plain(turn.text)
        if "of_courier" in turn.acts:
            return await self._of_courier(dispatcher, tracker, domain, turn, focus)
        if turn.tapped or isinstance(tracker.get_slot("order_id"), str):
            return await super().run(dispatcher, tracker, domain)
        received = _SAID["received"].search(said) and last_matter(focus) == "ticket"
        if (received or _SAID["own_return"].search(said)) and not turn.first("order_id"):
            return await self._of_return(dispatcher, tracker, domain)
        if _NAMES_AN_ORDER.isdisjoint(turn.entities):
            if number := _WAYBILL.search(said):
                return await self._of_waybill(dispatcher, tracker, domain, number[0])
            ruled = _SAID["absent"].search(said) or _SAID["brought"].search(said)
            where = _SAID["whereabouts"].search(said) and not ruled
            if not where and (turn.asks or turn.confidence < PLAINLY):
                outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="none")
                if outcome.said:
                    return [*outcome.events, *focus.events()]
        return await super().run(dispatcher, tracker, domain)

    async def _of_return(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        """A parcel that goes back is its ticket's."""
        if going := await _going_back(tracker):
            return await say_tickets(dispatcher, tracker, domain, going[:SHOWN_AT_ONCE])
        return await _say_none(dispatcher, tracker, domain, "utter_no_return_parcel", "request_return")

    async def _of_waybill(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, written: str
    ) -> list[EventType]:
        """The order that travels under this number, or that none of the sender's does."""
        number = _digits(written)
        orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
        held = [
            one for one in orders if any(_digits(parcel.tracking_number).endswith(number) for parcel in one.shipments)
        ]
        if len(held) == 1:
            return await self._tell_one(dispatcher, tracker, domain, held[0])
        if going := [ticket for ticket in await _going_back(tracker) if ticket.status is TicketStatus.APPROVED]:
            return await say_tickets(dispatcher, tracker, domain, going[:1])
        if not orders and await (await get_mall()).customer_of(tracker.sender_id) is None:
            dispatcher.utter_message(response="utter_waybill_needs_order")
            return []
        return await _say_none(dispatcher, tracker, domain, "utter_waybill_unknown", "track_parcel")

    async def _of_courier(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
    ) -> list[EventType]:
        """Nobody's own number is known here, nor a carrier's hotline: who carries it and its number there is what one
        needs to get either."""
        mall, order = await get_mall(), await order_talked_of(tracker, turn)
        orders = (
            [order]
            if order and order.shipments
            else [
                one
                for one in await mall.orders_of(tracker.sender_id, limit=SEARCHED)
                if one.shipments and not one.delivered_at
            ][:CHOICES]
        )
        human = [] if await waits_for_person(tracker.sender_id) else [wish_button(tracker, domain, "human_handoff")]
        if not orders:
            dispatcher.utter_message(response="utter_courier_contact", buttons=human)
            return []
        line = word(tracker, domain, "waybill_of")
        parts = [part for one in orders for part in parts_of(one) if part.shipments]
        under_way = [part for part in parts if part.delivered_at is None] or parts
        waybills = [line.format(**{**facts(tracker, domain, one), "goods": goods(one.lines)}) for one in under_way]
        dispatcher.utter_message(response="utter_courier_contact_of", waybills="\n".join(waybills), buttons=human)
        if len(orders) == 1:
            return focus.on("order", orders[0].id).events()
        return focus.on_list(as_choices(orders, tracker, domain)).events()


async def _going_back(tracker: Tracker) -> list[Ticket]:
    """The sender's tickets whose goods come back, newest first."""
    tickets = await (await get_mall()).tickets_of(tracker.sender_id, limit=READ_AT_ONCE)
    ended = (TicketStatus.CANCELLED, TicketStatus.REJECTED)
    return [ticket for ticket in tickets if goods_come_back(ticket) and ticket.status not in ended]


async def _say_none(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, response: str, wish: str
) -> list[EventType]:
    """That there is no such parcel, with ways on; a sender whom the mall does not know is asked who they are first."""
    if await (await get_mall()).customer_of(tracker.sender_id) is None:
        return missing(tracker, None, None)
    buttons = [wish_button(tracker, domain, intent) for intent in (wish, "human_handoff")]
    dispatcher.utter_message(response=response, buttons=buttons)
    return []


def _digits(written: str) -> str:
    return re.sub("[^0-9]", "", written)
