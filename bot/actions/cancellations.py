"""Cancelling an order before it is shipped, and taking an after-sales ticket back: found, confirmed, done."""

from __future__ import annotations

from collections.abc import Sequence

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.forms import Slots, finish
from bot.actions.malls import get_mall
from bot.actions.order_choice import PROVED, OrderForm, chosen
from bot.actions.orders import say_order
from bot.actions.tickets import SHOWN_AT_ONCE, say_ticket, tickets_in_question
from bot.actions.turn import Turn
from bot.actions.wording import Domain, goods, word, yuan
from mall_adapter import InvalidTransition, NotFound, Order, OrderStatus, Ticket, TicketStatus, Wish, open_to

CANCELLABLE = (TicketStatus.OPEN, TicketStatus.APPROVED)


class CancelOrderForm(OrderForm):
    form = "cancel_order_form"
    submit = "action_cancel_order"
    starts = {"cancel_order": {}}  # noqa: RUF012
    wish = Wish.CANCEL
    of_order = ("too_late",)
    holds = (*OrderForm.holds, *of_order)

    def needs(self, slots: Slots) -> list[str]:
        known = ["order_id", "phone_tail"]
        return known if slots.get("too_late") else [*known, "confirm"]

    async def accept(self, order: Order, slots: Slots, tracker: Tracker) -> None:
        slots["too_late"] = not open_to(order, Wish.CANCEL)


class AskConfirmCancelOrder(Action):
    def name(self) -> str:
        return "action_ask_cancel_order_form_confirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
        dispatcher.utter_message(
            response="utter_ask_confirm_cancel_order",
            order_id=order.id,
            goods=goods(order.lines),
            money=yuan(order.total_cents),
        )
        return []


class CancelOrder(Action):
    def name(self) -> str:
        return "action_cancel_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, order_id = await get_mall(), tracker.slots["order_id"]
        if tracker.get_slot("confirm"):
            try:
                order = await mall.cancel_order(
                    tracker.sender_id, order_id, idempotency_key=tracker.slots["request_key"]
                )
            except InvalidTransition:
                await self._too_late(dispatcher, tracker, domain, order_id)
            else:
                dispatcher.utter_message(
                    response="utter_order_cancel_done", order_id=order.id, money=yuan(order.total_cents)
                )
        elif tracker.get_slot("too_late"):
            await self._too_late(dispatcher, tracker, domain, order_id)
        else:
            order = await mall.order(tracker.sender_id, order_id)
            if order.status is OrderStatus.CANCELLED:  # by a yes whose turn was cut off
                say_order(dispatcher, tracker, domain, order)
            else:
                dispatcher.utter_message(response="utter_kept")
        return finish(CancelOrderForm(), dispatcher, tracker, domain)

    @staticmethod
    async def _too_late(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order_id: str) -> None:
        order = await (await get_mall()).order(tracker.sender_id, order_id)
        if order.status is OrderStatus.CANCELLED:
            say_order(dispatcher, tracker, domain, order)
            return
        status = word(tracker, domain, f"status_{order.status}")
        dispatcher.utter_message(response="utter_order_cancel_too_late", order_id=order.id, status=status)


class CancelTicketForm(OrderForm):
    """Needs no order when the sender has a ticket that can be taken back; then which of several, and the yes."""

    form = "cancel_ticket_form"
    submit = "action_cancel_ticket"
    starts = {"cancel_ticket": {}}  # noqa: RUF012
    of_order = ("ticket_id", "tickets")
    holds = (*OrderForm.holds, *of_order, "order_id")  # the order talked of is often not the one with the ticket

    def needs(self, slots: Slots) -> list[str]:
        if slots.get("tickets") is None:
            return ["order_id", "phone_tail"]
        return ["ticket_id", "confirm"] if slots["tickets"] else []

    def mentions(self, turn: Turn, slots: Slots) -> Slots:
        found = super().mentions(turn, slots)
        return found | ({"ticket_id": turn.first("ticket_id")} if turn.first("ticket_id") else {})

    def answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        if asked == "ticket_id":
            ticket_id = turn.first("ticket_id") or chosen(turn, slots.get("tickets") or [], "ticket")
            return {"ticket_id": ticket_id} if ticket_id else {}
        return super().answer(asked, turn, slots)

    async def begin(self, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        known = any(slots.get(name) is not None for name in ("problem", "tickets", "order_id"))
        if not known and (tickets := await tickets_in_question(tracker, None)):
            self._offer(tickets, slots)

    async def accept(self, order: Order, slots: Slots, tracker: Tracker) -> None:
        self._offer(await tickets_in_question(tracker, order.id), slots)

    async def settle(self, found: Slots, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        wanted = found.get("ticket_id")
        await super().settle(found, slots, turn, tracker)
        if wanted and slots.get("tickets") is None:
            try:
                self._offer([await (await get_mall()).ticket(tracker.sender_id, wanted)], slots)
            except NotFound:
                slots["ticket_id"] = None
        elif wanted and wanted not in {ticket["id"] for ticket in slots["tickets"] or []}:
            slots["ticket_id"] = None

    @staticmethod
    def _offer(tickets: Sequence[Ticket], slots: Slots) -> None:
        fitting = [ticket for ticket in tickets if ticket.status in CANCELLABLE][:SHOWN_AT_ONCE]
        slots["tickets"] = [{"kind": "ticket", "id": t.id, "title": f"{t.id} {t.summary}"} for t in fitting]
        slots["phone_tail"] = PROVED
        if len(fitting) == 1:
            slots["ticket_id"] = fitting[0].id


class AskTicketId(Action):
    def name(self) -> str:
        return "action_ask_ticket_id"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        buttons = [
            {"title": ticket["title"], "payload": f'/inform{{"ticket_id": "{ticket["id"]}"}}'}
            for ticket in tracker.slots["tickets"]
        ]
        dispatcher.utter_message(response="utter_which_ticket", buttons=buttons)
        return []


class AskConfirmCancelTicket(Action):
    def name(self) -> str:
        return "action_ask_cancel_ticket_form_confirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ticket = await (await get_mall()).ticket(tracker.sender_id, tracker.slots["ticket_id"])
        dispatcher.utter_message(
            response="utter_ask_confirm_cancel_ticket",
            ticket_id=ticket.id,
            kind=word(tracker, domain, ticket.kind),
            goods=ticket.summary,
        )
        return []


class CancelTicket(Action):
    def name(self) -> str:
        return "action_cancel_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, ticket_id = await get_mall(), tracker.get_slot("ticket_id")
        if ticket_id is None:
            dispatcher.utter_message(response="utter_no_ticket_to_cancel")
        elif tracker.get_slot("confirm"):
            try:
                await mall.cancel_ticket(tracker.sender_id, ticket_id, idempotency_key=tracker.slots["request_key"])
            except InvalidTransition:
                dispatcher.utter_message(response="utter_ticket_cancel_too_late", ticket_id=ticket_id)
            else:
                dispatcher.utter_message(response="utter_ticket_cancel_done", ticket_id=ticket_id)
        else:
            ticket = await mall.ticket(tracker.sender_id, ticket_id)
            if ticket.status is TicketStatus.CANCELLED:  # by a yes whose turn was cut off
                say_ticket(dispatcher, tracker, domain, ticket)
            else:
                dispatcher.utter_message(response="utter_kept")
        return [SlotSet("last_ticket", None), *finish(CancelTicketForm(), dispatcher, tracker, domain)]
