"""What comes next in the matter at hand, for whoever presses: "给个准话", "然后呢", "那咋办", "说重点"."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.complaints import go_on_with_complaint
from bot.actions.conversation import Conversation
from bot.actions.focus import Focus
from bot.actions.graphs import get_answering
from bot.actions.handoff import offer_further, say_waiting
from bot.actions.knowledge import order_talked_of, ticket_at_hand, way_buttons, ways
from bot.actions.malls import get_mall
from bot.actions.order_choice import SEARCHED, as_choices, order_buttons
from bot.actions.orders import NEEDS_A_WORD, say_order, state_of
from bot.actions.product_answers import Speaker, say_how_to_order
from bot.actions.questions import call_at_last, wishes_of
from bot.actions.shop_product import shop_products
from bot.actions.tickets import goods_come_back, say_ticket, ticket_values, way_back
from bot.actions.turn import Turn
from bot.actions.wording import Domain, goods
from mall_adapter.values import OrderStatus, TicketStatus

AT_HAND = 5
"""Turns for which what was talked of is what is pressed about."""

WISHES = 2
"""What can be begun about a rule that was told."""

NAMED = 2
"""Orders that may be meant, where nothing is at hand."""

ARRIVED = frozenset({OrderStatus.DELIVERED, OrderStatus.COMPLETED})

_A_SENTENCE = re.compile(r"[^。！？!?]+[。！？!?]")


@dataclass(frozen=True, slots=True)
class _Pressed:
    dispatcher: CollectingDispatcher
    tracker: Tracker
    domain: Domain
    turn: Turn
    focus: Focus

    def say(self, response: str, *intents: str, **values: object) -> None:
        """With a button for each of the intents."""
        buttons = way_buttons(self.tracker, self.domain, intents)
        self.dispatcher.utter_message(response=response, buttons=buttons, **values)


class SayNext(Action):
    """Of what was talked of last: where it stands, whose turn it is and by when; pressed about the same again, a person
    is offered beside it. With nothing at hand, which matter it is."""

    def name(self) -> str:
        return "action_say_next"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        asks = replace(turn, acts=turn.acts | {"question"})
        if await say_waiting(dispatcher, tracker, domain, focus, asked=True):
            return focus.events()
        if await go_on_with_complaint(dispatcher, tracker, domain, asks, focus):
            return focus.events()
        pressed = _Pressed(dispatcher, tracker, domain, turn, focus)
        for kind in _lately(focus, Conversation.of(tracker).turn):
            if matter := await _TOLD[kind](pressed):
                await _offer_person(pressed, matter)
                return focus.events()
        await _ask_what(pressed)
        return focus.events()


def _lately(focus: Focus, now: int) -> list[str]:
    """The kinds of what was talked of, the last first."""
    turns = {kind: int((focus.value.get(kind) or {}).get("turn", -AT_HAND)) for kind in _TOLD}
    return sorted((kind for kind in turns if now - turns[kind] < AT_HAND), key=lambda kind: -turns[kind])


async def _offer_person(pressed: _Pressed, matter: str) -> None:
    """Once more about the same: what is known has been said, and a person can find out more."""
    before, _, _ = str(pressed.focus.at_hand("pressed") or "").partition(" ")
    if before == matter:
        await offer_further(pressed.dispatcher, pressed.tracker, pressed.domain, pressed.focus, matter)
    else:
        pressed.focus.on("pressed", f"{matter} 0")


async def _of_unknown(pressed: _Pressed) -> str | None:
    """What was not known is not known now: a person is offered once more, and called the next time."""
    if not await call_at_last(pressed.dispatcher, pressed.tracker, pressed.domain, pressed.focus, pressed.turn):
        pressed.say("utter_unknown_person", "human_handoff")
    return "unknown"


async def _of_ticket(pressed: _Pressed) -> str | None:
    if (ticket := await ticket_at_hand(pressed.tracker)) is None:
        return None
    values = ticket_values(pressed.tracker, pressed.domain, ticket)
    if ticket.status is TicketStatus.OPEN:
        pressed.say("utter_next_ticket_open", **values)
    elif ticket.status is TicketStatus.APPROVED and goods_come_back(ticket) and not way_back(ticket):
        pressed.say("utter_next_ticket_send", **values)
    else:
        await say_ticket(pressed.dispatcher, pressed.tracker, pressed.domain, ticket, pressed.focus)
    pressed.focus.on("ticket", ticket.id)
    return ticket.id


async def _of_order(pressed: _Pressed) -> str | None:
    if (order := await order_talked_of(pressed.tracker, pressed.turn)) is None:
        return None
    if order.status in ARRIVED:
        buttons = ways(pressed.tracker, pressed.domain, order)
        pressed.dispatcher.utter_message(response="utter_next_order", goods=goods(order.lines), buttons=buttons)
    else:
        topic = "worry" if state_of(order, datetime.now(UTC)) in NEEDS_A_WORD else "urge"
        told = pressed.focus.at_hand("told") == order.id
        say_order(pressed.dispatcher, pressed.tracker, pressed.domain, order, topic, told=told)
        pressed.focus.on("told", order.id)
    pressed.focus.on("order", order.id)
    return order.id


async def _of_answer(pressed: _Pressed) -> str | None:
    """The first sentence of the rule, which says the most; and what can be done about it."""
    told = (await get_answering()).answer(str(pressed.focus.at_hand("answer")))
    if told is None:
        return None
    first = _A_SENTENCE.match(told.text)
    wishes = [intent for intent in wishes_of(told.topic) if intent != "human_handoff"][:WISHES]
    short = first and first.end() < len(told.text) and pressed.focus.at_hand("pressed") is None
    if first and short:
        pressed.say("utter_next_answer", *wishes, "human_handoff", sentence=first.group())
    else:
        pressed.say("utter_unknown_person", "human_handoff")
    return told.id


async def _of_goods(pressed: _Pressed) -> str | None:
    """How they are ordered."""
    products = await shop_products([str(pressed.focus.at_hand("product"))])
    if not products:
        return None
    speaker = Speaker(pressed.dispatcher, pressed.tracker, pressed.domain, pressed.turn, pressed.focus)
    say_how_to_order(speaker, products[0])
    pressed.focus.on("product", products[0].id)
    return products[0].id


_TOLD: dict[str, Callable[[_Pressed], Awaitable[str | None]]] = {
    "unknown": _of_unknown,
    "ticket": _of_ticket,
    "order": _of_order,
    "answer": _of_answer,
    "product": _of_goods,
}
"""By what was talked of: says what comes next, and names it; None where it is not there any more. Of two things of one
turn the first counts."""


async def _ask_what(pressed: _Pressed) -> None:
    """Which matter it is: the orders that are late, lost or overdue are named first."""
    orders = await (await get_mall()).orders_of(pressed.tracker.sender_id, limit=SEARCHED)
    now = datetime.now(UTC)
    urgent = [order for order in orders if state_of(order, now) in NEEDS_A_WORD][:NAMED]
    wishes = way_buttons(pressed.tracker, pressed.domain, ("order_status", "request_return", "human_handoff"))
    buttons = [*order_buttons(urgent, "order_status"), *(wishes[1:] if urgent else wishes)]
    pressed.dispatcher.utter_message(response="utter_say_what", buttons=buttons)
    if urgent:
        pressed.focus.on_list(as_choices(urgent, pressed.tracker, pressed.domain))
