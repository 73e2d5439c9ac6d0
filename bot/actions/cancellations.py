"""Cancelling an order before it is shipped, and taking an after-sales ticket back: found, confirmed, done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import Conversation, ask, confirmed, digest, key, problem
from bot.actions.focus import Focus, Listed, chosen
from bot.actions.malls import get_mall
from bot.actions.order_choice import OrderValidation
from bot.actions.request_values import lines_listed
from bot.actions.request_words import some_to_go
from bot.actions.tickets import (
    CANCELLABLE,
    READ_AT_ONCE,
    SHOWN_AT_ONCE,
    Button,
    as_choices,
    ask_to_confirm,
    button,
    of_goods,
    ticket_meant,
    ticket_values,
    tickets_in_question,
    wish_button,
)
from bot.actions.turn import Turn
from bot.actions.validation import Request
from bot.actions.wording import Domain, goods, word, yuan
from bot.spelling import plain
from mall_adapter.eligibility import open_to
from mall_adapter.errors import InvalidTransition, MallError, NotFound
from mall_adapter.values import Order, OrderStatus, Reason, Ticket, TicketKind, TicketRequest, TicketStatus, Wish

_SAID = patterns.load("cancelling", "cancelled", "bare")

ARRIVED = (OrderStatus.DELIVERED, OrderStatus.COMPLETED)


# ---- orders


class ValidateCancelOrder(OrderValidation):
    """Cancels whole orders: where only some of the goods are to go, a refund of these goes on from here (slot
    ``part``), and of what has not been paid nothing can be taken out."""

    flow = "cancel_order"
    of_order = ("part",)

    async def complete(self, request: Request) -> None:
        await super().complete(request)
        if request.get("proved") and not request.get("refusal"):
            order = await (await get_mall()).order(request.sender, str(request.get("order_id")))
            lines, began = lines_listed(order.lines), Turn.that_began(request.tracker)
            first = began is None or began.message_id == request.turn.message_id
            told = [(request.turn, first), *([] if began is None or first else [(began, True)])]
            if any(some_to_go(turn, lines, at_first) for turn, at_first in told):
                unpaid = order.status is OrderStatus.PENDING_PAYMENT
                request.set(**({"refusal": {"name": "part_unpaid", "order": order.id}} if unpaid else {"part": True}))

    async def accept(self, order: Order, request: Request) -> None:
        ticket = next((line.open_ticket_id for line in order.lines if line.open_ticket_id), None)
        if order.status is OrderStatus.CANCELLED:
            request.set(refusal={"name": "cancelled_already", "order": order.id})
        elif open_to(order, Wish.CANCEL):
            request.clear("refusal")
        elif ticket and order.status not in (OrderStatus.SHIPPED, *ARRIVED):
            request.set(refusal={"name": "order_has_ticket", "order": order.id, "ticket": ticket})
        else:
            request.set(refusal={"name": "too_late", "order": order.id})


def names_nothing(turn: Turn) -> bool:
    """ "取消" and nothing else: what of, is not said."""
    return bool(_SAID["bare"].search(plain(turn.text)))


def _order_values(slots: Mapping[str, Any]) -> dict[str, Any]:
    return {"order_id": slots.get("order_id")}


async def days_to_refund(sender: str, order: Order) -> int | None:
    """Working days in which the rules pay back what was never sent; None where nothing was paid."""
    request = TicketRequest(order.id, TicketKind.REFUND, Reason.CHANGED_MIND)
    try:
        decision = await (await get_mall()).assess(sender, request)
    except MallError:
        return None
    return decision.handling_days if decision.allowed else None


async def say_money_after_cancelling(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus
) -> bool:
    """When the money comes back of the order that is talked of, if it were cancelled; False where that is not asked, or
    there is none to come back."""
    turn, order_id = Turn.of(tracker), focus.at_hand("order")
    if not order_id or "of_day" not in turn.acts or not _SAID["cancelled"].search(plain(turn.text)):
        return False
    try:
        order = await (await get_mall()).order(tracker.sender_id, order_id)
    except MallError:
        return False
    days = await days_to_refund(tracker.sender_id, order) if open_to(order, Wish.CANCEL) else None
    if days is None:
        return False
    shown = {"order_id": order.id, "goods": goods(order.lines), "money": yuan(order.total_cents), "days": days}
    cancel = wish_button(tracker, domain, "cancel_order", order_id=order.id)
    dispatcher.utter_message(response="utter_money_after_cancelling", buttons=[cancel], **shown)
    focus.on("order", order.id)
    return True


class AskConfirmCancelOrder(Action):
    def name(self) -> str:
        return "action_ask_confirm_cancel_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _order_values(tracker.slots)
        if not values["order_id"]:
            return []
        order = await (await get_mall()).order(tracker.sender_id, str(values["order_id"]))
        buttons = [
            button(word(tracker, domain, "confirm_cancel"), "affirm", summary=digest(values)),
            button(word(tracker, domain, "keep_order"), "deny"),
        ]
        unpaid = order.status is OrderStatus.PENDING_PAYMENT
        return ask_to_confirm(
            dispatcher,
            tracker,
            domain,
            "utter_ask_confirm_cancel_order",
            values,
            order_id=order.id,
            goods=goods(order.lines),
            money=yuan(order.total_cents),
            after=word(tracker, domain, "after_cancel_unpaid" if unpaid else "after_cancel"),
            buttons=buttons,
        )


class CancelOrder(Action):
    def name(self) -> str:
        return "action_cancel_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values, mall = _order_values(tracker.slots), await get_mall()
        if not confirmed(tracker, values):
            return []
        order_id = str(values["order_id"])
        try:
            before = await mall.order(tracker.sender_id, order_id)
            days = await days_to_refund(tracker.sender_id, before)
            order = await mall.cancel_order(tracker.sender_id, order_id, idempotency_key=key(tracker, values))
        except InvalidTransition:  # it was shipped between the summary and the yes
            order = await mall.order(tracker.sender_id, order_id)
            return await say_not_cancelled(dispatcher, tracker, domain, order)
        except MallError:
            dispatcher.utter_message(
                response="utter_order_not_cancelled",
                order_id=order_id,
                buttons=[
                    wish_button(tracker, domain, "order_status", order_id=order_id),
                    wish_button(tracker, domain, "human_handoff"),
                ],
            )
            return []
        name = "utter_order_cancel_done"
        if before.status is OrderStatus.PENDING_PAYMENT:
            name = "utter_order_cancel_done_unpaid"
        elif days is None:
            name = "utter_order_cancel_done_paid_back"
        dispatcher.utter_message(response=name, order_id=order.id, money=yuan(order.total_cents), days=days)
        return Focus(tracker).wrote("cancel_order", order.id, order.id).on("order", order.id).events()


class RefuseCancelOrder(Action):
    def name(self) -> str:
        return "action_refuse_cancel_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order = await (await get_mall()).order(tracker.sender_id, str(tracker.get_slot("order_id")))
        if (tracker.get_slot("refusal") or {}).get("name") == "part_unpaid":
            whole = button(word(tracker, domain, "cancel_whole"), "cancel_order", order_id=order.id)
            shown = {"goods": goods(order.lines), "order_id": order.id}
            dispatcher.utter_message(response="utter_order_part_unpaid", buttons=[whole], **shown)
            return Focus(tracker).on("order", order.id).events()
        return await say_not_cancelled(dispatcher, tracker, domain, order)


async def say_not_cancelled(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order
) -> list[EventType]:
    """How far the order is, and what can be had instead of cancelling it."""
    shown: dict[str, Any] = {"order_id": order.id, "goods": goods(order.lines)}
    same, focus = {"order_id": order.id}, Focus(tracker).on("order", order.id)
    ticket_id = next((line.open_ticket_id for line in order.lines if line.open_ticket_id), None)
    if order.status is OrderStatus.CANCELLED:
        name, buttons = "order_cancelled_already", [wish_button(tracker, domain, "human_handoff")]
        shown["money"] = yuan(order.total_cents)
    elif ticket_id and order.status not in (OrderStatus.SHIPPED, *ARRIVED):
        ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
        name, shown = "order_cancel_has_ticket", {**shown, **ticket_values(tracker, domain, ticket)}
        buttons = _ticket_buttons(tracker, domain, ticket)
        focus.on("ticket", ticket.id)
    elif order.shipments and order.status not in ARRIVED:
        name = "order_cancel_shipped" if order.status is OrderStatus.SHIPPED else "order_cancel_part_sent"
        buttons = [
            wish_button(tracker, domain, "request_refund", **same),
            button(word(tracker, domain, "may_refuse_parcel"), "ask_policy", answer="refuse_parcel"),
            wish_button(tracker, domain, "track_parcel", **same),
        ]
    else:
        name = "order_cancel_too_late"
        buttons = [
            button(word(tracker, domain, "want_return"), "request_return", **same),
            wish_button(tracker, domain, "request_exchange", **same),
            wish_button(tracker, domain, "human_handoff"),
        ]
    status = word(tracker, domain, f"status_{order.status}")
    dispatcher.utter_message(response=f"utter_{name}", status=status, buttons=buttons, **shown)
    return focus.events()


def _ticket_buttons(tracker: Tracker, domain: Domain, ticket: Ticket) -> list[Button]:
    buttons = [button(word(tracker, domain, "see_progress"), "ticket_status", ticket_id=ticket.id)]
    if ticket.status in CANCELLABLE:
        buttons.append(button(word(tracker, domain, "withdraw_it"), "cancel_ticket", ticket_id=ticket.id))
    return [*buttons, wish_button(tracker, domain, "human_handoff")]


# ---- tickets


class ValidateCancelTicket(OrderValidation):
    """Needs no order where the sender has tickets: the one that is named or has just been talked of, the only one, or
    one of those that are listed."""

    flow = "cancel_ticket"
    of_order = ("ticket_id", "tickets")

    async def accept(self, order: Order, request: Request) -> None:
        tickets = await tickets_in_question(request.sender, None)
        of_order = [ticket for ticket in tickets if ticket.order_id == order.id]
        others = [ticket for ticket in tickets if ticket.status in CANCELLABLE]
        if not of_order and len(others) == 1:
            request.set(refusal={"name": "other_ticket_to_cancel", "order": order.id, "other": others[0].id})
        else:
            self._offer(of_order or others, request)

    async def validate_ticket_id(self, value: Any, request: Request) -> None:
        """Which of those that were listed; a number is looked up in ``complete``."""
        if isinstance(value, str):
            request.set(ticket_id=value.strip().upper())
            return
        listed = request.focus.listed("ticket")
        choices: Listed = [thing for thing in listed if thing["id"] in _ids(request)] or request.get("tickets") or []
        if ticket_id := chosen(request.turn, choices, "ticket"):
            request.set(ticket_id=ticket_id)
        else:
            request.set(**problem("ticket_id", "ticket_not_among"))

    async def complete(self, request: Request) -> None:
        request.clear("refusal")
        named = request.get("ticket_id")
        if isinstance(named, str) and named not in _ids(request):
            request.clear("ticket_id")
            await self._find(named, request)
        elif request.get("tickets") is None and (request.get("order_id") or not await self._among_own(request)):
            await super().complete(request)

    async def _find(self, ticket_id: str, request: Request) -> None:
        """A ticket that is named. A stranger's may exist all the same: it is found by its order."""
        try:
            ticket = await (await get_mall()).ticket(request.sender, ticket_id)
        except NotFound:
            if request.get("tickets") is None and not await self._among_own(request):
                await super().complete(request)
            elif not request.get("refusal"):
                request.clear("ticket_id")
                request.set(**problem("ticket_id", "ticket_not_found", ticket_id))
        else:
            self._offer([ticket], request)

    async def _among_own(self, request: Request) -> bool:
        """Without an order. False for somebody of whom the shop knows no ticket and no account."""
        mall, turn, focus = await get_mall(), request.turn, request.focus
        tickets = await mall.tickets_of(request.sender, limit=READ_AT_ONCE)
        if not tickets and await mall.customer_of(request.sender) is None:
            return False
        talked_of = ticket_meant(turn, focus) or (None if turn.names_goods else focus.at_hand("ticket"))
        meant = [ticket for ticket in tickets if ticket.id == talked_of]
        if meant and meant[0].status not in CANCELLABLE and not (turn.first("ordinal") or turn.first("mention")):
            meant = []  # what was talked of is settled: another one must be meant, if there is one
        self._offer(meant or of_goods(turn, tickets) or tickets, request)
        return True

    @staticmethod
    def _offer(tickets: Sequence[Ticket], request: Request) -> None:
        """Of several tickets those that can be taken back; the only one is meant."""
        fitting = [ticket for ticket in tickets if ticket.status in CANCELLABLE][:SHOWN_AT_ONCE]
        if not fitting:
            newest = {"ticket": tickets[0].id} if tickets else {}
            request.set(refusal={"name": "no_ticket_to_cancel", **newest})
            return
        request.set(tickets=[{"kind": "ticket", "id": one.id, "title": one.summary} for one in fitting])
        if len(fitting) == 1:
            request.set(ticket_id=fitting[0].id)


def _ids(request: Request) -> set[str]:
    return {ticket["id"] for ticket in request.get("tickets") or []}


def _ticket_values(slots: Mapping[str, Any]) -> dict[str, Any]:
    return {"ticket_id": slots.get("ticket_id")}


class AskTicketId(Action):
    def name(self) -> str:
        return "action_ask_ticket_id"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ids = {ticket["id"] for ticket in tracker.get_slot("tickets") or []}
        known = await (await get_mall()).tickets_of(tracker.sender_id, limit=READ_AT_ONCE)
        choices = as_choices([ticket for ticket in known if ticket.id in ids], tracker, domain)
        buttons = [button(choice["title"], "inform", ticket_id=choice["id"]) for choice in choices]
        if Conversation.of(tracker).attempt > 2:
            buttons.append(wish_button(tracker, domain, "human_handoff"))
        shown = "\n".join(f"{place}. {choice['title']}" for place, choice in enumerate(choices, 1))
        ask(dispatcher, tracker, domain, "ticket_id", tickets=shown, buttons=buttons)
        return Focus(tracker).on_list(choices).events()


class AskConfirmCancelTicket(Action):
    def name(self) -> str:
        return "action_ask_confirm_cancel_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _ticket_values(tracker.slots)
        if not values["ticket_id"]:
            return []
        ticket = await (await get_mall()).ticket(tracker.sender_id, str(values["ticket_id"]))
        buttons = [
            button(word(tracker, domain, "confirm_withdraw"), "affirm", summary=digest(values)),
            button(word(tracker, domain, "keep_ticket"), "deny"),
        ]
        shown = ticket_values(tracker, domain, ticket)
        response = "utter_ask_confirm_cancel_ticket"
        return [
            *ask_to_confirm(dispatcher, tracker, domain, response, values, buttons=buttons, **shown),
            *Focus(tracker).on("ticket", ticket.id).events(),
        ]


class CancelTicket(Action):
    def name(self) -> str:
        return "action_cancel_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values, mall = _ticket_values(tracker.slots), await get_mall()
        if not confirmed(tracker, values):
            return []
        ticket_id = str(values["ticket_id"])
        try:
            ticket = await mall.cancel_ticket(tracker.sender_id, ticket_id, idempotency_key=key(tracker, values))
        except InvalidTransition:  # it went on between the summary and the yes
            ticket = await mall.ticket(tracker.sender_id, ticket_id)
            return say_not_withdrawn(dispatcher, tracker, domain, ticket)
        except MallError:
            buttons = [wish_button(tracker, domain, "ticket_status"), wish_button(tracker, domain, "human_handoff")]
            dispatcher.utter_message(response="utter_ticket_not_withdrawn", ticket_id=ticket_id, buttons=buttons)
            return []
        same = {"order_id": ticket.order_id}
        dispatcher.utter_message(
            response="utter_ticket_cancel_done",
            buttons=[
                wish_button(tracker, domain, "request_exchange", **same),
                wish_button(tracker, domain, "request_return", **same),
            ],
            **ticket_values(tracker, domain, ticket),
        )
        focus = Focus(tracker).wrote("cancel_ticket", ticket.id, ticket.order_id)
        return focus.on("ticket", ticket.id).on("order", ticket.order_id).events()


class RefuseCancelTicket(Action):
    def name(self) -> str:
        return "action_refuse_cancel_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: Mapping[str, str] = tracker.get_slot("refusal") or {}
        if other := refusal.get("other"):
            ticket = await (await get_mall()).ticket(tracker.sender_id, other)
            dispatcher.utter_message(
                response="utter_no_ticket_of_order",
                asked_order=refusal["order"],
                buttons=[
                    button(word(tracker, domain, "withdraw_it"), "cancel_ticket", ticket_id=ticket.id),
                    wish_button(tracker, domain, "order_status"),
                ],
                **ticket_values(tracker, domain, ticket),
            )
            return Focus(tracker).on("ticket", ticket.id).events()
        if ticket_id := refusal.get("ticket"):
            ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
            return say_not_withdrawn(dispatcher, tracker, domain, ticket)
        buttons = [wish_button(tracker, domain, "order_status"), wish_button(tracker, domain, "human_handoff")]
        dispatcher.utter_message(response="utter_no_ticket_to_cancel", buttons=buttons)
        return []


def say_not_withdrawn(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket
) -> list[EventType]:
    """There is nothing to take back any more: where the ticket stands, and who can help."""
    withdrawn = ticket.status is TicketStatus.CANCELLED
    dispatcher.utter_message(
        response="utter_ticket_cancelled_already" if withdrawn else "utter_ticket_cancel_too_late",
        buttons=_ticket_buttons(tracker, domain, ticket),
        **ticket_values(tracker, domain, ticket),
    )
    return Focus(tracker).on("ticket", ticket.id).on("order", ticket.order_id).events()
