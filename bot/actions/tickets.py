"""After-sales tickets that exist already: where they stand, and what is said of them everywhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from rasa_sdk import Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import ask, digest, summed_up
from bot.actions.focus import Focus, Listed, like, pointed_at
from bot.actions.handoff import offer_further
from bot.actions.malls import get_mall
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, title, word, yuan
from bot.spelling import plain
from mall_adapter.values import FreightPayer, Reason, Ticket, TicketEvent, TicketKind, TicketStatus

SHOWN_AT_ONCE = 3
READ_AT_ONCE = 20
CANCELLABLE = (TicketStatus.OPEN, TicketStatus.APPROVED)

_SAID = patterns.load("collected", "shelf", "sent")

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


def collected(shelves: Collection[str]) -> bool:
    """Whether the shop has goods of these categories collected, instead of the customer sending them."""
    return bool(shelves) and all(_SAID["shelf"].search(plain(shelf)) for shelf in shelves)


def goods_come_back(ticket: Ticket) -> bool:
    return ticket.kind is not TicketKind.REFUND and ticket.decision.freight_payer is not FreightPayer.NOBODY


def way_back(ticket: Ticket) -> str:
    """How the goods come back: ``at_once`` where none do, ``in_transit`` where the parcel is stopped on its way,
    ``fetched`` where the shop collects them; empty where the customer sends them."""
    if not goods_come_back(ticket):
        return "at_once"
    if ticket.in_transit:
        return "in_transit"
    return "fetched" if collected(ticket.categories) else ""


def _state(ticket: Ticket) -> str:
    if ticket.status is TicketStatus.CLOSED and ticket.kind is not TicketKind.EXCHANGE and ticket.cents:
        return "refunded"  # how much, and when, is what one wants to know of it
    if ticket.status is TicketStatus.APPROVED and (way := way_back(ticket)):
        resent = way == "at_once" and ticket.kind is TicketKind.EXCHANGE
        return "approved_exchange_at_once" if resent else f"approved_{way}"
    return ticket.status.value


def _reached(ticket: Ticket) -> TicketEvent:
    """When it came to where it stands: of one that is closed after a refund, when that was paid."""
    state = _state(ticket)
    return next((event for event in reversed(ticket.history) if event.status == state), ticket.history[-1])


def ticket_values(tracker: Tracker, domain: Domain, ticket: Ticket) -> dict[str, Any]:
    """What may be said of a ticket: its number, kind and goods, ``stand`` (how far it is, in a few words), dates, money
    and the last word of who handles it."""
    values = {
        "ticket_id": ticket.id,
        "order_id": ticket.order_id,
        "kind": word(tracker, domain, ticket.kind),
        "goods": ticket.summary,
        "due": day(tracker, ticket.due_on),
        "updated": day(tracker, _reached(ticket).time),
        "money": yuan(ticket.cents) if ticket.cents else "",
        "note": ticket.history[-1].note,
    }
    return {**values, "stand": word(tracker, domain, f"ticket_{_state(ticket)}").format_map(values)}


async def say_ticket(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket, focus: Focus
) -> None:
    """Where it stands, and what the customer has to do next. A refund that is done, and was told, is not told again:
    whoever asks once more wants to know what only a person can see."""
    state, shown = _state(ticket), ticket_values(tracker, domain, ticket)
    told = focus.at_hand("told") == ticket.id
    focus.on("told", ticket.id).on("settled", ticket.id if settled(ticket) else None)
    if settled(ticket) and told:
        dispatcher.utter_message(response="utter_ticket_refunded_told", **shown)
        await offer_further(dispatcher, tracker, domain, focus, ticket.id)
        return
    if state == "approved" and goods_come_back(ticket) and sent_back(Turn.of(tracker)):
        human = wish_button(tracker, domain, "human_handoff")
        dispatcher.utter_message(response="utter_ticket_sent_back", buttons=[human], **shown)
        return
    never_came = settled(ticket) and ticket.in_transit and ticket.reason is Reason.LATE_DELIVERY
    dispatcher.utter_message(response=f"utter_ticket_{state}{'_undelivered' if never_came else ''}", **shown)


def sent_back(turn: Turn) -> bool:
    """Whether the message tells that goods are on their way back."""
    return not turn.tapped and bool(turn.first("waybill") or _SAID["sent"].search(plain(turn.text)))


def settled(ticket: Ticket) -> bool:
    """Whether its money has been paid back."""
    return _state(ticket) == "refunded"


def paid_back_on(tracker: Tracker, ticket: Ticket) -> str:
    """The day of it, with its year."""
    return day(tracker, _reached(ticket).time, of_year=True) or ""


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


async def say_tickets(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, tickets: Sequence[Ticket]
) -> list[EventType]:
    """One in detail; of several a line each, in one message."""
    focus = Focus(tracker).on_list(as_choices(tickets, tracker, domain))
    if len(tickets) == 1:
        await say_ticket(dispatcher, tracker, domain, tickets[0], focus)
        return focus.on("ticket", tickets[0].id).on("order", tickets[0].order_id).events()
    line = word(tracker, domain, "ticket_line")
    lines = [
        line.format(place=place, **ticket_values(tracker, domain, ticket)) for place, ticket in enumerate(tickets, 1)
    ]
    buttons = [
        button(f"{place}. {ticket.summary}", "ticket_status", ticket_id=ticket.id)
        for place, ticket in enumerate(tickets, 1)
    ]
    dispatcher.utter_message(response="utter_tickets", tickets="\n".join(lines), buttons=buttons)
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
    """Those of the goods that the message names, which may be none; all of them when it names none."""
    names = [str(value) for kind in ("product", "category", "brand") for value in turn.entities.get(kind, ())]
    if not names:
        return tickets
    choices = [{"kind": "ticket", "id": ticket.id, "title": ticket.summary} for ticket in tickets]
    meant = {choice["id"] for choice in like(" ".join(names), choices)}
    return [ticket for ticket in tickets if ticket.id in meant]


def ticket_meant(turn: Turn, focus: Focus) -> str | None:
    """The ticket that is pointed at without being named: its place in a list, "刚才那个", what was just written."""
    if pointed := pointed_at(turn, focus.listed("ticket")):
        return pointed[0]["id"]
    at_hand = focus.at_hand("ticket")
    written = focus.written.get("id") == at_hand
    return at_hand if at_hand and (written or turn.first("mention")) and not turn.names_goods else None
