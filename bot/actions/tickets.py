"""After-sales tickets that exist already: where they stand, and taking one back."""

from __future__ import annotations

from collections.abc import Sequence

from rasa_sdk import Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.order_lookup import OrderQuestion
from bot.actions.wording import Domain, day, word, yuan
from mall_adapter import (
    FreightPayer,
    Ticket,
    TicketKind,
    TicketStatus,
)

SHOWN_AT_ONCE = 3
READ_AT_ONCE = 20


def goods_come_back(ticket: Ticket) -> bool:
    return ticket.kind is not TicketKind.REFUND and ticket.decision.freight_payer is not FreightPayer.NOBODY


def say_ticket(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket) -> None:
    status = ticket.status.value
    if ticket.status is TicketStatus.APPROVED and not goods_come_back(ticket):
        status = "approved_exchange_at_once" if ticket.kind is TicketKind.EXCHANGE else "approved_at_once"
    dispatcher.utter_message(
        response=f"utter_ticket_{status}",
        ticket_id=ticket.id,
        kind=word(tracker, domain, ticket.kind),
        goods=ticket.summary,
        due=day(tracker, ticket.due_on),
        updated=day(tracker, ticket.history[-1].time),
        money=yuan(ticket.decision.refund_cents) if ticket.decision.refund_cents else "",
        note=ticket.history[-1].note,
    )


async def tickets_in_question(tracker: Tracker, order_id: str | None) -> Sequence[Ticket]:
    """The sender's tickets, those of ``order_id`` alone when one is named. Raises what ``Mall.order`` raises."""
    mall = await get_mall()
    if order_id:
        await mall.order(tracker.sender_id, order_id)
    tickets = await mall.tickets_of(tracker.sender_id, limit=READ_AT_ONCE)
    return [ticket for ticket in tickets if order_id in (None, ticket.order_id)]


class TicketStatusAction(OrderQuestion):
    task = "ticket_status"

    def order_in_question(self, tracker: Tracker) -> str | None:
        """Only an order that is named: the sender's tickets are few, and most have one."""
        named: str | None = next(tracker.get_latest_entity_values("order_id"), None)
        return named

    async def tell(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order_id: str | None
    ) -> list[EventType] | None:
        tickets = await tickets_in_question(tracker, order_id)
        for ticket in tickets[:SHOWN_AT_ONCE]:
            say_ticket(dispatcher, tracker, domain, ticket)
        if not tickets:
            if order_id is None:
                return None
            dispatcher.utter_message(response="utter_no_ticket", order_id=order_id)
            return []
        listed = [{"kind": "ticket", "id": ticket.id, "title": ticket.summary} for ticket in tickets[:SHOWN_AT_ONCE]]
        return [SlotSet("listed", listed), SlotSet("last_ticket", tickets[0].id)]
