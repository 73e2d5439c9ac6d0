"""Anger: it is heard first, then come the facts, then what can be done."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.conversation import Conversation
from bot.actions.focus import Focus
from bot.actions.handoff import waits_for_person
from bot.actions.knowledge import order_talked_of, ticket_at_hand, way_buttons, ways
from bot.actions.orders import say_order
from bot.actions.questions import answer_question, open_task
from bot.actions.tickets import Button, say_ticket
from bot.actions.turn import Turn
from bot.actions.wording import Domain
from mall_adapter import Order, OrderStatus, Ticket

RUNNING = 3
"""Turns within which the next complaint goes on about the same thing."""

ARRIVED = (OrderStatus.DELIVERED, OrderStatus.COMPLETED)


class Complain(Action):
    """The first time a sentence of its own, the facts and what can be done; after that a person is offered."""

    def name(self) -> str:
        return "action_complain"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        again = _complained_lately(tracker, focus)
        focus.on("complaint", "heard")
        human, busy = way_buttons(tracker, domain, ["human_handoff"]), open_task(tracker)
        if again and await waits_for_person(tracker.sender_id):
            dispatcher.utter_message(response="utter_complain_waiting")
        elif again:
            dispatcher.utter_message(response="utter_complain_again", buttons=human)
        else:
            dispatcher.utter_message(response="utter_complain", buttons=human if busy else [])
        answered = False
        if turn.asks:
            outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="complaint")
            answered = outcome.said
        if not again and not busy:  # the request that is open is what can be done
            await self._say_what_can_be_done(dispatcher, tracker, domain, turn, focus, answered)
        return focus.events()

    @staticmethod
    async def _say_what_can_be_done(
        dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus, answered: bool
    ) -> None:
        ticket = None if answered else await ticket_at_hand(tracker)
        order = await order_talked_of(tracker, turn)
        if ticket:
            say_ticket(dispatcher, tracker, domain, ticket)
        elif order and not answered:
            say_order(dispatcher, tracker, domain, order)
        shown = _titles(dispatcher, domain)
        ways_out = [*_ways_out(tracker, domain, ticket, order), *way_buttons(tracker, domain, ["human_handoff"])]
        if buttons := [one for one in ways_out if one["title"] not in shown]:
            dispatcher.utter_message(response="utter_complain_ways", buttons=buttons)
        if order:
            focus.on("order", order.id)


def _complained_lately(tracker: Tracker, focus: Focus) -> bool:
    heard = focus.value.get("complaint") or {}
    return bool(heard) and 0 < Conversation.of(tracker).turn - int(heard.get("turn") or 0) <= RUNNING


def _titles(dispatcher: CollectingDispatcher, domain: Domain) -> set[str]:
    """Of the buttons that stand below what has been said already."""
    said = dispatcher.messages
    own = [one for message in said for one in message.get("buttons") or ()]
    of_domain = [variant for message in said for variant in domain["responses"][message["response"]]]
    return {one["title"] for one in (*own, *(one for variant in of_domain for one in variant.get("buttons") or ()))}


def _ways_out(tracker: Tracker, domain: Domain, ticket: Ticket | None, order: Order | None) -> list[Button]:
    """What the customer can have done at once; without an order, what is mostly behind a complaint."""
    if ticket:
        return way_buttons(tracker, domain, ["ticket_status"])
    if order is None:
        return way_buttons(tracker, domain, ["report_problem", "track_parcel"])
    if order.status in ARRIVED and not any(line.open_ticket_id for line in order.lines):
        return way_buttons(tracker, domain, ["request_return", "request_exchange"], order_id=order.id, reason="quality")
    return ways(tracker, domain, order)[:2]
