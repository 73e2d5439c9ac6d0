"""After-sales tickets that exist already: where they stand, and taking one back."""

from __future__ import annotations

from collections.abc import Sequence

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.order_choice import ask_to_confirm, ask_which_order, forget_request, order_in_question, problem
from bot.actions.wording import Domain, day, word, yuan
from mall_adapter import (
    FreightPayer,
    InvalidTransition,
    OrderLocked,
    OrderNotFound,
    OwnershipRequired,
    Ticket,
    TicketKind,
    TicketStatus,
)

CANCELLABLE = (TicketStatus.OPEN, TicketStatus.APPROVED)
SHOWN_AT_ONCE = 3


def goods_come_back(ticket: Ticket) -> bool:
    return ticket.kind is not TicketKind.REFUND and ticket.decision.freight_payer is not FreightPayer.NOBODY


def say_ticket(dispatcher: CollectingDispatcher, domain: Domain, ticket: Ticket) -> None:
    status = ticket.status.value
    if ticket.status is TicketStatus.APPROVED and not goods_come_back(ticket):
        status = "approved_exchange_at_once" if ticket.kind is TicketKind.EXCHANGE else "approved_at_once"
    dispatcher.utter_message(
        response=f"utter_ticket_{status}",
        ticket_id=ticket.id,
        kind=word(domain, ticket.kind),
        goods=ticket.summary,
        due=day(ticket.due_on),
        updated=day(ticket.history[-1].time),
        money=yuan(ticket.decision.refund_cents) if ticket.decision.refund_cents else "",
        note=ticket.history[-1].note,
    )


async def tickets_in_question(tracker: Tracker, order_id: str | None) -> Sequence[Ticket]:
    """The sender's tickets, those of ``order_id`` alone when one is named. Raises what ``Mall.order`` raises."""
    mall = await get_mall()
    if order_id:
        await mall.order(tracker.sender_id, order_id)
    tickets = await mall.tickets_of(tracker.sender_id, limit=20)
    return [ticket for ticket in tickets if order_id in (None, ticket.order_id)]


class TicketStatusAction(Action):
    def name(self) -> str:
        return "action_ticket_status"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        asked_for_order = tracker.get_intent_of_latest_message() != "ticket_status"  # the order form comes here too
        named = next(tracker.get_latest_entity_values("order_id"), None)
        order_id = tracker.get_slot("order_id") if asked_for_order else named
        try:
            tickets = await tickets_in_question(tracker, order_id)
        except OrderNotFound:
            return ask_which_order(dispatcher, tracker, "ticket_status", None, problem("order_not_found", order_id))
        except (OwnershipRequired, OrderLocked):
            return ask_which_order(dispatcher, tracker, "ticket_status", order_id)
        for ticket in tickets[:SHOWN_AT_ONCE]:
            say_ticket(dispatcher, domain, ticket)
        if tickets:
            return forget_request() if asked_for_order else []
        if order_id is None:
            return ask_which_order(dispatcher, tracker, "ticket_status", None)
        dispatcher.utter_message(response="utter_no_ticket", order_id=order_id)
        return forget_request()


class CancelTicket(Action):
    """First finds the ticket and has it confirmed (through ``order_form``), then takes it back."""

    def name(self) -> str:
        return "action_cancel_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        subject = tracker.get_slot("to_confirm")
        if tracker.get_slot("order_task") == "cancel_ticket" and subject:
            await self._confirmed(dispatcher, tracker, domain, subject)
            return forget_request()
        wanted, order_id = tracker.get_slot("ticket_id"), order_in_question(tracker)
        try:
            tickets = await tickets_in_question(tracker, order_id)
        except OrderNotFound:
            return ask_which_order(dispatcher, tracker, "cancel_ticket", None, problem("order_not_found", order_id))
        except (OwnershipRequired, OrderLocked):
            return ask_which_order(dispatcher, tracker, "cancel_ticket", order_id)
        fitting = [t for t in tickets if t.status in CANCELLABLE and wanted in (None, t.id)]
        if len(fitting) == 1:
            return ask_to_confirm("cancel_ticket", fitting[0].order_id, fitting[0].id)
        if fitting:
            buttons = [
                {"title": f"{t.id} {t.summary}", "payload": f'/cancel_ticket{{"ticket_id": "{t.id}"}}'}
                for t in fitting[:SHOWN_AT_ONCE]
            ]
            dispatcher.utter_message(response="utter_which_ticket", buttons=buttons)
            return []
        if not tickets and order_id is None:
            return ask_which_order(dispatcher, tracker, "cancel_ticket", None)
        dispatcher.utter_message(response="utter_no_ticket_to_cancel")
        return forget_request()

    @staticmethod
    async def _confirmed(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket_id: str) -> None:
        mall = await get_mall()
        if not tracker.get_slot("confirm"):
            ticket = await mall.ticket(tracker.sender_id, ticket_id)
            if ticket.status is TicketStatus.CANCELLED:  # by a yes whose turn was cut off
                say_ticket(dispatcher, domain, ticket)
            else:
                dispatcher.utter_message(response="utter_kept")
            return
        try:
            await mall.cancel_ticket(tracker.sender_id, ticket_id, idempotency_key=tracker.slots["request_key"])
        except InvalidTransition:
            dispatcher.utter_message(response="utter_ticket_cancel_too_late", ticket_id=ticket_id)
        else:
            dispatcher.utter_message(response="utter_ticket_cancel_done", ticket_id=ticket_id)
