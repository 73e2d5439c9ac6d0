"""After-sales tickets that exist already: where they stand, and what is said of them everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.conversation import ask, digest, summed_up
from bot.actions.focus import Focus, Listed, like, pointed_at
from bot.actions.malls import get_mall
from bot.actions.order_choice import missing, prove_if_told
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, title, word, yuan
from mall_adapter import (
    FreightPayer,
    NotFound,
    OrderLocked,
    OrderNotFound,
    OwnershipRequired,
    Ticket,
    TicketKind,
    TicketStatus,
    WrongPhoneTail,
)

SHOWN_AT_ONCE = 3
READ_AT_ONCE = 20
PLAINLY, AS_WELL = 0.7, 0.25
"""Confidence below which a question about tickets may be one about orders, and what must speak for that."""

_OF_ORDERS = ("order_status", "track_parcel", "urge_shipment")
CANCELLABLE = (TicketStatus.OPEN, TicketStatus.APPROVED)

Button: TypeAlias = dict[str, str]


def button(name: str, intent: str, **entities: str) -> Button:
    """``name`` is the title as people read it; the entities are told with the tap."""
    told = json.dumps(entities, ensure_ascii=False) if entities else ""
    return {"title": name, "payload": f"/{intent}{told}"}


def wish_button(tracker: Tracker, domain: Domain, intent: str, **entities: str) -> Button:
    return button(title(tracker, domain, intent), intent, **entities)


def ask_to_confirm(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    response: str,
    values: Mapping[str, Any],
    **shown: Any,
) -> list[EventType]:
    """The summary before a write. In full where these very values are new to the screen, in one line when it comes
    back, and with a word that nothing has been sent after an answer that was neither a yes nor a no."""
    known = tracker.get_slot("summary") == digest(values)
    trouble: Mapping[str, Any] = tracker.get_slot("problem") or {}
    if known and trouble.get("name") == "unclear":
        dispatcher.utter_message(response=f"{response}_unclear", **shown)
    elif known:
        ask(dispatcher, tracker, domain, "confirmed", response, **shown)
    else:
        dispatcher.utter_message(response=response, **shown)
    return [summed_up(values)]


def goods_come_back(ticket: Ticket) -> bool:
    return ticket.kind is not TicketKind.REFUND and ticket.decision.freight_payer is not FreightPayer.NOBODY


def _state(ticket: Ticket) -> str:
    if ticket.status is TicketStatus.APPROVED and not goods_come_back(ticket):
        return "approved_exchange_at_once" if ticket.kind is TicketKind.EXCHANGE else "approved_at_once"
    return ticket.status.value


def ticket_values(tracker: Tracker, domain: Domain, ticket: Ticket) -> dict[str, Any]:
    """What may be said of a ticket: its number, kind and goods, ``stand`` (how far it is, in a few words), dates, money
    and the last word of who handles it."""
    values = {
        "ticket_id": ticket.id,
        "order_id": ticket.order_id,
        "kind": word(tracker, domain, ticket.kind),
        "goods": ticket.summary,
        "due": day(tracker, ticket.due_on),
        "updated": day(tracker, ticket.history[-1].time),
        "money": yuan(ticket.decision.refund_cents) if ticket.decision.refund_cents else "",
        "note": ticket.history[-1].note,
    }
    return {**values, "stand": word(tracker, domain, f"ticket_{_state(ticket)}").format_map(values)}


def say_ticket(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket) -> None:
    """Where it stands, and what the customer has to do next."""
    dispatcher.utter_message(response=f"utter_ticket_{_state(ticket)}", **ticket_values(tracker, domain, ticket))


def as_choices(tickets: Sequence[Ticket], tracker: Tracker, domain: Domain) -> Listed:
    """What a person recognises a ticket by: kind, goods, day."""
    return [
        {
            "kind": "ticket",
            "id": ticket.id,
            "title": word(tracker, domain, "ticket_title").format(
                kind=word(tracker, domain, ticket.kind), goods=ticket.summary, day=day(tracker, ticket.created_at)
            ),
        }
        for ticket in tickets
    ]


def say_tickets(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, tickets: Sequence[Ticket]
) -> list[EventType]:
    """One in detail; of several a line each, in one message."""
    focus = Focus(tracker).on_list(as_choices(tickets, tracker, domain))
    if len(tickets) == 1:
        say_ticket(dispatcher, tracker, domain, tickets[0])
        return focus.on("ticket", tickets[0].id).on("order", tickets[0].order_id).events()
    line = word(tracker, domain, "ticket_line")
    lines = [
        line.format(place=place, **ticket_values(tracker, domain, ticket)) for place, ticket in enumerate(tickets, 1)
    ]
    dispatcher.utter_message(response="utter_tickets", tickets="\n".join(lines))
    return focus.events()


async def tickets_in_question(sender: str, order_id: str | None) -> Sequence[Ticket]:
    """The sender's tickets, the newest first, those of ``order_id`` alone when one is named. Raises what ``Mall.order``
    raises."""
    mall = await get_mall()
    if order_id:
        await mall.order(sender, order_id)
    tickets = await mall.tickets_of(sender, limit=READ_AT_ONCE)
    return [ticket for ticket in tickets if order_id in (None, ticket.order_id)]


def of_goods(turn: Turn, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
    """Those of the goods that the message names; all of them when it names none, or none of these."""
    choices = [{"kind": "ticket", "id": ticket.id, "title": ticket.summary} for ticket in tickets]
    names = [str(value) for kind in ("product", "category", "brand") for value in turn.entities.get(kind, ())]
    meant = {choice["id"] for choice in like(" ".join(names), choices)}
    return [ticket for ticket in tickets if ticket.id in meant] or tickets


def ticket_meant(turn: Turn, focus: Focus) -> str | None:
    """The ticket that is pointed at without being named: its place in a list, "刚才那个", what was just written."""
    if pointed := pointed_at(turn, focus.listed("ticket")):
        return pointed[0]["id"]
    at_hand = focus.at_hand("ticket")
    written = focus.written.get("id") == at_hand
    return at_hand if at_hand and (written or turn.first("mention")) and not turn.names_goods else None


def _of_anything(turn: Turn) -> bool:
    """ "好了吗", "查到了没": how far something is, which may as well be an order."""
    of_orders = sum(turn.ranking.get(intent, 0.0) for intent in _OF_ORDERS)
    return turn.confidence < PLAINLY and of_orders >= AS_WELL


class TicketStatusAction(Action):
    def name(self) -> str:
        return "action_ticket_status"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, turn, focus = await get_mall(), Turn.of(tracker), Focus(tracker)
        order_id = self._order(tracker, turn, focus)
        named = turn.first("ticket_id") or (None if order_id else ticket_meant(turn, focus))
        if not (order_id or named) and _of_anything(turn):
            intents = ("ticket_status", "order_status", "human_handoff")
            buttons = [wish_button(tracker, domain, intent) for intent in intents]
            dispatcher.utter_message(response="utter_progress_which", buttons=buttons)
            return []
        unknown = False
        if named:
            try:
                return say_tickets(dispatcher, tracker, domain, [await mall.ticket(tracker.sender_id, str(named))])
            except NotFound:
                unknown = turn.first("ticket_id") is not None
        try:
            if order_id:
                await prove_if_told(tracker, order_id, turn)
            tickets = await tickets_in_question(tracker.sender_id, order_id)
        except (OrderNotFound, OwnershipRequired, OrderLocked, WrongPhoneTail) as error:
            return missing(tracker, error, order_id)
        if unknown and tickets:
            dispatcher.utter_message(response="utter_ticket_not_found", detail=str(named))
        if tickets:
            return say_tickets(dispatcher, tracker, domain, of_goods(turn, tickets)[:SHOWN_AT_ONCE])
        if order_id is None and await mall.customer_of(tracker.sender_id):
            dispatcher.utter_message(response="utter_no_tickets")
            return []
        order_id = order_id or focus.at_hand("order")
        if order_id is None:
            return missing(tracker, None, None)
        dispatcher.utter_message(response="utter_no_ticket", order_id=order_id)
        return focus.on("order", order_id).events()

    @staticmethod
    def _order(tracker: Tracker, turn: Turn, focus: Focus) -> str | None:
        """Only an order that is named or pointed at: the tickets of a customer are few, and most of them have one."""
        told = tracker.get_slot("order_id")
        if named := turn.first("order_id"):
            return str(named)
        if isinstance(told, str) and told:
            return told
        if pointed := pointed_at(turn, focus.listed("order")):
            return pointed[0]["id"]
        return focus.at_hand("order") if turn.first("mention") and not focus.at_hand("ticket") else None
